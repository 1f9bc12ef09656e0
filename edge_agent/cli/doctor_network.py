"""Why there is no TCP connection to a place: its name, the way there, its port. As findings."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from edge_agent.settings import Finding, Text

NAME_S = 5.0
CONNECT_S = 3.0
ROUTES = Path("/proc/net/route")
_NO_WAY = (errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
_NO_HOST = (errno.EHOSTUNREACH, errno.EHOSTDOWN)
_FORBIDDEN = (errno.EPERM, errno.EACCES)

CODES: Mapping[str, Text] = {
    "net_dns": Text("the host name cannot be resolved", "主机名无法解析"),
    "net_route": Text("this machine has no way to that network", "本机没有通往该网络的路由"),
    "net_host": Text("nobody has that address in the network", "网络中无此地址的设备"),
    "net_refused": Text("the host is there, but nothing listens on the port", "主机可达但端口无人监听"),
    "net_timeout": Text("no answer from that address and port", "该地址和端口无应答"),
    "net_forbidden": Text("this machine forbids the connection", "本机禁止该连接"),
    "net_broken": Text("the connection is broken off", "连接被中断"),
    "link_lost": Text("TCP connects, but the protocol above fails", "TCP 可连接，但上层协议失败"),
}


async def why_unreachable(host: str, port: int) -> Finding | None:
    """The cause, or None where a TCP connection succeeds. At most about NAME_S + 3 x CONNECT_S."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(NAME_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return _no_name(host)
    trouble: OSError | None = None
    address = host
    for family, kind, protocol, _, where in found[:3]:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.sock_connect(sock, where)
        except OSError as error:  # TimeoutError is one
            trouble, address = error, str(where[0])
            continue
        finally:
            sock.close()
        return None
    return _of(trouble, address, port)


def _of(trouble: OSError | None, address: str, port: int) -> Finding:
    number = None if trouble is None else trouble.errno
    way = way_to(address)
    where = f"{address}:{port}"
    if isinstance(trouble, ConnectionRefusedError):
        return _finding(
            "net_refused",
            f"{address} is there, but refuses port {port}: nothing listens on it",
            f"{address} 可达，但拒绝端口 {port}：该端口无人监听",
            "Check the port in `link`, and that the server is switched on in the device or at the "
            "destination.",
            "请检查配置中的端口号，以及设备或平台上的服务是否启用。",
        )
    if number in _NO_WAY:
        return _finding(
            "net_route",
            f"this machine has no way to {address}",
            f"本机没有通往 {address} 的路由",
            "Is the cable plugged in, and does this machine have an address in that network? `ip addr`, "
            "`ip route`",
            "网线是否插好？本机在该网段是否有地址？用 `ip addr`、`ip route` 查看。",
        )
    if number in _NO_HOST:
        return _finding(
            "net_host",
            f"nobody answers for the address {address} ({way})",
            f"网络中没有设备应答地址 {address}（{way}）",
            "Is the device switched on and its cable plugged in, and is the address right?",
            "设备是否上电、网线是否插好、地址是否正确？",
        )
    if number in _FORBIDDEN:
        return _finding(
            "net_forbidden",
            f"this machine does not allow a connection to {where}",
            f"本机不允许连接 {where}",
            "A firewall on this machine, or IPAddressDeny in the unit: `nft list ruleset`, "
            "`systemctl cat edge-agent`",
            "检查本机防火墙或服务单元中的 IPAddressDeny：`nft list ruleset`、`systemctl cat edge-agent`",
        )
    if trouble is None or isinstance(trouble, TimeoutError):
        return _finding(
            "net_timeout",
            f"no answer from {where} within {CONNECT_S:g} s ({way})",
            f"{where} 在 {CONNECT_S:g} 秒内无应答（{way}）",
            f"Is the device switched on? `ping {address}`. If that answers, a firewall between swallows "
            f"the port; "
            "if it is behind a gateway, is that the right network?",
            f"设备是否上电？先 `ping {address}`。能 ping 通则是中间防火墙拦截了端口；"
            f"经网关时请确认网段正确。",
        )
    return _finding(
        "net_broken",
        f"{where}: {trouble.strerror or trouble}",
        f"{where}：{trouble.strerror or trouble}",
        "Try again; if it stays, ask who runs the network between.",
        "请重试；仍然如此时请联系网络管理员。",
    )


def _no_name(host: str) -> Finding:
    return _finding(
        "net_dns",
        f"the host name {host} cannot be resolved",
        f"主机名 {host} 无法解析",
        "Is it spelled right, and is a DNS server reachable? `resolvectl query HOST`, /etc/resolv.conf; or "
        "write "
        "the address as numbers.",
        "主机名是否拼写正确、DNS 服务器是否可达？用 `resolvectl query 主机`、/etc/resolv.conf 查看；"
        "也可直接写 IP 地址。",
    )


def lost(said: Text) -> Finding:
    """A TCP connection can be made, but the driver or uplink got no further."""
    return _finding(
        "link_lost",
        f"a TCP connection can be made, but: {said.en}",
        f"TCP 可以连接，但是：{said.zh}",
        "Does this port speak this protocol? Are all connections of the device taken by others?",
        "该端口是否为此协议？设备的连接数是否已被其他程序占满？",
    )


def way_to(address: str, routes: Path = ROUTES) -> str:
    """``eth0, direct`` or ``eth0 via 10.0.0.1``; of the most special route."""
    try:
        target = int(ip_address(address))
        lines = routes.read_text(encoding="ascii").splitlines()[1:]
        best: tuple[int, str] | None = None
        for line in lines:
            name, network, gateway, _, _, _, _, mask, *_ = line.split()
            net, bits = _number(network), _number(mask)
            if target & bits == net and (best is None or bits > best[0]):
                via = _number(gateway)
                best = bits, f"{name} via {IPv4Address(via)}" if via else f"{name}, direct"
    except (OSError, ValueError):
        return "-"
    return "-" if best is None else best[1]


def _number(text: str) -> int:
    """As the kernel writes addresses there: hexadecimal, in the machine's byte order."""
    return int.from_bytes(struct.pack("=I", int(text, 16)), "big")


def _finding(code: str, en: str, zh: str, cure: str, cure_zh: str) -> Finding:
    return Finding(code, Text(en, zh), Text(cure, cure_zh), "unreachable")
