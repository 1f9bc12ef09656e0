"""Security of the simulated OPC UA server: a certificate of its own, policies, users.

Imports cryptography, and asyncua where it is used: import this module only for a server that is secured.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
MODES = ("Sign", "SignAndEncrypt")


@dataclass(frozen=True, slots=True)
class Protection:
    """``users``: name -> password; whoever is none of them is let in only where ``anonymous``. ``with_none``:
    an endpoint without security is offered as well."""

    certificate: bytes  # DER
    key: bytes  # DER, PKCS 8
    users: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = True
    with_none: bool = False
    policies: tuple[str, ...] = POLICIES
    distrusting: bool = False  # no client's certificate is accepted

    async def apply(self, server: Any, library: Any) -> None:
        """To an asyncua server between ``init`` and ``start``."""
        kinds = library.ua.SecurityPolicyType
        await server.load_certificate(self.certificate)
        await server.load_private_key(self.key)
        offered = [getattr(kinds, f"{policy}_{mode}") for policy in self.policies for mode in MODES]
        server.set_security_policy([*([kinds.NoSecurity] if self.with_none else []), *offered])
        server.iserver.user_manager = _Users(self.users, self.anonymous)
        if self.distrusting:
            refusal = library.ua.uaerrors.BadCertificateUntrusted

            async def refuse(*_: Any) -> None:
                raise refusal

            server.set_certificate_validator(refuse)


def make_protection(application_uri: str, days: int = 3650, **rest: Any) -> Protection:
    """With a new self-signed certificate for this machine. ``rest``: fields of ``Protection``."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Simulated line")])
    now = datetime.now(UTC)
    names = [
        x509.UniformResourceIdentifier(application_uri),
        x509.DNSName(socket.gethostname()),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Protection(
        certificate.public_bytes(serialization.Encoding.DER),
        key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        **rest,
    )


class _Users:
    """What asyncua calls a user manager."""

    def __init__(self, users: Mapping[str, str], anonymous: bool) -> None:
        self._users = users
        self._anonymous = anonymous

    def get_user(
        self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None
    ) -> Any:
        from asyncua.crypto.permission_rules import User, UserRole

        known = username is not None and self._users.get(username) == password
        if not known and (username is not None or not self._anonymous):
            return None
        return User(role=UserRole.User, name=username)
