"""What is fuzzed. An input is one byte of choices, then pieces, each behind a byte with its length; 255: the
piece goes on with the next one.

bit 0     the pieces are given the identity of the request they follow (transaction, reference, check sum), so
          that they get past the first door
bits 1-2  0, 1: exchange; 2: write; 3: prove
bits 3-7  which request, or which tag

With every write of the driver the next piece comes back, and with the last of them all that are left; when
there are none the peer closes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from edge_agent.driver import DriverPlugin, Plan, Reserved
from edge_agent.errors import DriverError
from edge_agent.model import Quality, Tag, ValueType
from edge_agent.registry import load_driver
from tests.faults.hostile.frames import Nonsense
from tests.faults.hostile.modbus import crc, lrc
from tests.faults.hostile.opcua import OpcuaTalk
from tests.faults.hostile.s7 import S7Talk
from tests.fuzz.loop import Loop, Stuck

DEADLINE_S = 5.0
_WRITES_MAX = 40
Fix = Callable[[bytes, bytes], bytes]
"""(request, piece) -> the piece as an answer to that request."""

_NUMBERS = (
    ValueType.UINT64, ValueType.INT16, ValueType.FLOAT32, ValueType.FLOAT64, ValueType.UINT32,
    ValueType.UINT16,
)  # fmt: skip


class Target:
    """``talk``: answers honestly until the first request; None where the beginning is fuzzed as well."""

    def __init__(
        self, name: str, driver: str, keys: dict[str, Any], tags: Sequence[Tag], fix: Fix, talk: Any = None
    ) -> None:
        self.name = name
        self._plugin: DriverPlugin = load_driver(driver)
        self._settings = self._plugin.settings.model_validate(keys)
        problems = [p for p in self._plugin.check(self._settings, tags) if not p.warning]
        assert not problems, problems
        self._tags = tuple(tags)
        self._fix = fix
        self._talk = talk
        self._loop = Loop()
        self._link: Any = None
        self._planned: tuple[Any, Plan] | None = None
        self.answered = False

    def __call__(self, data: bytes) -> None:
        """Raises what no driver may raise. ``answered`` then tells whether the driver took the last reply."""
        self.answered = False
        choice, pieces = _parts(data)
        loop = self._loop
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._run(choice, pieces))
        except (DriverError, TimeoutError):
            pass
        except Stuck:
            loop.close()
            self._loop, self._link = Loop(), None
            raise
        if loop.raised:
            error, self._link = loop.raised[0], None
            loop.raised.clear()
            raise error

    def close(self) -> None:
        self._loop.close()
        asyncio.set_event_loop(None)

    async def _run(self, choice: int, pieces: list[bytes]) -> None:
        link, prepared = await self._connected(pieces, choice)
        try:
            async with asyncio.timeout(DEADLINE_S):
                if prepared is None:
                    await link.connect()
                    prepared = await link.enrol(self._settings)
                else:
                    self._loop.script = self._script(pieces, choice)
                await self._act(link, prepared, choice)
                self.answered = True
        except DriverError:
            self._link = None
            await link.close()
            raise
        if self._link is None:
            await link.close()

    async def _connected(self, pieces: list[bytes], choice: int) -> tuple[Any, Any]:
        """A link, and its limits where it is connected already. A connection is used again while it holds."""
        if self._talk is None:
            self._loop.script = self._script(pieces, choice)
            return self._plugin.open_link(self._settings), None
        if self._link is None:
            talk = self._talk()
            self._loop.script = lambda data: _honest(talk, data)
            link = self._plugin.open_link(self._settings)
            await link.connect()
            self._link = (link, await link.enrol(self._settings))
        link, limits = self._link
        return link, limits

    async def _act(self, link: Any, limits: Any, choice: int) -> None:
        if self._planned is None or self._planned[0] != limits:
            self._planned = (limits, self._plugin.plan(self._settings, self._tags, limits, None))
        plan = self._planned[1]
        what, which = choice >> 1 & 3, choice >> 3
        if what == 3:
            reserved = self._plugin.reserve(self._settings, [plan]) if self._plugin.reserve else Reserved()
            await link.prove(self._settings, reserved)
        elif what == 2:
            tag = self._tags[which % len(self._tags)]
            await link.write(self._settings, tag, _RAW.get(tag.type, 1))
        else:
            chosen = which % len(plan.requests)
            reply = await link.exchange(plan.requests[chosen])
            replies = [Quality.BAD_COMM] * len(plan.requests)
            replies[chosen] = reply
            columns = plan.decode(replies)
            assert len(columns.values) == len(columns.quality) == len(self._tags)
            for value, quality in zip(columns.values, columns.quality, strict=True):
                assert (value is None) == Quality(quality).is_bad, (value, quality)

    def _script(self, pieces: list[bytes], choice: int) -> Callable[[bytes], list[bytes] | None]:
        left = list(pieces)
        writes = 0

        def answer(request: bytes) -> list[bytes] | None:
            nonlocal writes
            writes += 1
            if not left or writes > _WRITES_MAX:
                return None
            piece = left.pop(0)
            return [self._fix(request, piece) if choice & 1 else piece]

        return answer


_RAW: dict[ValueType, Any] = {
    ValueType.BOOL: True,
    ValueType.FLOAT32: 1.5,
    ValueType.FLOAT64: 1.5,
    ValueType.STRING: "a",
}


def _honest(talk: Any, data: bytes) -> list[bytes] | None:
    try:
        return [item for item in talk.feed(data) if isinstance(item, bytes)]
    except Nonsense:
        return None


def _parts(data: bytes) -> tuple[int, list[bytes]]:
    choice, at, pieces, longer = (data[0] if data else 0), 1, [], b""
    while at < len(data):
        size = data[at]
        longer += data[at + 1 : at + 1 + size]
        at += 1 + size
        if size < 255 or at >= len(data):
            pieces.append(longer)
            longer = b""
    return choice, pieces


def joined(choice: int, pieces: Sequence[bytes]) -> bytes:
    """The inverse."""
    data = bytes((choice,))
    for piece in pieces:
        parts = [piece[at : at + 255] for at in range(0, len(piece) + 1, 255)]
        data += b"".join(bytes((len(part),)) + part for part in parts)
    return data


# The protocols


def _modbus_tags() -> list[Tag]:
    numbers = [Tag(f"n{i}", f"hr:{8 * i}", kind) for i, kind in enumerate(_NUMBERS)]
    bits = [Tag(f"b{i}", f"co:{i}", ValueType.BOOL) for i in range(11)]
    return [*numbers, Tag("i", "ir:3", ValueType.INT16), *bits, Tag("d", "di:5", ValueType.BOOL)]


def _s7_tags() -> list[Tag]:
    addresses = ["DB1.DBL0", "DB1.DBW20", "DB1.DBD40", "DB1.DBL60", "DB1.DBD80", "DB1.DBW1000"]
    numbers = [Tag(f"n{i}", a, kind) for i, (a, kind) in enumerate(zip(addresses, _NUMBERS, strict=True))]
    return [
        *numbers,
        Tag("b", "DB1.DBX3.3", ValueType.BOOL),
        Tag("t", "DB1.DBB100", ValueType.STRING, length=10),
    ]


def _opcua_tags() -> list[Tag]:
    kinds = [*_NUMBERS, ValueType.BOOL, ValueType.STRING]
    return [Tag(f"n{i}", f"nsu=urn:lineside:hostile;i={i}", kind, length=10) for i, kind in enumerate(kinds)]


def _fix_mbap(request: bytes, piece: bytes) -> bytes:
    return request[:2] + b"\0\0" + (len(piece) + 1).to_bytes(2) + request[6:7] + piece


def _fix_rtu(request: bytes, piece: bytes) -> bytes:
    body = request[:1] + piece
    return body + crc(body)


def _fix_ascii(request: bytes, piece: bytes) -> bytes:
    body = bytes.fromhex(request[1:3].decode()) + piece
    return b":" + (body + lrc(body)).hex().upper().encode() + b"\r\n"


def _fix_s7(request: bytes, piece: bytes) -> bytes:
    if request[5:6] != b"\xf0" or len(request) < 13:  # the connection is not there yet
        return b"\3\0" + (len(piece) + 4).to_bytes(2) + piece
    pdu = b"\x32\3\0\0" + request[11:13] + piece
    return b"\3\0" + (len(pdu) + 7).to_bytes(2) + b"\2\xf0\x80" + pdu


def _fix_opcua() -> Fix:
    number = 0

    def fix(request: bytes, piece: bytes) -> bytes:
        """A message under the request's id; to Hello an Acknowledge."""
        nonlocal number
        if request[:3] == b"HEL":
            number = 1
            return b"ACKF" + (8 + len(piece)).to_bytes(4, "little") + piece
        if request[:3] != b"MSG":
            return request[:4] + (8 + len(piece)).to_bytes(4, "little") + piece
        number += 1
        return _message(request, number, piece)

    return fix


def _message(request: bytes, number: int, piece: bytes) -> bytes:
    head = request[8:16] + number.to_bytes(4, "little") + request[20:24]
    return b"MSGF" + (8 + len(head) + len(piece)).to_bytes(4, "little") + head + piece


def _opcua_reader() -> Target:
    """Numbers go on where the handshake ended, so the fix asks the talk."""
    talks: list[OpcuaTalk] = []

    def talk() -> OpcuaTalk:
        talks[:] = [OpcuaTalk(0)]
        return talks[0]

    def fix(request: bytes, piece: bytes) -> bytes:
        return _message(request, talks[0].next_number(), piece) if request[:3] == b"MSG" else piece

    link = {"link": "opc.tcp://127.0.0.1:4840"}
    return Target("opcua", "opcua", link, _opcua_tags(), fix, talk)


def _modbus(scheme: str, fix: Fix) -> Callable[[], Target]:
    name = f"modbus-{scheme.partition('+')[0]}"
    return lambda: Target(name, "modbus", {"link": f"{scheme}://127.0.0.1:502"}, _modbus_tags(), fix)


def _s7(name: str, talk: Any) -> Callable[[], Target]:
    return lambda: Target(name, "s7", {"link": "tcp://127.0.0.1"}, _s7_tags(), _fix_s7, talk)


TARGETS: dict[str, Callable[[], Target]] = {
    "modbus-tcp": _modbus("tcp", _fix_mbap),
    "modbus-rtu": _modbus("rtu+tcp", _fix_rtu),
    "modbus-ascii": _modbus("ascii+tcp", _fix_ascii),
    "s7-setup": _s7("s7-setup", None),
    "s7": _s7("s7", lambda: S7Talk(0)),
    "opcua-setup": lambda: Target(
        "opcua-setup", "opcua", {"link": "opc.tcp://127.0.0.1:4840"}, _opcua_tags(), _fix_opcua()
    ),
    "opcua": _opcua_reader,
}


def quiet() -> None:
    """No chatter of asyncua's, as in the agent."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
