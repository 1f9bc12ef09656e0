"""A frame that breaks off and is made whole by the bytes of another: the head is right, the rest is not.

Only where the other's bytes end the frame exactly can nobody tell.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from random import Random
from typing import Any

import pytest

from tests.faults.hostile.behaviours import Behaviour
from tests.faults.hostile.modbus import MbapTalk
from tests.faults.hostile.opcua import OpcuaTalk
from tests.faults.hostile.s7 import S7Talk
from tests.fuzz.targets import TARGETS, quiet

TALKS: dict[str, Callable[[int], Any]] = {
    "modbus-tcp": MbapTalk,
    "s7-setup": S7Talk,
    "opcua-setup": OpcuaTalk,
}


class _Alone(Random):
    """A foreign answer comes without the right one behind it."""

    def random(self) -> float:
        return 0.9


@pytest.mark.parametrize("name", TALKS)
def test_a_cut_frame_is_never_believed(name: str) -> None:
    quiet()
    chance = _Alone(1)
    tried = believed = 0

    def cut(missing: int) -> Any:
        """In place of ``Target._script``."""
        talk = TALKS[name](0)

        def answer(request: bytes) -> list[bytes] | None:
            nonlocal tried
            for item in talk.feed(request):
                if isinstance(item, bytes):
                    return [item]
                whole, other = item.answer(Behaviour.OK, chance), item.answer(Behaviour.FOREIGN, chance)
                if missing < len(whole) and missing != len(other):
                    tried += 1
                    return [whole[: len(whole) - missing], other] if missing else [whole]
            return None

        return lambda pieces, choice: answer

    with closing(TARGETS[name]()) as target:
        for number in [n for n in range(6) if _is_read(target, n, cut(0))]:
            for missing in range(1, 200):
                target._script = cut(missing)  # type: ignore[method-assign]  # the other side of the talk
                before = tried
                target(bytes((1 | number << 3,)))
                believed += target.answered and tried > before
    assert tried > 20
    assert believed == 0


def _is_read(target: Any, number: int, script: Any) -> bool:
    """Whether that request is one that reads values."""
    target._script = script
    target(bytes((1 | number << 3,)))
    return bool(target.answered)
