"""One connection: each question gets what the deck says, at the time the behaviour says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Protocol

from tests.faults.hostile.behaviours import Behaviour, Deck
from tests.faults.hostile.frames import Nonsense, Question, Talk

DRIP_S = 0.3
_DRIP_BYTES = (3, 7)  # on a serial line, where no new connection ends it


class Line(Protocol):
    """Where the bytes go."""

    serial: bool

    def write(self, data: bytes) -> None: ...

    def act(self, behaviour: Behaviour) -> None:
        """RESET, CLOSE or STOLEN."""
        ...


@dataclass(frozen=True, slots=True)
class _Parcel:
    """``make`` is called when its time has come: a reply carries its number in the order of sending."""

    make: Callable[[], tuple[bytes, ...]]
    delay_s: float = 0.0


class Conversation:
    """``timeout_s``: how long the client waits, so that late means late."""

    def __init__(self, talk: Talk, deck: Deck, chance: Random, timeout_s: float, line: Line) -> None:
        self._talk = talk
        self._deck = deck
        self._chance = chance
        self._timeout_s = timeout_s
        self._line = line
        self._waiting: asyncio.Queue[_Parcel] = asyncio.Queue()
        self._busy = False
        self._deaf = False
        self._task: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._missing = 0  # bytes of a frame that was cut

    def received(self, data: bytes) -> None:
        """Raises Nonsense."""
        for item in self._talk.feed(data):
            if isinstance(item, bytes):
                self._send(_Parcel(partial(tuple, [item])))
            elif not self._deaf:  # a slave that is busy with an answer hears no question
                self._treat(item, self._deck.draw())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        for timer in self._timers:
            timer.cancel()

    def _treat(self, question: Question, behaviour: Behaviour) -> None:
        match behaviour:
            case Behaviour.RESET | Behaviour.CLOSE | Behaviour.STOLEN:
                self._line.act(behaviour)
            case Behaviour.LATE:
                self._late(question)
            case Behaviour.TRUNCATED:
                self._send(_Parcel(lambda: self._cut(self._honest(question))))
            case Behaviour.DRIP:
                self._send(_Parcel(lambda: self._drops(self._honest(question))))
            case _:
                self._send(_Parcel(lambda: (question.answer(behaviour, self._chance),)))

    def _honest(self, question: Question) -> bytes:
        return question.answer(Behaviour.OK, self._chance)

    def _late(self, question: Question) -> None:
        delay_s = self._timeout_s * self._chance.uniform(1.1, 5.0)
        if self._talk.in_order:
            self._deaf = self._chance.random() < 0.5
            self._send(_Parcel(lambda: (self._honest(question),), delay_s))
            return
        now = asyncio.get_running_loop().time()
        self._timers = [timer for timer in self._timers if timer.when() > now]
        self._timers.append(
            asyncio.get_running_loop().call_later(delay_s, lambda: self._overtaken(self._honest(question)))
        )

    def _overtaken(self, answer: bytes) -> None:
        """A late answer goes out whatever else is being said, also into the middle of a frame that was cut.
        Only where it would make that frame whole to the byte it is kept: that nobody could tell."""
        if len(answer) != self._missing:
            self._write(answer)

    def _write(self, data: bytes) -> None:
        self._missing = max(0, self._missing - len(data))
        self._line.write(data)

    def _cut(self, answer: bytes) -> tuple[bytes, ...]:
        return self._begun(answer, (answer[: self._chance.randrange(1, len(answer))],))

    def _begun(self, answer: bytes, pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
        self._missing = len(answer)
        return pieces

    def _drops(self, answer: bytes) -> tuple[bytes, ...]:
        most = min(self._chance.randint(*_DRIP_BYTES) if self._line.serial else len(answer), len(answer))
        drops = [answer[i : i + 1] for i in range(most)]
        if self._chance.random() < 0.5:
            drops.append(answer[most:])
        return self._begun(answer, tuple(drops))

    def _send(self, parcel: _Parcel) -> None:
        if not self._busy:
            if not parcel.delay_s:
                pieces = parcel.make()
                if len(pieces) == 1:
                    self._write(pieces[0])
                    return
                parcel = _Parcel(lambda: pieces)
            self._busy = True
        self._waiting.put_nowait(parcel)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while True:
            parcel = await self._waiting.get()
            await asyncio.sleep(parcel.delay_s)
            for number, piece in enumerate(parcel.make()):
                if number:
                    await asyncio.sleep(DRIP_S)
                self._write(piece)
            if self._waiting.empty():
                self._busy = self._deaf = False


def guarded(receive: Callable[[bytes], None], data: bytes) -> bool:
    """False where the client sent nonsense."""
    try:
        receive(data)
    except Nonsense:
        return False
    return True
