"""A station with plain memory, for the simulated buses."""

from __future__ import annotations

import struct


class Bank:
    """Holding and input registers are one memory of ``size`` words, coils and inputs one of as many bits."""

    def __init__(self, size: int = 200, *, counting: bool = False) -> None:
        self.words = list(range(size)) if counting else [0] * size
        self.flags = [False] * size
        self.reads: list[tuple[str, int, int]] = []

    def registers(self, table: str, start: int, count: int) -> bytes | None:
        self.reads.append((table, start, count))
        words = self.words[start : start + count]
        return struct.pack(f">{count}H", *words) if len(words) == count else None

    def bits(self, table: str, start: int, count: int) -> list[bool] | None:
        self.reads.append((table, start, count))
        flags = self.flags[start : start + count]
        return flags if len(flags) == count else None

    def write_registers(self, start: int, values: list[int]) -> bool:
        self.words[start : start + len(values)] = values
        return True

    def write_bits(self, start: int, values: list[bool]) -> bool:
        self.flags[start : start + len(values)] = values
        return True

    def put(self, start: int, format_: str, *values: float) -> None:
        """``struct`` format of the values, most significant byte first."""
        data = struct.pack(">" + format_, *values)
        for index in range(0, len(data), 2):
            self.words[start + index // 2] = int.from_bytes(data[index : index + 2], "big")
