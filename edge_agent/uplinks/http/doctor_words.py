"""What ``doctor`` says about destinations, in both languages: code -> what it means, the sentence, the "
"cure."""

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
    return Text(text.en.format_map(facts), text.zh.format_map(facts))


_WORDS = {
    "up_tls_chain": _Words(
        Text("the destination's certificate comes from an unknown authority", "平台证书的签发机构不受信任"),
        Text("{words}", "平台证书不受信任：{words}"),
        Text("Ask who runs the destination for the certificate of its authority, and give it as ca_file. "
             "If the "
             "server does not send its intermediate certificate, they must mend that.",
             "请向平台方索取其 CA 证书，并填入 ca_file。若服务器未发送中间证书，需由平台方修正。"),
    ),
    "up_tls_host": _Words(
        Text("the certificate is for another host name", "证书与主机名不符"),
        Text("{words}", "证书与主机名不符：{words}"),
        Text("Write the host name in `url` as the certificate has it.", "请按证书中的主机名填写 `url`。"),
    ),
    "up_tls_time": _Words(
        Text("the certificate is not valid at this time", "证书不在有效期内"),
        Text("{words}; this machine's clock says {now}", "证书不在有效期内：{words}；本机时钟为 {now}"),
        Text("If this machine's clock is wrong, set it: timedatectl. Else the destination needs a new "
             "certificate.",
             "若本机时钟有误，请用 timedatectl 校正；否则需平台方更换证书。"),
    ),
    "up_tls_soon": _Words(
        Text("the destination's certificate expires soon", "平台证书即将到期"),
        Text("the destination's certificate expires in {days} days", "平台证书将在 {days} 天后到期"),
        Text("Tell who runs the destination: after that nothing is delivered.",
             "请通知平台方：到期后数据将无法上传。"),
    ),
    "up_tls": _Words(
        Text("no secure connection can be made", "无法建立安全连接"),
        Text("{words}", "无法建立安全连接：{words}"),
        Text("Does this port speak TLS? Does the destination want a certificate of ours (client_cert)?",
             "该端口是否使用 TLS？平台是否要求本机证书（client_cert）？"),
    ),
    "up_file": _Words(
        Text("a certificate file or secret of ours cannot be used", "本机的证书文件或密钥无法使用"),
        Text("{words}", "本机的证书文件或密钥无法使用：{words}"),
        Text("Check ca_file, client_cert, client_key and the secret, and who may read them.",
             "请检查 ca_file、client_cert、client_key、密钥内容及其读取权限。"),
    ),
    "up_auth": _Words(
        Text("the destination refuses our credentials", "平台拒绝身份验证"),
        Text("the destination does not let us in: {words}", "平台拒绝访问：{words}"),
        Text("Check token, or user and password, and the secrets behind them, and that the account may "
             "write there.",
             "请检查 token 或用户名、密码及对应密钥，以及该账户是否有写入权限。"),
    ),
    "up_path": _Words(
        Text("the destination does not know the address behind the host", "平台上没有该路径"),
        Text("the destination answers {words}: there is nothing at this path", "平台返回 {words}："
                                                                               "该路径不存在"),
        Text("Compare the path in `url` (database, bucket) with what the platform prescribes.",
             "请与平台规定核对 `url` 中的路径（数据库、bucket）。"),
    ),
    "up_answer": _Words(
        Text("the destination has a fault of its own", "平台自身故障"),
        Text("the destination answers {words}", "平台返回 {words}"),
        Text("Ask who runs it; the data waits in the store until it is taken.",
             "请联系平台方；数据会保留在本机直至送达。"),
    ),
    "up_broker": _Words(
        Text("the broker refuses the connection", "消息服务器拒绝连接"),
        Text("the broker refuses: {words}", "消息服务器拒绝：{words}"),
        Text("Check version, client_id and url with who runs the broker.",
             "请与服务器管理方核对 version、client_id 和 url。"),
    ),
    "up_silent": _Words(
        Text("the destination takes the connection and says nothing", "平台接受连接但无应答"),
        Text("the destination does not answer as this protocol does: {words}", "平台未按协议应答：{words}"),
        Text("Is this the right port for this protocol, with or without TLS?",
             "该端口是否为此协议？是否应使用（或不使用）TLS？"),
        "unreachable",
    ),
    "up_only_tcp": _Words(
        Text("note: only the TCP connection was tried", "提示：仅测试了 TCP 连接"),
        Text("a connection can be made; the protocol has no question that sends no data",
             "连接正常；该协议没有不带数据的询问，未作进一步测试"),
        Text("edge-agent status shows whether the platform confirms.", "用 edge-agent status "
                                                                       "查看平台是否确认。"),
        "note",
    ),
}  # fmt: skip

CODES: Mapping[str, Text] = {code: words.meaning for code, words in _WORDS.items()}
