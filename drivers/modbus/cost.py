"""What a request costs on each transport: bytes and seconds. Pure; the plan minimises it.

Ethernet (``tcp``, ``tls``, ``rtu+tcp``, ``ascii+tcp`` without ``baud``)
    ``response_time`` for the network and the device, which answers once per scan (4 ms unless told), and
    20 µs for each byte of data, the pace of a small PLC. The numbers are not a limit of the network: they
    say how much a device minds one more register against one more request.

Serial (``rtu``, ``ascii``, and the others with ``baud``: the bus behind the gateway)
    Characters of start bit, ``data_bits``, parity bit and ``stop_bits`` at ``baud``. One exchange is::

        silence | request | response_time | reply | usb_latency

    The silence is that of RTU, 3.5 characters, above 19200 baud 1.75 ms whatever the speed, or ``turnaround``
    where that is longer; ASCII has none, its frames begin and end with characters of their own.
    ``response_time``, from the end of the request to the start of the reply, is 10 ms unless told and never
    shorter than the silence by which the device knows the end. A USB adapter keeps the end of a reply back
    for ``usb_latency`` (16 ms unless told, 0 where the port is not USB). This computer, or the gateway and
    the network, add 1 ms.

The cost of a reply of n data bytes is therefore ``request_ns + byte_ns * n``: one number per request against
one per byte, and whether a gap is worth reading over follows from the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.modbus.settings import ModbusSettings

ETHERNET_RESPONSE_S = 0.004
ETHERNET_BYTE_S = 0.000_02
SERIAL_RESPONSE_S = 0.010
TURN_S = 0.001
USB_LATENCY_S = 0.016

_SILENCE_CHARACTERS = 3.5
_SHORTEST_SILENCE_S = 0.001_75

# Bytes of request and of reply without its data, and what one byte of data becomes.
_MBAP = (12, 9, 1)
_RTU = (8, 5, 1)
_ASCII = (17, 11, 2)


@dataclass(frozen=True, slots=True)
class Cost:
    """Whole nanoseconds, so that equal costs compare equal. ``frame_bytes``: both frames without data."""

    request_ns: int
    byte_ns: int
    frame_bytes: int
    wire_bytes_per_byte: int = 1

    def ns(self, size: int) -> int:
        """Of one request whose reply holds ``size`` data bytes."""
        return self.request_ns + self.byte_ns * size

    def size_bytes(self, size: int) -> int:
        return self.frame_bytes + self.wire_bytes_per_byte * size


def cost_of(settings: ModbusSettings) -> Cost:
    scheme = settings.link.partition(":")[0]
    framing = _RTU if scheme.startswith("rtu") else _ASCII if scheme.startswith("ascii") else _MBAP
    request, reply, factor = framing
    if settings.baud is None and not is_serial(settings.link):
        response_s = ETHERNET_RESPONSE_S if settings.response_time is None else settings.response_time
        return Cost(round(response_s * 1e9), round(ETHERNET_BYTE_S * 1e9), request + reply, factor)
    on_bus = _RTU if framing is _MBAP else framing
    request_s, byte_s = _bus(settings, on_bus)
    return Cost(round(request_s * 1e9), round(byte_s * 1e9), request + reply, factor)


def is_serial(link: str) -> bool:
    """Whether the link is a serial port of this computer."""
    return link.startswith(("rtu://", "ascii://"))


def silence_s(settings: ModbusSettings) -> float:
    """What must pass between two RTU frames; 0 in ASCII."""
    if settings.link.startswith("ascii"):
        return 0.0
    return max(_SILENCE_CHARACTERS * _character_s(settings), _SHORTEST_SILENCE_S)


def has_identity(link: str) -> bool:
    """Whether replies carry a transaction id."""
    return link.startswith(("tcp://", "tls://"))


def _bus(settings: ModbusSettings, framing: tuple[int, int, int]) -> tuple[float, float]:
    """Seconds of an exchange without data, and of a byte of data."""
    request, reply, factor = framing
    character_s, silence = _character_s(settings), silence_s(settings)
    response_s = SERIAL_RESPONSE_S if settings.response_time is None else settings.response_time
    pauses_s = max(silence, settings.turnaround) + max(silence, response_s)
    fixed_s = pauses_s + (request + reply) * character_s + _adapter_s(settings) + TURN_S
    return fixed_s, factor * character_s


def _character_s(settings: ModbusSettings) -> float:
    parity = 0 if settings.parity == "none" else 1
    return (1 + settings.data_bits + parity + settings.stop_bits) / (settings.baud or 9600)


def _adapter_s(settings: ModbusSettings) -> float:
    if settings.usb_latency is not None:
        return settings.usb_latency
    usb = is_serial(settings.link) and "usb" in settings.link.lower()
    return USB_LATENCY_S if usb else 0.0
