"""Whether writing is armed: a token with an expiry, in memory only, so that a restart is never armed."""

from __future__ import annotations

import hashlib
import hmac
from binascii import b2a_base64
from collections.abc import Callable

from edge_agent.control.excursion import Moment
from edge_agent.control.guard.refusal import Reason

TOKEN_BYTES = 24  # 32 characters
_URL_SAFE = str.maketrans("+/", "-_")

Random = Callable[[int], bytes]
"""So many bytes that nobody can guess (``secrets.token_bytes``)."""


class Arming:
    """At most one arming at a time; a new one makes the former token void. ``session`` counts them."""

    __slots__ = ("_hash", "_random", "_until_mono_ns", "expired", "session", "until_ns", "user")

    def __init__(self, random: Random) -> None:
        self._random = random
        self._hash = b""
        self._until_mono_ns = 0
        self.session = 0
        self.until_ns = 0  # wall time, for people
        self.user = ""
        self.expired = False  # the last arming ran out, nobody ended it

    def arm(self, user: str, seconds: float, at: Moment) -> str:
        """The token. Only a hash of it is kept."""
        token = b2a_base64(self._random(TOKEN_BYTES), newline=False).decode("ascii").translate(_URL_SAFE)
        self._hash = _hash(token)
        self._until_mono_ns = at.mono_ns + int(seconds * 1e9)
        self.until_ns = at.time_ns + int(seconds * 1e9)
        self.session += 1
        self.user = user
        self.expired = False
        return token

    def disarm(self) -> bool:
        """Whether it was armed."""
        was = bool(self._hash)
        self._hash, self.user, self.until_ns, self.expired = b"", "", 0, False
        return was

    def expire(self, at: Moment) -> bool:
        """Ends an arming whose time is over; True once."""
        if self._hash and at.mono_ns >= self._until_mono_ns:
            self.disarm()
            self.expired = True
            return True
        return False

    def is_armed(self, at: Moment) -> bool:
        return bool(self._hash) and at.mono_ns < self._until_mono_ns

    def left_s(self, at: Moment) -> float:
        return max(0, self._until_mono_ns - at.mono_ns) / 1e9 if self._hash else 0.0

    def refuses(self, token: str, at: Moment) -> Reason | None:
        """None for the token of the present arming."""
        if not self.is_armed(at):
            return Reason.TOKEN_EXPIRED if self._hash or self.expired else Reason.NOT_ARMED
        if not hmac.compare_digest(_hash(token), self._hash):
            return Reason.TOKEN_WRONG
        return None


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
