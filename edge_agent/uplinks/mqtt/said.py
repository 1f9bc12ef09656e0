"""What is said on a connection, by us and by the broker: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Why(Enum):
    """How a connection ended."""

    SAID = "said"  # the broker sent DISCONNECT with a code
    CLOSED = "closed"  # the broker, or something between, closed it without a word
    SILENT = "silent"  # nothing was heard for too long
    BROKEN = "broken"  # the socket failed
    GARBLED = "garbled"  # what came was not MQTT, or not of this version
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class Loss:
    why: Why
    code: int = 0
    text: str = ""
    fault: OSError | None = None


class Over(Exception):
    """The connection ended before an answer came."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.text)
        self.loss = loss


@dataclass(frozen=True, slots=True)
class Call:
    """What CONNECT says. ``will``: topic and payload, published with QoS 1 by the broker when we are gone."""

    client_id: str
    version: str  # "5" or "3.1.1"
    keepalive_s: int
    username: str | None = None
    password: str | None = None
    will: tuple[str, bytes] | None = None
    will_retained: bool = True
    largest: int | None = None  # packet that the broker is known to take
    clean: bool = True  # else the broker keeps what comes for us while we are away


@dataclass(frozen=True, slots=True)
class Receipt:
    """A code of MQTT 5, with the broker's own words; 3.1.1 knows 0 only, but for CONNACK and SUBACK."""

    code: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Greeting:
    """CONNACK. ``code`` 0: connected. The rest is what the broker of MQTT 5 sets as limits."""

    code: int
    text: str = ""
    elsewhere: str = ""
    largest: int | None = None
    in_flight: int = 65_535
    retains: bool = True
    takes_qos1: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: bytes
    retained: bool
