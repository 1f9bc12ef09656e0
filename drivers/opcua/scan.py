"""What a server offers: its endpoints, asked without a session, so that nothing needs to be trusted yet."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drivers.opcua.endpoint import url
from edge_agent.driver import Survey
from edge_agent.errors import LinkLost
from edge_agent.settings import Text

if TYPE_CHECKING:
    from drivers.opcua.settings import OpcuaSettings

TIMEOUT_S = 5.0
_SESSION = "drivers.opcua.session"
_BEST = ("Aes256_Sha256_RsaPss", "Aes128_Sha256_RsaOaep", "Basic256Sha256", "None")
_MODES = ("SignAndEncrypt", "Sign", "None")
NO_ENDPOINTS = Text("the server does not tell its endpoints in time", "服务器未及时给出端点列表")
_TRUST = Text(
    "With a security policy both sides must trust the other's certificate: `edge-agent read` then says where "
    "ours lies and how to trust the server's. Compare the fingerprint above with the one the server shows.",
    "使用安全策略时双方须互相信任证书：之后 `edge-agent read` 会说明本机证书的位置和信任服务器证书的方法。"
    "请将上面的指纹与服务器上显示的核对。",
)
_NO_SECURITY = Text(
    "The server offers no policy that is safe: whoever is on the network can read and change what is sent.",
    "该服务器未提供安全的策略：网络上任何人都能读取和篡改通信内容。",
)


def scan(settings: OpcuaSettings, tries: Mapping[str, Sequence[Any]] | None = None) -> Survey:
    """``{"security_policy": "Basic256Sha256", "security_mode": "Sign", "said": ...}`` per endpoint, as a
    device file would hold it, with the kinds of identity the server takes there. ``about``: the server's
    application and certificate. One endpoint is ``chosen``: the safest that this driver speaks."""
    timeout_s = settings.timeout or TIMEOUT_S
    return Survey(1, timeout_s, lambda survey: _find(survey, settings, timeout_s))


async def _find(
    survey: Survey, settings: OpcuaSettings, timeout_s: float
) -> AsyncIterator[Mapping[str, Any]]:
    survey.step(settings.link)
    if _SESSION not in sys.modules:
        await asyncio.to_thread(importlib.import_module, _SESSION)
    from drivers.opcua.session import Session

    session = Session(url(settings), timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            offers = await session.offers()
    except TimeoutError:
        raise LinkLost(NO_ENDPOINTS, reason="timeout") from None
    chosen = min((offer for offer in offers if _rank(offer) is not None), key=_rank, default=None)
    for offer in offers:
        identities = sorted({token.TokenType.name for token in offer.UserIdentityTokens or ()})
        mode = _mode(offer)
        yield {
            "security_policy": _policy(offer),
            **({} if mode == "None" else {"security_mode": mode}),
            "said": ", ".join(identities),
            "about": {"tokens": identities, **_application(offer), **_certificate(offer)},
            "chosen": offer is chosen,
        }
    if chosen is not None:
        survey.notes.append(_NO_SECURITY if _policy(chosen) == "None" else _TRUST)


def _policy(offer: Any) -> str:
    return str(offer.SecurityPolicyUri).rpartition("#")[2]


def _mode(offer: Any) -> str:
    return str(offer.SecurityMode.name).rstrip("_")


def _rank(offer: Any) -> Any:
    """The lower the safer; None for what this driver does not speak."""
    policy, mode = _policy(offer), _mode(offer)
    if policy not in _BEST or mode not in _MODES or (policy == "None") != (mode == "None"):
        return None
    return _BEST.index(policy), _MODES.index(mode)


def _application(offer: Any) -> dict[str, str]:
    server = offer.Server
    name = getattr(getattr(server, "ApplicationName", None), "Text", None)
    uri = getattr(server, "ApplicationUri", None)
    return {key: str(text) for key, text in (("application", name), ("application_uri", uri)) if text}


def _certificate(offer: Any) -> dict[str, Any]:
    """Nothing where the server sends none, or something that is none."""
    if not offer.ServerCertificate:
        return {}
    from drivers.opcua.pki import told

    return told(bytes(offer.ServerCertificate))
