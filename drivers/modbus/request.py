"""One read request: its bytes, its place for people, and what its refusal teaches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from struct import Struct

from drivers.modbus.address import TABLE_OF, Range, Table

# Five bytes, the same for all four tables. The library's request classes make the same ones (a test compares
# them), but importing them costs an agent that only reads over TCP 1 MB.
_READ = Struct(">BHH")

Refusal = tuple[int, int, int]
"""Function code, first place, place after the last."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a device refused. ``refused``: places that it did not read together (exception 2): whatever holds
    all of them will be refused too. Only the smallest are kept, because they explain the larger.
    ``max_count``: function code -> the largest count it has not refused (exception 3), or 0: it says that of
    a single value as well, so it means the address, not the count."""

    refused: frozenset[Refusal] = frozenset()
    max_count: frozenset[tuple[int, int]] = frozenset()

    def __or__(self, other: Learned) -> Learned:
        refused = self.refused | other.refused
        smallest = frozenset(r for r in refused if not any(_is_inside(other, r) for other in refused))
        return Learned(smallest, self.max_count | other.max_count)

    def limit(self, function: int) -> int:
        if self.means_address(function):
            return 0xFFFF
        return min((count for code, count in self.max_count if code == function), default=0xFFFF)

    def means_address(self, function: int) -> bool:
        """Whether exception 3 is this device's way to say exception 2."""
        return (function, 0) in self.max_count

    def holes(self, function: int) -> list[tuple[int, int]]:
        """Refused places of one table, in ascending order."""
        return sorted((start, end) for code, start, end in self.refused if code == function)


def _is_inside(inner: Refusal, outer: Refusal) -> bool:
    return inner != outer and inner[0] == outer[0] and outer[1] <= inner[1] and inner[2] <= outer[2]


@dataclass(frozen=True, slots=True)
class Read:
    """The body of a request. ``tail`` is everything after the transaction id; ``head`` is what a fitting
    reply shows at the same place, up to and including its byte count. ``pdu``: the request from its function
    code on; ``size``: data bytes that a fitting reply holds. ``whole``: counts, from the same offset, that
    split no value. ``if_hole`` and ``if_too_many``: what to plan with after exception 2 or 3; None where the
    request cannot be made smaller."""

    station: int
    function: int
    offset: int
    count: int
    tail: bytes
    head: bytes
    pdu: bytes
    size: int
    whole: tuple[int, ...] = ()
    if_hole: Learned | None = None
    if_too_many: Learned | None = None

    @property
    def place(self) -> str:
        """``FC03 hr:0..4 = 400001..400005``."""
        where = Range(TABLE_OF[self.function], self.offset, self.offset + self.count)
        return f"FC{self.function:02d} {where}"


def read_of(station: int, table: Table, offset: int, count: int) -> Read:
    function = table.function
    pdu = _READ.pack(function, offset, count)
    size = size_of(table, count)
    return Read(
        station,
        function,
        offset,
        count,
        tail=b"\0\0" + (1 + len(pdu)).to_bytes(2, "big") + bytes([station]) + pdu,
        head=b"\0\0" + (3 + size).to_bytes(2, "big") + bytes([station, function, size]),
        pdu=pdu,
        size=size,
    )


def size_of(table: Table, count: int) -> int:
    """Data bytes of a reply to that many places."""
    return (count + 7) // 8 if table.is_bits else 2 * count


def resized(read: Read, count: int) -> Read:
    """The same place asked for another count, 1 up to the read's own; its refusal teaches nothing."""
    whole = tuple(stop for stop in read.whole if stop <= count)
    return replace(read_of(read.station, TABLE_OF[read.function], read.offset, count), whole=whole)
