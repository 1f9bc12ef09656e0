"""Whatever bytes come: the parsers raise errors of ``edge_agent.errors`` or give what the contract says."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.s7 import PLUGIN, cpu_state, frames, pdu
from drivers.s7.address import AddressMistake, parse
from drivers.s7.settings import S7Settings
from edge_agent.errors import DriverError, LinkLost
from edge_agent.model import Quality, Tag, ValueType

from .plc import acknowledgement, data_packet, good_item, packet, state_reply

lengths = st.lists(st.integers(1, 222), min_size=1, max_size=20)


def mutated(sound: bytes) -> st.SearchStrategy[bytes]:
    """A sound message with a few bytes changed, cut or added."""
    changes = st.lists(st.tuples(st.integers(0, len(sound) - 1), st.integers(0, 255)), max_size=4)

    def apply(change: tuple[list[tuple[int, int]], int, bytes]) -> bytes:
        edits, cut, more = change
        copy = bytearray(sound)
        for at, byte in edits:
            copy[at] = byte
        return bytes(copy[: len(copy) - cut] + more)

    return st.tuples(changes, st.integers(0, 5), st.binary(max_size=5)).map(apply)


READ_REPLY = acknowledgement(5, b"\x04\x02", good_item(b"\x01") + b"\x00" + good_item(b"\x02\x03"))
SETUP_REPLY = acknowledgement(5, bytes.fromhex("f0000001000101e0"), b"")
WRITE_REPLY = acknowledgement(5, b"\x05\x01", b"\xff")
STATE_REPLY = state_reply(5, 8)
any_reply = st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=80).map(lambda data: b"\x32\x03" + data),
    *(mutated(sound) for sound in (READ_REPLY, SETUP_REPLY, WRITE_REPLY, STATE_REPLY)),
)


def quietly(parser: Callable[[], object]) -> object:
    try:
        return parser()
    except DriverError as error:
        assert str(error)
        return None


@settings(max_examples=300)
@given(reply=any_reply, wanted=lengths)
def test_pdu_parsers(reply: bytes, wanted: list[int]) -> None:
    pdu.reference_of(reply)
    quietly(lambda: pdu.parse_setup(reply))
    quietly(lambda: pdu.parse_write(reply))
    cpu_state.parse(reply)
    for asked in (wanted, [1, 2]):
        results = quietly(lambda asked=asked: pdu.parse_read(reply, asked))  # type: ignore[misc]
        if isinstance(results, tuple):
            assert len(results) == len(asked)
            for result, length in zip(results, asked, strict=True):
                assert isinstance(result, Quality) or len(result) == length


CONFIRM = packet(bytes.fromhex("11d00000000100c0010ac1020100c2020201"))
streams = st.one_of(
    st.binary(max_size=120),
    mutated(CONFIRM),
    mutated(data_packet(READ_REPLY)),
    mutated(packet(b"\x02\xf0\x00" + READ_REPLY[:9]) + data_packet(READ_REPLY[9:])),
    st.lists(st.sampled_from([CONFIRM, data_packet(READ_REPLY)]), max_size=4).map(b"".join),
)


@settings(max_examples=300)
@given(stream=streams, cuts=st.lists(st.integers(1, 30), min_size=1, max_size=10), limit=st.integers(0, 300))
def test_the_stream(stream: bytes, cuts: list[int], limit: int) -> None:
    """Any stream in any pieces gives what it gives in one piece, and never keeps more than one packet."""

    def feed(pieces: list[bytes]) -> list[frames.Tpdu | None]:
        reassembler = frames.Reassembler(limit)
        found: list[frames.Tpdu | None] = []
        try:
            for piece in pieces:
                found.extend(reassembler.feed(piece))
                assert len(reassembler._buffer) <= limit + 7
        except LinkLost as error:
            assert str(error)
            found.append(None)
        return found

    pieces, at = [], 0
    while at < len(stream):
        step = cuts[len(pieces) % len(cuts)]
        pieces.append(stream[at : at + step])
        at += step
    assert feed(pieces) == feed([stream])


@given(confirm=st.one_of(st.binary(max_size=40), mutated(CONFIRM[4:])))
def test_the_connect_confirm(confirm: bytes) -> None:
    size = quietly(lambda: frames.tpdu_size(confirm))
    assert size is None or size in (128, 256, 512, 1024, 2048, 4096, 8192)


@given(
    text=st.one_of(
        st.text(max_size=30),
        st.from_regex(r"%?(DB\d{1,9}\.DB[XBWDL]|[MIQEATCZ][XBWDL]?)\d{1,9}(\.\d{1,3})?", fullmatch=True),
    ),
    kind=st.sampled_from(list(ValueType)),
    wire=st.sampled_from(["", *PLUGIN.types, "nonsense"]),
    length=st.integers(0, 300),
)
def test_addresses(text: str, kind: ValueType, wire: str, length: int) -> None:
    """Check never raises; what it passes can be planned; an address written back means the same place."""
    tag = Tag("t", text, PLUGIN.types.get(wire, kind), wire=wire, length=length)
    device = S7Settings(link="tcp://plc")
    problems = PLUGIN.check(device, [tag])
    try:
        point = parse(text)
    except AddressMistake:
        assert any(problem.code == "E-S7-ADDRESS" for problem in problems)
        return
    assert parse(str(point)) == point or point.german or (point.letter == "X" and point.bit is None)
    if all(problem.warning for problem in problems):
        assert PLUGIN.plan(device, [tag], None, None).requests
