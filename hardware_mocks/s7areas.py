"""The memory of the simulated S7 controller, item by item as Read Var and Write Var name it.

DB1, DB2      the furnace and a constant block: see `s7`; of DB1 only the three set-points can be written
DB4, 12 B     what a supervisor commands (`supervised`): 0 WORD heartbeat, 2.0 BOOL horn, 2.1 BOOL lamp,
              4 REAL pressure set-point, MPa, 8 REAL fan set-point, rpm; to read only: 3.0 BOOL in remote,
              3.1 BOOL fallen back
DB3, 128 B    one value of every kind that is no plain number, and free for writing
    0   STRING[20]   "Ofen 1"              68  DATE           2026-11-22
    22  STRING[20]   "炉温" in GBK          70  TIME_OF_DAY    10:11:12.345
    44  WSTRING[10]  "炉1"                  74  DATE_AND_TIME  2026-11-22 10:11:12.345
    68- as right                           82  DTL            2026-11-22 10:11:12.345678901
                                           94  LDT            the same moment
                                           102 S5TIME 12.3 s  104 TIME -1500 ms   108 LTIME 1.5 s
                                           116-127 CHAR[12] "S7-1500", then NULs
M, I, Q       256 bytes each, zero; I cannot be written
T, C          256 timers and 256 counters of two bytes, zero
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from hardware_mocks.datablocks import DataBlocks
from hardware_mocks.process import Process

OK, ACCESS_DENIED, OUT_OF_RANGE, TYPE_NOT_SUPPORTED, NO_SUCH_OBJECT = 0xFF, 0x03, 0x05, 0x06, 0x0A
DB, MEMORY, INPUTS, OUTPUTS = 0x84, 0x83, 0x81, 0x82
COUNTERS, TIMERS = 0x1C, 0x1D
BIT = 0x01
SIZES = {BIT: 1, 0x02: 1, 0x03: 1, 0x04: 2, 0x05: 2, 0x06: 4, 0x07: 4, 0x08: 4, COUNTERS: 2, TIMERS: 2}
_REPLY_KIND = {
    BIT: 0x03,
    0x05: 0x05,
    0x07: 0x05,
    0x08: 0x07,
    COUNTERS: 0x09,
    TIMERS: 0x09,
}  # else 0x04, length in bits
_COUNTED_IN_BITS = (0x04, 0x05)
_ITEM = struct.Struct(">BBBBHHBBH")
_SET_POINTS = range(16, 28, 4)
AREA_BYTES = 256
NUMBERED = 256


class ItemFailed(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"item return code 0x{code:02X}")
        self.code = code


class Spec:
    """One item specification of twelve bytes."""

    def __init__(self, item: bytes) -> None:
        _, _, self.syntax, self.kind, self.count, self.block, self.area, high, low = _ITEM.unpack(item)
        where = high << 16 | low
        if self.area in (COUNTERS, TIMERS):
            self.start, self.bit = 2 * where, 0
        else:
            self.start, self.bit = divmod(where, 8)
        self.size = SIZES.get(self.kind, 0) * self.count

    def check(self) -> None:
        """Raises ItemFailed."""
        numbered = self.area in (COUNTERS, TIMERS)
        if self.syntax != 0x10 or self.kind not in SIZES or (self.kind == BIT and self.count != 1):
            raise ItemFailed(TYPE_NOT_SUPPORTED)
        if numbered != (self.kind in (COUNTERS, TIMERS)) or (numbered and self.kind != self.area):
            raise ItemFailed(TYPE_NOT_SUPPORTED)
        if self.count < 1:
            raise ItemFailed(OUT_OF_RANGE)

    @property
    def covers_poll_counter(self) -> bool:
        return self.area == DB and self.block == 1 and self.start == 0 and self.kind in SIZES


class Areas:
    """``blocks``: further data blocks by number, live and writable. ``item_errors``: (area, block) -> the
    return code that every item there gets, such as ACCESS_DENIED for a protected block."""

    def __init__(self, process: Process, blocks: Mapping[int, bytes] | None = None) -> None:
        self._process = process
        self._furnace = DataBlocks(process)
        self.blocks = {3: bytearray(_every_kind())}
        self.blocks |= {number: bytearray(data) for number, data in (blocks or {}).items()}
        self.areas = {area: bytearray(AREA_BYTES) for area in (MEMORY, INPUTS, OUTPUTS)}
        self.areas |= {area: bytearray(2 * NUMBERED) for area in (TIMERS, COUNTERS)}
        self.item_errors: dict[tuple[int, int], int] = {}

    def count_poll(self) -> None:
        self._furnace.count_poll()

    def lengths(self) -> dict[int, int]:
        """Data block -> its bytes."""
        furnace = {number: self._furnace.block(number) for number in (1, 2, 4)}
        found = {number: len(image) for number, image in furnace.items() if image is not None}
        return found | {number: len(image) for number, image in self.blocks.items()}

    def read(self, spec: Spec) -> bytes:
        """The item as it stands in a reply: return code, transport size, length, data."""
        try:
            data = self._read(spec)
        except ItemFailed as failed:
            return struct.pack(">BBH", failed.code, 0, 0)
        kind = _REPLY_KIND.get(spec.kind, 0x04)
        length = len(data) * 8 if kind in _COUNTED_IN_BITS else len(data)
        return struct.pack(">BBH", OK, kind, length) + data

    def write(self, spec: Spec, data: bytes) -> int:
        """The item's return code."""
        try:
            spec.check()
            self._write(spec, data)
        except ItemFailed as failed:
            return failed.code
        return OK

    def _read(self, spec: Spec) -> bytes:
        spec.check()
        image = self._image(spec)
        data = bytes(image[spec.start : spec.start + spec.size])
        return bytes((data[0] >> spec.bit & 1,)) if spec.kind == BIT else data

    def _image(self, spec: Spec) -> bytes | bytearray:
        """Raises ItemFailed where the item does not lie in it."""
        if (code := self.item_errors.get((spec.area, spec.block))) is not None:
            raise ItemFailed(code)
        image: bytes | bytearray | None = self.areas.get(spec.area)
        if spec.area == DB:
            image = self.blocks.get(spec.block) or self._furnace.block(spec.block)
        if image is None:
            raise ItemFailed(NO_SUCH_OBJECT)
        if spec.start + spec.size > len(image):
            raise ItemFailed(OUT_OF_RANGE)
        return image

    def _write(self, spec: Spec, data: bytes) -> None:
        image = self._image(spec)
        if len(data) != spec.size:
            raise ItemFailed(0x07)
        if spec.area == INPUTS:
            raise ItemFailed(ACCESS_DENIED)
        if not isinstance(image, bytearray):
            (self._command if spec.block == 4 else self._write_set_point)(spec, data)
        elif spec.kind == BIT:
            mask = 1 << spec.bit
            image[spec.start] = image[spec.start] & ~mask | (mask if data[0] else 0)
        else:
            image[spec.start : spec.start + spec.size] = data

    def _write_set_point(self, spec: Spec, data: bytes) -> None:
        if spec.block != 1 or spec.start not in _SET_POINTS or len(data) != 4:
            raise ItemFailed(ACCESS_DENIED)
        (value,) = struct.unpack(">f", data)
        self._process.command(f"zone{_SET_POINTS.index(spec.start) + 1}", value)

    def _command(self, spec: Spec, data: bytes) -> None:
        process = self._process
        if spec.start == 0 and len(data) == 2:
            process.heartbeat.beat(int.from_bytes(data), process.time_s)
        elif spec.start == 2 and spec.kind == BIT and spec.bit < 2:
            setattr(process, ("horn", "lamp")[spec.bit], bool(data[0]))
        elif spec.start in (4, 8) and len(data) == 4:
            process.command("pressure" if spec.start == 4 else "fan", struct.unpack(">f", data)[0])
        else:
            raise ItemFailed(ACCESS_DENIED)


def _every_kind() -> bytes:
    image = bytearray(128)

    def put(at: int, data: bytes) -> None:
        image[at : at + len(data)] = data

    gbk = "炉温".encode("gbk")
    wide = "炉1".encode("utf-16-be")
    put(0, bytes((20, 6)) + b"Ofen 1")
    put(22, bytes((20, len(gbk))) + gbk)
    put(44, struct.pack(">HH", 10, len(wide) // 2) + wide)
    put(68, struct.pack(">H", 13474))
    put(70, struct.pack(">I", 36_672_345))
    put(74, bytes.fromhex("26112210 11123451"))
    put(82, struct.pack(">HBBBBBBI", 2026, 11, 22, 1, 10, 11, 12, 345_678_901))
    put(94, struct.pack(">q", 1_795_342_272_345_678_901))
    put(102, bytes.fromhex("1123"))
    put(104, struct.pack(">i", -1500))
    put(108, struct.pack(">q", 1_500_000_000))
    put(116, b"S7-1500")
    return bytes(image)
