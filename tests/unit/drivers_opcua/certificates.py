"""Certificates for tests, made on the spot."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pair:
    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        folder.mkdir(parents=True, exist_ok=True)
        files = folder / f"{name}.der", folder / f"{name}.pem"
        files[0].write_bytes(self.der)
        files[1].write_bytes(self.key_pem)
        return files


def make(
    name: str,
    *,
    issuer: Pair | None = None,
    authority: bool = False,
    begin: datetime = PAST,
    end: datetime = FUTURE,
    names: tuple[Any, ...] = (),
    bits: int = 2048,
) -> Pair:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    alternative = [x509.UniformResourceIdentifier(f"urn:test:{name.replace(' ', '-')}"), *names]
    builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    return Pair(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def localhost() -> tuple[Any, ...]:
    return (x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("plc.local"))
