"""Imports aiohttp without the two copies of the machine's CA store that it loads for TLS it may never use.

At import aiohttp makes default TLS contexts: 1.8 MB and 0.1 s of CPU on every start. Our uplinks and servers
never use them: whoever speaks TLS here passes a context of its own with the trust it was configured with. The
defaults made here trust nobody, so that a forgotten context refuses to connect instead of trusting all.

Import this before anything that imports aiohttp.
"""

from __future__ import annotations

import os
import sys

_PLACES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


def _import_aiohttp() -> None:
    before = {name: os.environ.get(name) for name in _PLACES}
    os.environ.update(_PLACES)
    try:
        import aiohttp  # noqa: F401
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


if "aiohttp" not in sys.modules:
    _import_aiohttp()
