"""Mistakes in how a device is reached, beside those in its tags.

E-MB-010 tls without ca_file   E-MB-011 key_file without cert_file   E-MB-012 certificates without tls
E-MB-013 RTU with 7 data bits   W-MB-105 tls without a certificate of our own   W-MB-106 a name of the port
that changes
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from drivers.modbus.check import check as check_device
from drivers.modbus.endpoint import endpoint
from drivers.modbus.port_names import lasting_name
from edge_agent.model import Tag
from edge_agent.settings import Problem, Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

LINK_OPTIONS = (
    "framing", "baud", "data_bits", "parity", "stop_bits", "rs485", "turnaround", "local_echo",
    "ca_file", "cert_file", "key_file",
)  # fmt: skip
_CERTIFICATES = ("ca_file", "cert_file", "key_file")
_CHANGING = re.compile(r"/dev/tty(USB|ACM)\d+")


def check(settings: ModbusSettings, tags: Sequence[Tag]) -> list[Problem]:
    """Those of the link first."""
    return [*_check_link(settings), *check_device(settings, tags)]


def _check_link(settings: ModbusSettings) -> Iterator[Problem]:
    where = endpoint(settings.link)
    if where.scheme == "tls":
        yield from _check_tls(settings)
    else:
        yield from _check_no_tls(settings)
    if where.device and _CHANGING.fullmatch(where.device):
        lasting = lasting_name(where.device)
        cure = Text(
            "use the name below /dev/serial/by-id (or by-path, where adapters have no serial number)",
            "请使用 /dev/serial/by-id 下的名称（适配器没有序列号时用 by-path）",
        )
        if lasting is not None:
            link = f"{where.scheme}://{lasting}"
            cure = Text(f"write the name that stays: link: {link}", f"请改写为固定名称：link: {link}")
        yield Problem(
            "W-MB-106",
            ("link",),
            Text(
                f"{where.device} may name another port after the next start",
                f"{where.device} 在下次启动后可能指向另一个串口",
            ),
            cure,
            warning=True,
        )
    if where.framing == "rtu" and settings.data_bits != 8:
        yield Problem(
            "E-MB-013",
            ("data_bits",),
            Text("RTU frames need characters of 8 bits", "RTU 帧需要 8 位数据位"),
            Text("leave data_bits out, or use ascii", "请删去 data_bits，或改用 ascii"),
        )


def _check_tls(settings: ModbusSettings) -> Iterator[Problem]:
    if settings.ca_file is None:
        yield Problem(
            "E-MB-010",
            ("link",),
            Text(
                "without ca_file nobody can tell the device from an impostor",
                "缺少 ca_file，无法辨别设备真伪",
            ),
            Text(
                "ca_file: the PEM file of the authority that signed the device's certificate",
                "请在 ca_file 中给出签发设备证书的 CA 的 PEM 文件",
            ),
        )
    if settings.key_file is not None and settings.cert_file is None:
        yield Problem(
            "E-MB-011",
            ("key_file",),
            Text("a key without its certificate", "只有私钥，没有证书"),
            Text("give cert_file as well", "请同时给出 cert_file"),
        )
    elif settings.cert_file is None:
        yield Problem(
            "W-MB-105",
            ("link",),
            Text(
                "Modbus/TCP Security has both sides show a certificate; this agent has none",
                "Modbus/TCP Security 要求双方出示证书，本程序没有证书",
            ),
            Text("give cert_file and key_file", "请给出 cert_file 和 key_file"),
            warning=True,
        )


def _check_no_tls(settings: ModbusSettings) -> Iterator[Problem]:
    for key in _CERTIFICATES:
        if getattr(settings, key) is not None:
            yield Problem(
                "E-MB-012",
                (key,),
                Text(
                    f"{key} is for tls:// links; this one is not encrypted",
                    f"{key} 只用于 tls:// 连接；当前连接没有加密",
                ),
                Text("write tls://HOST, or leave it out", "请写 tls://主机，或删去它"),
            )
            return
