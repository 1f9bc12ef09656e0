"""What differs between the editions of HJ 212. One core, three profiles: 2017 is what parks speak, 2025 is in
force, 2005 is understood when it is received and never sent."""

from __future__ import annotations

from enum import IntEnum

MAX_SEGMENT = 1024  # bytes from QN= to the closing &&
MAX_CP = 950  # bytes of CP=&&...&&, its own name included


class Version(IntEnum):
    """The value of the six upper bits of Flag."""

    V2005 = 0
    V2017 = 1
    V2025 = 2

    @property
    def max_parts(self) -> int:
        """How many packets one record may be split into: PNUM has one digit since 2025."""
        return 9 if self is Version.V2025 else 9999

    @property
    def marks_backfill(self) -> bool:
        """Whether RF=1 exists."""
        return self is Version.V2025

    @property
    def has_heartbeat(self) -> bool:
        return self is Version.V2025


VERSIONS = {"2017": Version.V2017, "2025": Version.V2025}
"""What a person may choose for sending."""


def flag_of(version: Version, *, split: bool, ack: bool) -> int:
    return version << 2 | split << 1 | ack


def read_flag(flag: int) -> tuple[Version, bool, bool]:
    """Edition, split, acknowledgement wanted. ValueError for an edition that does not exist."""
    return Version(flag >> 2), bool(flag & 2), bool(flag & 1)
