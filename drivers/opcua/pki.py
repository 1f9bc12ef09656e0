"""Certificates on disk: our own, the ones a technician trusts, and those put aside for him. Imports
cryptography; blocking, so call it in a thread.

    PKI/own/certificate.der   made at first use; this is the file to trust on the server
    PKI/own/key.pem           readable by the agent's user only
    PKI/trusted/*.der, *.pem  servers to believe, or the authorities that issued their certificates
    PKI/rejected/*.der        servers that were refused; moving one to trusted/ accepts it

A certificate in trusted/ is believed for exactly that server. One issued by an authority in trusted/ must
name the host of the link as well, or every server of that authority could pass for it. Revocation lists are
not read: take a withdrawn certificate out of trusted/.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_agent.errors import LinkDenied
from edge_agent.settings import Text

_KEY_BITS = 2048
_REJECTED_MAX = 32
_BEGINS = datetime(2020, 1, 1, tzinfo=UTC)  # before any clock that was ever set: ours may not be yet
_NOT_BEFORE_THIS = datetime(2026, 1, 1, tzinfo=UTC)
_LIFE = timedelta(days=3652)
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Own:
    """Our certificate and the key to it. ``application_uri`` is the one in the certificate."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    application_uri: str
    file: Path


@dataclass(frozen=True, slots=True)
class Known:
    """A certificate as people are told of it."""

    subject: str
    fingerprint: str  # SHA-256, in pairs of hexadecimal digits
    days_left: float

    @classmethod
    def of(cls, certificate: x509.Certificate, now: datetime) -> Known:
        left_s = (certificate.not_valid_after_utc - now).total_seconds()
        return cls(_subject(certificate), fingerprint(certificate), round(left_s / _DAY_S, 1))


class Distrusted(LinkDenied):
    """A server's certificate is not believed. ``why``: ``untrusted`` or ``host``. ``file``: where it was put
    aside, None where that failed; ``cure``: what to do with it."""

    def __init__(
        self, message: Text, why: str, server: x509.Certificate, file: Path | None, cure: Text
    ) -> None:
        super().__init__(Text(f"{message.en} {cure.en}", message.zh + cure.zh), reason="cert")
        self.why = why
        self.file = file
        self.server = Known.of(server, datetime.now(UTC))


class Pki:
    """One folder of certificates. Raises LinkDenied with reason "cert", in words for the technician."""

    def __init__(self, folder: Path) -> None:
        self._own = folder / "own"
        self._trusted = folder / "trusted"
        self._rejected = folder / "rejected"

    def own(self, application_uri: str | None) -> Own:
        """Our certificate; made if there is none. ``application_uri``: what it must name, None for any."""
        try:
            with self._locked():
                file, key_file = self._own / "certificate.der", self._own / "key.pem"
                if not file.exists() and not key_file.exists():
                    _make(file, key_file, application_uri or default_application_uri())
                own = _load(file, key_file)
        except OSError as error:
            raise _denied(f"our certificate cannot be made or read: {error}") from error
        except (ValueError, TypeError) as error:
            raise _denied(f"{self._own} does not hold a certificate and its key: {error}") from error
        if application_uri is not None and application_uri != own.application_uri:
            raise _denied(
                f"{file} names the application {own.application_uri!r}, but application_uri is "
                f"{application_uri!r}: servers refuse that. Change the setting, or move {self._own} away "
                "for a new certificate, and trust that one on the servers"
            )
        return own

    def judge(self, der: bytes, host: str, now: datetime) -> x509.Certificate:
        """The server's certificate, if it is believed; what it sends behind it are its issuers'."""
        chain = _chain(der)
        server = chain[0]
        trusted = self._trusted_certificates()
        pinned = server in trusted
        if not pinned and not _issued(chain, trusted):
            text = Text(
                f"the server's certificate is not trusted: {_subject(server)}, "
                f"SHA-256 {fingerprint(server)}. Compare this with what the server itself shows.",
                f"尚未信任服务器的证书：{_subject(server)}，SHA-256 {fingerprint(server)}。"
                "请与服务器上显示的指纹核对。",
            )
            raise Distrusted(text, "untrusted", server, *self._put_aside(server))
        if not pinned and not _names(server, host):
            text = Text(
                f"the server's certificate ({_subject(server)}) was issued for another host than {host}: "
                "write the link as the certificate names it, or trust the certificate itself.",
                f"服务器的证书（{_subject(server)}）不是签发给 {host} 的："
                "请按证书上的名称写 link，或直接信任该证书。",
            )
            raise Distrusted(text, "host", server, *self._put_aside(server))
        _check_time(server, now)
        key = server.public_key()
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size < _KEY_BITS:
            raise _denied(
                f"the server's key is not RSA with {_KEY_BITS} bits or more: have it make a new certificate"
            )
        return server

    def _trusted_certificates(self) -> list[x509.Certificate]:
        found: list[x509.Certificate] = []
        for file in sorted(self._trusted.glob("*")) if self._trusted.is_dir() else ():
            try:
                found += _read_certificates(file.read_bytes())
            except (OSError, ValueError):
                continue  # somebody's notes; the certificate that is missed says so itself
        return found

    def _put_aside(self, server: x509.Certificate) -> tuple[Path | None, Text]:
        """Where it lies, and what to do with it."""
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", _subject(server)).strip("-")[:40] or "server"
        file = self._rejected / f"{name}-{fingerprint(server).replace(':', '')[:16].lower()}.der"
        try:
            self._trusted.mkdir(parents=True, exist_ok=True)
            self._rejected.mkdir(parents=True, exist_ok=True)
            others = sorted(self._rejected.glob("*.der"), key=lambda other: other.stat().st_mtime)
            for old in others[: len(others) - _REJECTED_MAX + 1]:
                old.unlink(missing_ok=True)
            _write(file, server.public_bytes(serialization.Encoding.DER), 0o644)
        except OSError as error:
            return None, Text(f"It could not be put aside: {error}", f"证书无法存放：{error}")
        move = f"mv '{file}' '{self._trusted}/'"
        return file, Text(f"To accept it: {move}", f"确认无误后执行：{move}")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two links that start at once must not make two keys."""
        self._own.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._own / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def default_application_uri() -> str:
    """Different on every machine, as Part 4 asks."""
    return f"urn:{socket.gethostname()}:lineside:edge-agent"


def fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def told(der: bytes) -> dict[str, str]:
    """Of a certificate that nobody has judged: its subject, fingerprint and end; empty for what is none.
    ``thumbprint``: SHA-1, because that is what Windows and many servers show; nothing is judged by it."""
    try:
        certificate = _chain(der)[0]
    except LinkDenied:
        return {}
    return {
        "certificate": _subject(certificate),
        "fingerprint": fingerprint(certificate),
        "thumbprint": certificate.fingerprint(hashes.SHA1()).hex(":").upper(),
        "expires": certificate.not_valid_after_utc.date().isoformat(),
    }


def validity(der: bytes) -> tuple[datetime, datetime]:
    """From when to when the server's certificate is valid. LinkDenied where it is none."""
    server = _chain(der)[0]
    return server.not_valid_before_utc, server.not_valid_after_utc


def load_identity(certificate_file: Path, key_file: Path) -> tuple[x509.Certificate, Any]:
    """A user's certificate and key, PEM or DER."""
    try:
        certificate = _read_certificates(certificate_file.read_bytes())[0]
        return certificate, _read_key(key_file.read_bytes())
    except OSError as error:
        raise _denied(f"the user's certificate cannot be read: {error}") from error
    except (ValueError, TypeError, IndexError) as error:
        raise _denied(
            f"{certificate_file} and {key_file} are not a certificate and its key: {error}"
        ) from error


def _denied(message: str) -> LinkDenied:
    return LinkDenied(message, reason="cert")


def _check_time(certificate: x509.Certificate, now: datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begin <= now <= end:
        return
    what = f"not valid before {begin:%Y-%m-%d}" if now < begin else f"expired on {end:%Y-%m-%d}"
    raise _denied(
        f"your clock may be wrong: this machine believes it is {now:%Y-%m-%d %H:%M} UTC, and the server's "
        f"certificate ({_subject(certificate)}) is {what}. If the clock is right, have the server make a "
        "new certificate"
    )


def _issued(chain: list[x509.Certificate], trusted: list[x509.Certificate]) -> bool:
    """Whether the first of the chain leads to a trusted authority, each signed by the next."""
    current = chain[0]
    for _ in range(len(chain)):
        if any(_signed_by(current, authority) for authority in trusted):
            return True
        issuers = [other for other in chain if other is not current and _signed_by(current, other)]
        if not issuers:
            return False
        current = issuers[0]
    return False


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    return True


def _names(certificate: x509.Certificate, host: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ipaddress.ip_address(host) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        return host.lower() in (name.lower() for name in names.get_values_for_type(x509.DNSName))


def _subject(certificate: x509.Certificate) -> str:
    named = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    text = str(named[0].value) if named else certificate.subject.rfc4514_string()
    return "".join(c for c in text if c.isprintable())[:80] or "no name"


def _chain(der: bytes) -> list[x509.Certificate]:
    """The certificates in a blob, one behind another as Part 6 has it. At least one."""
    found: list[x509.Certificate] = []
    rest = der or b""
    while rest and len(found) < 8:
        size = _der_size(rest)
        try:
            found.append(x509.load_der_x509_certificate(rest[:size]))
        except ValueError as error:
            raise _denied(f"what the server sends as its certificate is none: {error}") from error
        rest = rest[size:]
    if not found:
        raise _denied("the server sends no certificate with the endpoint that is configured")
    return found


def _der_size(der: bytes) -> int:
    if len(der) < 4 or der[0] != 0x30:
        return len(der)
    if der[1] < 0x80:
        return 2 + der[1]
    width = der[1] & 0x7F
    return 2 + width + int.from_bytes(der[2 : 2 + width], "big")


def _read_certificates(content: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN" in content:
        return x509.load_pem_x509_certificates(content)
    return [x509.load_der_x509_certificate(content)]


def _read_key(content: bytes) -> Any:
    if b"-----BEGIN" in content:
        return serialization.load_pem_private_key(content, None)
    return serialization.load_der_private_key(content, None)


def _load(file: Path, key_file: Path) -> Own:
    certificate = _read_certificates(file.read_bytes())[0]
    key = _read_key(key_file.read_bytes())
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("the key belongs to another certificate")
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    if not uris:
        raise ValueError("the certificate names no application URI")
    return Own(certificate, key, uris[0], file)


def _make(file: Path, key_file: Path, application_uri: str) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"Lineside on {socket.gethostname()}"[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lineside"),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,  # Part 6, 6.2.2: of a certificate that signs itself
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    names = [x509.UniformResourceIdentifier(application_uri), x509.DNSName(socket.gethostname())]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGINS)
        .not_valid_after(max(datetime.now(UTC), _NOT_BEFORE_THIS) + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key_file, private, 0o600)
    _write(file, certificate.public_bytes(serialization.Encoding.DER), 0o644)


def _write(file: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by more than ``mode`` says."""
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
