"""The inputs both ways of fuzzing begin with: ``corpus/TARGET.txt``, one input per line, in hex."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).with_name("corpus")


def seeds(target: str) -> list[bytes]:
    lines = (_FOLDER / f"{target}.txt").read_text(encoding="ascii").splitlines()
    return [bytes.fromhex(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]
