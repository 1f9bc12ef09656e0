"""Modbus/TCP Security: the same frames inside TLS, both sides showing a certificate (port 802).

The server's certificate and host name are always checked; no key turns that off.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.errors import LinkDenied
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

# X509_V_ERR_*, from openssl/x509_vfy.h
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21, 27})
_WRONG_NAME = frozenset({62, 64})
_SOFT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


def make_context(settings: ModbusSettings) -> ssl.SSLContext:
    """Reads the certificate files: call it in a thread. LinkDenied names the file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.ca_file is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(settings.ca_file)
        except (OSError, ValueError) as error:
            raise _unusable("ca_file", settings.ca_file, error) from error
    if settings.cert_file is not None:
        try:  # the password callback keeps OpenSSL from asking at a terminal
            context.load_cert_chain(settings.cert_file, settings.key_file, password=lambda: b"")
        except (OSError, ValueError) as error:
            raise _unusable(*_culprit(settings), error) from error
    return context


def _culprit(settings: ModbusSettings) -> tuple[str, object]:
    """Which of the two files it was; OpenSSL does not say."""
    cert, key = settings.cert_file, settings.key_file
    if key is None:
        return "cert_file", cert
    for name, path in (("cert_file", cert), ("key_file", key)):
        try:
            text = Path(str(path)).read_text(encoding="ascii", errors="replace")
        except OSError:
            return name, path
        if "-----BEGIN" not in text:
            return name, path
    return "cert_file and key_file", f"{cert} and {key}"


def _unusable(key: str, file: object, error: Exception) -> LinkDenied:
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    return LinkDenied(
        Text(
            f"{key} {file} cannot be used: {said}; it must be a PEM file that this program may read",
            f"{key} {file} 无法使用：{said}；须为本程序可读取的 PEM 文件",
        ),
        reason="cert",
    )


def explain(error: ssl.SSLError, host: str) -> Text | None:
    """What is wrong with whose certificate, and the cure; None where the failure says nothing of trust."""
    if isinstance(error, _SOFT):
        return None
    if not isinstance(error, ssl.SSLCertVerificationError):
        return _refused(error, host)
    code, said = error.verify_code, error.verify_message
    if code == _EXPIRED:
        return Text(
            f"the certificate of {host} has expired, or the clock of this machine is wrong",
            f"{host} 的证书已过期，或本机时钟不对",
        )
    if code == _NOT_YET_VALID:
        return Text(
            f"the certificate of {host} is not valid yet, or the clock of this machine is wrong",
            f"{host} 的证书尚未生效，或本机时钟不对",
        )
    if code in _WRONG_NAME:
        return Text(
            f"the certificate is not made for {host} ({said}): write the name it is made for into the link",
            f"证书不是签发给 {host} 的（{said}）：请在 link 中写证书上的名称",
        )
    if code in _UNKNOWN_CA:
        return Text(
            f"the certificate of {host} comes from an unknown authority ({said}): give its CA as ca_file",
            f"{host} 的证书由未知机构签发（{said}）：请用 ca_file 指定其 CA",
        )
    return Text(f"the certificate of {host} is not trusted: {said}", f"{host} 的证书不受信任：{said}")


def _refused(error: ssl.SSLError, host: str) -> Text:
    said = error.reason or str(error)
    if "CERTIFICATE_REQUIRED" in said or "HANDSHAKE_FAILURE" in said:
        return Text(
            f"{host} wants a certificate of this agent: give cert_file and key_file ({said})",
            f"{host} 要求本代理的证书：请设置 cert_file 和 key_file（{said}）",
        )
    if "ALERT" in said and ("CERTIFICATE" in said or "UNKNOWN_CA" in said):
        return Text(
            f"{host} refuses the certificate of this agent ({said}): its CA must be known there",
            f"{host} 拒绝本代理的证书（{said}）：须让对方信任其 CA",
        )
    if "WRONG_VERSION_NUMBER" in said or "UNSUPPORTED_PROTOCOL" in said:
        return Text(
            f"{host} does not speak TLS 1.2 or newer on this port ({said}): is it tcp:// after all?",
            f"{host} 的该端口不支持 TLS 1.2 及以上（{said}）：是否应写 tcp://？",
        )
    return Text(f"no secure connection to {host}: {said}", f"无法与 {host} 建立安全连接：{said}")
