"""Certificates of a small authority, good and bad ones, made by openssl."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """``ca``: the file that a client is given."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.ca = folder / "ca.pem"
        self._key = folder / "ca.key"
        self._openssl("req", "-x509", *_NEW_KEY, "-days", "30", "-subj", "/CN=fault suite",
                      "-keyout", self._key, "-out", self.ca)  # fmt: skip

    def server(self, name: str, host: str = "127.0.0.1", *, expired: bool = False) -> ssl.SSLContext:
        """For a server that is called ``host``; an address or a name."""
        key, request, cert = (self._folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        self._openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        kind = "IP" if host[0].isdigit() else "DNS"
        extensions = self._folder / f"{name}.cnf"
        extensions.write_text(f"subjectAltName={kind}:{host}\n", encoding="ascii")
        days = ["-days", "-1"] if expired else ["-days", "30"]
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial",
                      "-extfile", extensions, *days, "-out", cert)  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context

    def ancient(self, name: str) -> ssl.SSLContext:
        """One that speaks TLS 1.0 only."""
        import warnings

        context = self.server(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    def _openssl(self, *words: str | Path) -> None:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
