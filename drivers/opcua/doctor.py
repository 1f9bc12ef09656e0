"""``doctor`` for OPC UA: endpoint, certificates in both directions, user, clocks, nodes; in this order, and
only as far as the step before succeeded."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from drivers.opcua.address import NodeAddress
from drivers.opcua.doctor_words import CODES, finding
from drivers.opcua.endpoint import url
from drivers.opcua.link import OpcuaLink
from drivers.opcua.plan import plan
from drivers.opcua.scan import NO_ENDPOINTS
from edge_agent.errors import BadReply, DriverError, LinkDenied, LinkLost, Refused, Replan
from edge_agent.model import Quality, Tag
from edge_agent.settings import Finding, Text

if TYPE_CHECKING:
    from drivers.opcua.settings import OpcuaSettings
    from edge_agent.driver import Columns

OFFERS_S = 4.0
CONNECT_S = 6.0
REQUEST_S = 4.0
CLOCK_S = 5.0
SOON_DAYS = 30
_PLANS_MAX = 20
_SHOWN = 4
_SERVER_TIME = NodeAddress("i", 2258)


class OpcuaDoctor:
    """Meets ``edge_agent.driver.Doctor``."""

    @property
    def codes(self) -> Mapping[str, Text]:
        return CODES

    def place(self, settings: OpcuaSettings) -> tuple[str, int]:
        parts = urlsplit(url(settings))
        return parts.hostname or "", parts.port or 0

    def exclusive(self, settings: OpcuaSettings) -> bool:
        return False

    async def diagnose(self, settings: OpcuaSettings, tags: Sequence[Tag]) -> Sequence[Finding]:
        offers = await _offers(settings)
        secured = settings.security_policy != "None"
        chosen = _chosen(settings, offers)
        if chosen is None:
            return [finding("opcua_security", wanted=_wanted(settings), offered=_all(offers))]
        if secured:
            found = await asyncio.to_thread(_certificates, settings, chosen.ServerCertificate)
            if found:
                return found
        soon = await asyncio.to_thread(_soon, settings, chosen.ServerCertificate) if secured else []
        link = OpcuaLink(settings)
        try:
            return [*soon, *await _session(link, settings, tags)]
        finally:
            await link.close()

    def overheard(
        self, settings: OpcuaSettings, tags: Sequence[Tag], told: Mapping[str, Any]
    ) -> Sequence[Finding]:
        rows = {row["tag"]: row["quality"] for row in told.get("values", ())}
        return _nodes(tags, [rows.get(tag.name, "") for tag in tags], ("bad_address", "bad_config"))


async def _offers(settings: OpcuaSettings) -> list[Any]:
    """The server's endpoints, asked without a session. LinkLost."""
    from drivers.opcua.session import Session

    try:
        async with asyncio.timeout(OFFERS_S):
            return await Session(url(settings), OFFERS_S).offers()
    except TimeoutError:
        raise LinkLost(NO_ENDPOINTS, reason="timeout") from None


def _chosen(settings: OpcuaSettings, offers: Sequence[Any]) -> Any:
    for offer in offers:
        policy, mode = _said(offer)
        if policy == settings.security_policy and (policy == "None" or mode == settings.security_mode):
            return offer
    return None


def _said(offer: Any) -> tuple[str, str]:
    return str(offer.SecurityPolicyUri).rpartition("#")[2], offer.SecurityMode.name.rstrip("_")


def _wanted(settings: OpcuaSettings) -> str:
    if settings.security_policy == "None":
        return "None"
    return f"{settings.security_policy} {settings.security_mode}"


def _all(offers: Sequence[Any]) -> str:
    said = {policy if policy == "None" else f"{policy} {mode}" for policy, mode in map(_said, offers)}
    return ", ".join(sorted(said)) or "-"


def _certificates(settings: OpcuaSettings, der: bytes) -> list[Finding]:
    """What keeps us from trusting the server, or from having a certificate of our own. Blocking."""
    from drivers.opcua.pki import Distrusted, Pki, validity

    folder = Path(settings.pki)
    if _unreadable(folder):
        return [finding("opcua_pki_permission", pki=folder)]
    now = datetime.now(UTC)
    try:
        begin, end = validity(der)
        if not begin <= now <= end:
            return [finding(
                "opcua_expired", begin=f"{begin:%Y-%m-%d}", end=f"{end:%Y-%m-%d}",
                now=f"{now:%Y-%m-%d %H:%M} UTC",
            )]  # fmt: skip
        Pki(folder).judge(der, urlsplit(settings.link).hostname or "", now)
    except Distrusted as error:
        if error.file is None:
            return [finding("opcua_certificate", words=error.text, pki=folder)]
        code = "opcua_host" if error.why == "host" else "opcua_server_untrusted"
        return [finding(
            code, subject=error.server.subject, fingerprint=error.server.fingerprint, file=error.file,
            pki=folder, host=urlsplit(settings.link).hostname,
        )]  # fmt: skip
    except LinkDenied as error:
        return [finding("opcua_certificate", words=error.text, pki=folder)]
    if not (folder / "own" / "certificate.der").exists():  # never made here: it would be another user's
        return [finding("opcua_own_missing", pki=folder)]
    return []


def _soon(settings: OpcuaSettings, der: bytes) -> list[Finding]:
    """Which certificates are to be renewed. Blocking."""
    from drivers.opcua.pki import validity

    own = Path(settings.pki) / "own" / "certificate.der"
    limit = datetime.now(UTC) + timedelta(days=SOON_DAYS)
    found = []
    for code, end in (("opcua_server_soon", validity(der)[1]), ("opcua_own_soon", _end(own))):
        if end is not None and end < limit:
            found.append(finding(code, end=f"{end:%Y-%m-%d}", own=own.parent))
    return found


def _end(own: Path) -> datetime | None:
    """None where it cannot be read: connecting says so."""
    from drivers.opcua.pki import validity

    try:
        return validity(own.read_bytes())[1]
    except (OSError, LinkDenied):
        return None


def _unreadable(folder: Path) -> bool:
    try:
        there = folder.is_dir()
    except PermissionError:
        return True
    return there and not os.access(folder, os.R_OK | os.X_OK)


async def _session(link: OpcuaLink, settings: OpcuaSettings, tags: Sequence[Tag]) -> list[Finding]:
    try:
        async with asyncio.timeout(CONNECT_S):
            await link.connect()
            limits = await link.enrol(settings)
        found = await _clock(link)
        return [*found, *await _read(link, settings, tags, limits)]
    except TimeoutError:
        return [finding("opcua_silent", words=f"{CONNECT_S:g} s")]
    except LinkLost as error:
        return [_denied(error, settings)]
    except DriverError as error:
        return [finding("opcua_silent", words=error.text)]


def _denied(error: LinkLost, settings: OpcuaSettings) -> Finding:
    """Why there is no session, by the server's status code where it gave one."""
    from drivers.opcua.faults import CERTIFICATE, SESSIONS, USER

    code = getattr(error.__cause__, "code", None)
    words = error.text
    if code in CERTIFICATE:
        return _refused_by_server(settings, error.__cause__)
    if code in USER:
        configured = settings.user is not None or settings.user_certificate is not None
        return finding("opcua_user" if configured else "opcua_identity", words=error.__cause__)
    if code in SESSIONS:
        return finding("opcua_sessions", words=words)
    if error.reason == "auth":
        return finding("opcua_identity", words=words)
    if error.reason == "cert":
        return finding("opcua_certificate", words=words, pki=settings.pki)
    if settings.security_policy != "None" and error.reason == "reset":
        # many servers close the connection in place of a status code
        return _refused_by_server(settings, words)
    return finding("opcua_silent", words=words)


def _refused_by_server(settings: OpcuaSettings, words: object) -> Finding:
    from drivers.opcua.pki import told

    own = Path(settings.pki) / "own" / "certificate.der"
    try:
        subject = told(own.read_bytes()).get("certificate", "Lineside")
    except OSError:
        subject = "Lineside"
    return finding("opcua_client_untrusted", own=own, subject=subject, words=words)


async def _clock(link: OpcuaLink) -> list[Finding]:
    """The server's own time against ours, half the round trip allowed for."""
    session = link.session
    before_s = time.time()
    async with asyncio.timeout(REQUEST_S):
        results = await session.read(session.prepare((_SERVER_TIME,)))
    middle_s = (before_s + time.time()) / 2
    value = results[0].Value.Value if results and results[0].Value is not None else None
    if not isinstance(value, datetime):
        return []
    difference_s = value.replace(tzinfo=UTC).timestamp() - middle_s
    return [] if abs(difference_s) < CLOCK_S else [finding("opcua_clock", seconds=f"{difference_s:+.0f}")]


async def _read(link: OpcuaLink, settings: OpcuaSettings, tags: Sequence[Tag], limits: Any) -> list[Finding]:
    columns = await _columns(link, settings, tags, limits)
    return _nodes(tags, columns.quality, (Quality.BAD_ADDRESS, Quality.BAD_CONFIG))


def _nodes(tags: Sequence[Tag], said: Sequence[Any], bad: tuple[Any, Any]) -> list[Finding]:
    missing, barred = ([t for t, q in zip(tags, said, strict=True) if q == quality] for quality in bad)
    found = [finding("opcua_no_node", tags=_names(missing))] if missing else []
    return [*found, finding("opcua_access", tags=_names(barred))] if barred else found


async def _columns(link: OpcuaLink, settings: OpcuaSettings, tags: Sequence[Tag], limits: Any) -> Columns:
    learned = None
    for _ in range(_PLANS_MAX):
        made = plan(settings, tags, limits, learned)
        try:
            replies = [await _ask(link, request) for request in made.requests]
        except Replan as error:
            learned = error.learned
            continue
        return made.decode(replies)
    raise BadReply("the server finds every read too large")


async def _ask(link: OpcuaLink, request: Any) -> Any:
    try:
        async with asyncio.timeout(REQUEST_S):
            return await link.exchange(request)
    except TimeoutError:
        raise BadReply(f"no answer to a read within {REQUEST_S:g} s") from None
    except Refused:
        return Quality.BAD_CONFIG


def _names(tags: Sequence[Tag]) -> str:
    more = f" (+{len(tags) - _SHOWN})" if len(tags) > _SHOWN else ""
    return ", ".join(f"{tag.name} {tag.address}" for tag in tags[:_SHOWN]) + more
