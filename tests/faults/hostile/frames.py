"""What a protocol gives the server: bytes in, out come replies for at once, and questions to lie about."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from random import Random
from typing import Protocol

from tests.faults.hostile.behaviours import Behaviour


class Question(Protocol):
    """One read request that came in."""

    @abstractmethod
    def answer(self, behaviour: Behaviour, chance: Random) -> bytes:
        """The bytes for OK, SHORT, LONG, FOREIGN, FUNCTION, UNIT, HUGE or FLOOD; never asked for another."""


class Talk(Protocol):
    """One connection's side of the protocol. Raises Nonsense for what is no request."""

    in_order: bool
    """Whether answers come strictly in the order of their requests, as from a bus."""

    @abstractmethod
    def feed(self, data: bytes) -> Iterator[bytes | Question]: ...


class Stream:
    """What every ``Talk`` begins with: which link it is, and the bytes that are no whole request yet."""

    def __init__(self, link: int) -> None:
        self._link = link
        self._buffer = b""


class Nonsense(Exception):
    """The client sent what is no request: this server closes the connection."""


def noise(chance: Random, most: int) -> bytes:
    return chance.randbytes(chance.randrange(most // 8, most))
