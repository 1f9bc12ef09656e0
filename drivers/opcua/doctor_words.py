"""What ``doctor`` says about OPC UA, in both languages: code -> what it means, the sentence, the cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.settings import Finding, Text


@dataclass(frozen=True, slots=True)
class _Words:
    meaning: Text
    message: Text
    cure: Text
    kind: str = "fault"


def finding(code: str, **facts: Any) -> Finding:
    """``facts``: what stands in the braces of its texts."""
    words = _WORDS[code]
    return Finding(code, _filled(words.message, facts), _filled(words.cure, facts), words.kind)


def _filled(text: Text, facts: Mapping[str, Any]) -> Text:
    en, zh = (
        {name: fact.say(language) if isinstance(fact, Text) else fact for name, fact in facts.items()}
        for language in ("en", "zh")
    )
    return Text(text.en.format_map(en), text.zh.format_map(zh))


_WORDS = {
    "opcua_security": _Words(
        Text("the server does not offer this security policy and mode", "服务器不提供所设的安全策略和模式"),
        Text("{wanted} is configured, the server offers: {offered}", "配置为 {wanted}，服务器提供："
                                                                     "{offered}"),
        Text("Set security_policy and security_mode to one of these, or switch the wanted one on in the "
             "server.",
             "请将 security_policy 和 security_mode 设为其中之一，或在服务器上启用所需策略。"),
    ),
    "opcua_server_untrusted": _Words(
        Text("we do not trust the server's certificate yet", "本机尚未信任服务器证书"),
        Text("the server's certificate is not trusted yet: {subject}, SHA-256 {fingerprint}",
             "尚未信任服务器证书：{subject}，SHA-256 {fingerprint}"),
        Text("Compare the fingerprint with the one the server shows. If they are equal: "
             "mv '{file}' '{pki}/trusted/'. The agent takes it at its next try.",
             "请与服务器上显示的指纹核对，一致后执行：mv '{file}' '{pki}/trusted/'。代理下次重试时即生效。"),
    ),
    "opcua_client_untrusted": _Words(
        Text("the server does not trust our certificate yet", "服务器尚未信任本机证书"),
        Text("the server does not accept our certificate {own}: {words}", "服务器不接受本机证书 {own}："
                                                                          "{words}"),
        Text("In the server's certificate list, move \"{subject}\" from rejected to trusted; or "
             "copy {own} "
             "there. Many servers show it only after this first try.",
             "在服务器的证书列表中，把“{subject}”从拒绝移到信任；或把 {own} 复制过去。"
             "许多服务器在首次尝试之后才显示它。"),
    ),
    "opcua_expired": _Words(
        Text("the server's certificate is not valid at this time", "服务器证书不在有效期内"),
        Text("the server's certificate is valid from {begin} to {end}; this machine's clock says {now}",
             "服务器证书有效期为 {begin} 至 {end}；本机时钟为 {now}"),
        Text("If the clock of this machine is wrong, set it: timedatectl. If it is right, have the server "
             "make a new "
             "certificate, and trust that.",
             "若本机时钟有误，请用 timedatectl 校正；若时钟正确，请在服务器上重新生成证书并重新信任。"),
    ),
    "opcua_server_soon": _Words(
        Text("the server's certificate expires soon", "服务器证书即将到期"),
        Text("the server's certificate is valid until {end} only", "服务器证书有效期至 {end}"),
        Text("Have a new one made on the server and trust it here before that day, or nothing is read "
             "any more. A new one may be trusted beforehand.",
             "请在到期前于服务器上更新证书，并在本机重新信任，否则到期后无法读取。可提前信任新证书。"),
    ),
    "opcua_own_soon": _Words(
        Text("our own certificate expires soon", "本机证书即将到期"),
        Text("our certificate is valid until {end} only", "本机证书有效期至 {end}"),
        Text("Move the folder {own} away: the agent makes a new certificate when it connects next. Then "
             "trust that one on the server.",
             "请移走目录 {own}：代理下次连接时自动生成新证书，然后在服务器上信任新证书。"),
    ),
    "opcua_host": _Words(
        Text("the server's certificate is for another host", "服务器证书属于其他主机名"),
        Text("the server's certificate ({subject}) does not name the host of the link, {host}",
             "服务器证书（{subject}）中没有 link 所写的主机 {host}"),
        Text("Write the link as the certificate names the host; or trust the certificate itself: compare its "
             "fingerprint, SHA-256 {fingerprint}, then mv '{file}' '{pki}/trusted/'.",
             "请按证书中的主机填写 link；或直接信任该证书：核对指纹 SHA-256 {fingerprint}，一致后执行 "
             "mv '{file}' '{pki}/trusted/'。"),
    ),
    "opcua_certificate": _Words(
        Text("a certificate or its key cannot be used", "证书或私钥无法使用"),
        Text("{words}", "证书或私钥无法使用：{words}"),
        Text("Look into {pki}: own/ holds our certificate and key, trusted/ the servers'.",
             "请查看 {pki}：own/ 为本机证书和私钥，trusted/ 为服务器证书。"),
    ),
    "opcua_pki_permission": _Words(
        Text("this user may not read the agent's certificates", "当前用户无权读取代理的证书"),
        Text("this user may not read {pki}", "当前用户无权读取 {pki}"),
        Text("sudo -u edgeagent edge-agent doctor ...", "sudo -u edgeagent edge-agent doctor ..."),
        "permission",
    ),
    "opcua_own_missing": _Words(
        Text("our own certificate has not been made yet", "本机证书尚未生成"),
        Text("there is no certificate in {pki}/own yet", "{pki}/own 中尚无证书"),
        Text("The agent makes it at its first try (`edge-agent read DEVICE` does too, as the service's "
             "user); then "
             "trust it on the server.",
             "代理首次连接时自动生成（以服务用户执行 `edge-agent read DEVICE` 亦可）；"
             "之后在服务器上信任它。"),
    ),
    "opcua_user": _Words(
        Text("the server refuses user or password", "服务器拒绝用户名或密码"),
        Text("the server does not let this user in: {words}", "服务器拒绝该用户：{words}"),
        Text("Check user and the secret behind password, and that the account is enabled on the server.",
             "请检查 user 和 password 对应的密钥，以及该账户在服务器上是否启用。"),
    ),
    "opcua_identity": _Words(
        Text("the server does not take this kind of identity", "服务器不接受这种身份"),
        Text("the server does not take this identity: {words}", "身份方式不符：{words}"),
        Text("Anonymous access may be switched off: give user and password; or switch it on in the server.",
             "可能禁用了匿名访问：请填写 user 和 password，或在服务器上允许匿名。"),
    ),
    "opcua_sessions": _Words(
        Text("all sessions of the server are taken", "服务器会话数已满"),
        Text("the server has no session free: {words}", "服务器没有空闲会话：{words}"),
        Text("End other clients, or raise the limit in the server.", "请关闭其他客户端，"
                                                                     "或提高服务器的会话上限。"),
    ),
    "opcua_clock": _Words(
        Text("the clocks of server and machine differ", "服务器与本机时钟不一致"),
        Text("the server's clock differs from this machine's by {seconds} s",
             "服务器时钟与本机相差 {seconds} 秒"),
        Text("Set both to the same time server; `timedatectl` shows this machine's. Certificates and time "
             "stamps go "
             "wrong otherwise.",
             "请让两者与同一时间服务器同步；`timedatectl` 查看本机。否则证书和时间戳都会出错。"),
    ),
    "opcua_no_node": _Words(
        Text("the server has no such node", "服务器没有该节点"),
        Text("the server has no such node: {tags}", "服务器没有这些节点：{tags}"),
        Text("edge-agent browse DEVICE shows what there is; namespaces by nsu= survive a restart of the "
             "server.",
             "用 edge-agent browse DEVICE 查看现有节点；命名空间用 nsu= 写法在服务器重启后仍有效。"),
    ),
    "opcua_access": _Words(
        Text("the server denies reading these nodes", "服务器拒绝读取这些节点"),
        Text("the server denies or cannot give {tags} as configured", "服务器拒绝读取或类型不符：{tags}"),
        Text("Give the user the right to read, and compare the types with edge-agent browse DEVICE.",
             "请授予该用户读权限，并用 edge-agent browse DEVICE 核对类型。"),
    ),
    "opcua_silent": _Words(
        Text("the server connects, but does not answer", "服务器可连接但无应答"),
        Text("the server fails to answer: {words}", "服务器应答异常：{words}"),
        Text("Is the server overloaded, or is something else than OPC UA behind that port?",
             "服务器是否过载？该端口是否为 OPC UA？"),
        "unreachable",
    ),
}  # fmt: skip

CODES: Mapping[str, Text] = {code: words.meaning for code, words in _WORDS.items()}
