"""Seeded changes to known inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

_TELLING = (0, 1, 2, 3, 4, 0x7F, 0x80, 0x83, 0xF0, 0xFE, 0xFF)


def mutants(seeds: Sequence[bytes], count: int, chance: Random) -> Iterator[bytes]:
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            _change(data, seeds, chance)
        yield bytes(data[:4096])


def _change(data: bytearray, seeds: Sequence[bytes], chance: Random) -> None:
    at = chance.randrange(len(data) + 1)
    match chance.randrange(7):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1 if at < len(data):
            data[at] = chance.choice(_TELLING)
        case 2 if at < len(data):
            data[at] = chance.randrange(256)
        case 3:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        case 4:
            del data[at : at + chance.randrange(1, 9)]
        case 5:
            other = chance.choice(seeds)
            data[at:] = other[chance.randrange(len(other) + 1) :]
        case _:
            end = min(len(data), at + chance.randrange(1, 33))
            data[at:at] = data[at:end]
