"""One draft on its way over one connection: what was posted, and what the broker said to each message."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

from edge_agent.uplink import Answer, Verdict
from edge_agent.uplinks.mqtt.drafting import Draft, Letter
from edge_agent.uplinks.mqtt.link import Link, Loss, Over, Receipt

MOST_IN_FLIGHT = 16


class Delivery:
    """``judge`` may raise what concerns all of a message; what was taken before stands in ``taken`` then."""

    def __init__(
        self,
        link: Link,
        draft: Draft,
        user: Sequence[tuple[str, str]],
        judge: Callable[[Receipt, Letter], Verdict],
    ) -> None:
        self._link = link
        self._draft = draft
        self._user = tuple(user)
        self._judge = judge
        self._left = Counter(unit for letter in draft.letters for unit in letter.units)
        self._failed: dict[int, Verdict] = {}

    @property
    def taken(self) -> list[int]:
        """Units all of whose messages the broker has."""
        return [unit for unit, left in self._left.items() if left == 0 and unit not in self._failed]

    def verdict(self, unit: int, taken: Verdict) -> Verdict:
        """After ``run``. ``taken``: for units that the broker has."""
        return self._draft.settled.get(unit) or self._failed.get(unit, taken)

    async def run(self) -> None:
        """Raises TooLarge before anything is sent, Over when the connection ended."""
        letters = self._draft.letters
        for letter in letters:
            self._link.check_size(letter.topic, letter.payload, user=self._properties(letter))
        limit = max(1, min(self._link.greeting.in_flight, MOST_IN_FLIGHT))
        waiting = iter(letters)
        while some := list(islice(waiting, limit)):
            answers = [self._post(letter) for letter in some]
            for letter, answer in zip(some, answers, strict=True):
                receipt = await answer
                if isinstance(receipt, Loss):
                    raise Over(receipt)
                self._note(letter, self._judge(receipt, letter))

    def _post(self, letter: Letter) -> asyncio.Future[Receipt | Loss]:
        return self._link.post(letter.topic, letter.payload, user=self._properties(letter))

    def _properties(self, letter: Letter) -> Sequence[tuple[str, str]]:
        return (*self._user, ("idempotency-key", letter.name))

    def _note(self, letter: Letter, verdict: Verdict) -> None:
        for unit in letter.units:
            self._left[unit] -= 1
            if verdict.answer is not Answer.ACKNOWLEDGED:
                self._failed.setdefault(unit, verdict)
