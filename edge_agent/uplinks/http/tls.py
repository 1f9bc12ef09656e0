"""TLS for uplinks over HTTP: always verified, and its failures said so that a technician can act on them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from edge_agent.errors import Denied

# X509_V_ERR_*, from openssl/x509_vfy.h
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21, 27})
_REVOKED = 23
_WRONG_NAME = frozenset({62, 64})


class Files(Protocol):
    """The settings it needs; every uplink with TLS has these keys."""

    @property
    def ca_file(self) -> Path | None: ...

    @property
    def client_cert(self) -> Path | None: ...

    @property
    def client_key(self) -> Path | None: ...


def make_context(settings: Files) -> ssl.SSLContext:
    """Reads the certificate files: call it in a thread. Denied names the file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ValueError) as error:
        raise Denied(f"ca_file {settings.ca_file} cannot be used: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.client_cert is not None:
        try:  # the password callback keeps OpenSSL from asking at a terminal
            context.load_cert_chain(settings.client_cert, settings.client_key, password=lambda: b"")
        except (OSError, ValueError) as error:
            raise Denied(f"client_cert {settings.client_cert} cannot be used: {error}") from error
    return context


def tls_error(error: BaseException) -> ssl.SSLError | None:
    """The TLS failure behind a connection error, if there is one. An end of stream is no statement about
    trust, and is left to the caller as a lost connection."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLError):
            soft = isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError))
            return None if soft else cause
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The errors behind an error, without aiohttp's wrappers: those are OSErrors and SSLErrors by their
    class, but have none of the fields filled."""
    seen: BaseException | None = error
    for _ in range(6):
        if seen is None:
            return
        inner = getattr(seen, "certificate_error", None) or getattr(seen, "os_error", None)
        if inner is None:
            yield seen
        seen = inner or seen.__cause__ or seen.__context__


def explain(error: ssl.SSLError, host_name: str) -> str:
    """What is wrong with whose certificate, and the cure."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"no secure connection to {host_name}: {error.reason or error}"
    code, said = error.verify_code, error.verify_message
    if code == _EXPIRED:
        return f"the certificate of {host_name} has expired (or the clock of this machine is wrong)"
    if code == _NOT_YET_VALID:
        return f"the certificate of {host_name} is not valid yet (or the clock of this machine is wrong)"
    if code in _WRONG_NAME:
        return f"the certificate shown is not for host name {host_name}: {said}"
    if code in _UNKNOWN_CA:
        return f"the certificate of {host_name} comes from an unknown CA ({said}): give its CA as `ca_file`"
    if code == _REVOKED:
        return f"the certificate of {host_name} has been revoked"
    return f"the certificate of {host_name} is not trusted: {said}"
