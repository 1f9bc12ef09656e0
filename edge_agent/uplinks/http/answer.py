"""What the destination's answer means. Pure: status, headers and body in; verdicts or an UplinkError out."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from edge_agent.errors import Denied, TooLarge, Unacceptable
from edge_agent.uplink import ACKNOWLEDGED, Answer, Verdict

MAX_RETRY_AFTER_S = 300.0
MAX_REASON = 200
MAX_TOLD = 64_000
MASK = "***"
_TELLING = 6  # characters of a secret that tell something of it

NOT_ECHOED = Verdict(Answer.RETRY, "not echoed: the destination did not confirm this key")
SCHEMA_ASKED = Verdict(Answer.RETRY, "the destination asked for the schema again")

_RETRY_STATUS = frozenset({408, 425, 429})
_POISON_STATUS = frozenset({400, 422})


@dataclass(frozen=True, slots=True)
class Cures:
    """What to look at when a destination refuses, in the words of an uplink's own keys."""

    credentials: str = "check `token` or `client_cert`"
    absent: str = "Nothing is there at this address: check the path in `url`"


_CURES = Cures()


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The body of a 2xx, as far as it could be understood."""

    acknowledged: frozenset[str] = frozenset()
    rejected: Mapping[str, str] | None = None
    unknown_schemas: frozenset[str] = frozenset()

    def verdict(self, key: str, digest: str | None, *, schema_included: bool) -> Verdict:
        """For one item. A rejection outweighs a confirmation of the same key: what is set aside is kept. It
        does not count while the destination lacked the schema, which is our omission and not the item's."""
        asked = digest in self.unknown_schemas
        if asked and not schema_included and key not in self.acknowledged:
            return SCHEMA_ASKED
        if self.rejected and key in self.rejected:
            return Verdict(Answer.REJECTED, self.rejected[key])
        if key in self.acknowledged:
            return ACKNOWLEDGED
        return SCHEMA_ASKED if asked else NOT_ECHOED


def read_confirmation(body: bytes, hidden: Iterable[str] = ()) -> Confirmation:
    """ValueError, with a sentence, when the body does not speak of keys at all."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("no keys in the answer: not JSON") from None
    if not isinstance(data, dict) or not {"acknowledged", "rejected", "unknown_schemas"} & data.keys():
        raise ValueError("no keys in the answer")
    rejected = data.get("rejected")
    return Confirmation(
        _strings(data.get("acknowledged")),
        {k: readable(hide(str(v), hidden)) or "rejected" for k, v in rejected.items()}
        if isinstance(rejected, dict)
        else None,
        _strings(data.get("unknown_schemas")),
    )


def not_taken(
    status: int, body: bytes, retry_after_s: float, *, hidden: str | Iterable[str] = (), cures: Cures = _CURES
) -> Verdict:
    """For a status other than 2xx: the RETRY that holds for every item, or raises Denied, TooLarge or
    Unacceptable. A status that the wire format does not name holds everything: nothing is lost by it.
    ``hidden``: secrets that the destination may repeat in what it says."""
    said = told(body, hidden)
    reason = f"HTTP {status}: {said}" if said else f"HTTP {status}"
    if status in _RETRY_STATUS or status >= 500:
        return Verdict(Answer.RETRY, reason, retry_after_s)
    if status in _POISON_STATUS:
        raise Unacceptable(reason)
    if status == 413:
        raise TooLarge(reason)
    raise _refusal(status, reason, cures)


def told(body: bytes, hidden: str | Iterable[str]) -> str:
    """What a body says, without the secrets in any of the forms in which they may be repeated."""
    return readable(hide(body[:MAX_TOLD].decode("utf-8", "replace"), hidden))


def hide(text: str, hidden: str | Iterable[str]) -> str:
    """The text without those secrets, nor the beginning of one at which it breaks off."""
    secrets = (hidden,) if isinstance(hidden, str) else tuple(hidden)
    plain = [form for secret in secrets for form in (secret, quote(secret), quote(secret, safe=""))]
    forms = {form for one in plain for form in _written(one)}
    for form in sorted(forms - {""}, key=len, reverse=True):
        text = text.replace(form, MASK)
        for size in range(len(form) - 1, _TELLING - 1, -1):
            if text.endswith(form[:size]):
                text = text[:-size] + MASK
    return text


def secrets_of(settings: Any) -> tuple[str, ...]:
    """Every secret that the settings themselves hold, as it is sent; with the user, where there is one, also
    as the pair of HTTP's Basic scheme."""
    found = [v.get_secret_value().strip() for v in vars(settings).values() if hasattr(v, "get_secret_value")]
    user = getattr(settings, "user", None)
    pairs = [b64encode(f"{user}:{secret}".encode()).decode() for secret in found] if user else []
    return (*found, *pairs)


def _written(text: str) -> Iterator[str]:
    """As it stands in text and in JSON, with and without what some encoders escape besides."""
    escaped = json.dumps(text)[1:-1]
    yield from (text, escaped, escaped.replace("/", "\\/"), text.replace("/", "\\/"))


def retry_after_s(value: str | None, date: str | None, now_s: float) -> float:
    """``Retry-After`` as seconds from now, 0..300; 0 when absent or not understood. A time of day is counted
    from the answer's own ``Date``, because the agent's clock may be wrong."""
    if not value:
        return 0.0
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), MAX_RETRY_AFTER_S)
    until = _http_date(value)
    if until is None:
        return 0.0
    since = _http_date(date or "")
    return min(max(until - (now_s if since is None else since), 0.0), MAX_RETRY_AFTER_S)


def readable(text: str) -> str:
    """A stranger's text, cut and without control characters, fit for a log line."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * MAX_REASON]).split())
    return shown if len(shown) <= MAX_REASON else shown[: MAX_REASON - 1] + "…"


def _refusal(status: int, reason: str, cures: Cures) -> Denied:
    if status in (401, 403):
        return Denied(f"{reason}. The destination refuses these credentials: {cures.credentials}")
    if status == 404:
        return Denied(f"{reason}. {cures.absent}")
    if 300 <= status < 400:
        return Denied(f"{reason}. The address has moved; redirects are not followed: correct `url`")
    return Denied(f"{reason}. The destination does not accept this kind of request: check `url`")


def _strings(value: Any) -> frozenset[str]:
    return frozenset(v for v in value if isinstance(v, str)) if isinstance(value, list) else frozenset()


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
