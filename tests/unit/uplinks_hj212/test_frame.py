"""Frames out of byte streams: whole, in pieces, damaged, sloppy, hostile."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.uplinks.hj212.crc import crc_text
from edge_agent.uplinks.hj212.frame import FrameReader, build_frame
from edge_agent.uplinks.hj212.profile import MAX_SEGMENT

from . import vectors

ONE = vectors.FRAMES[0]
OTHER = vectors.FRAMES[1]


def body(frame: bytes) -> bytes:
    return frame[6:-6]


@pytest.mark.parametrize("frame", vectors.FRAMES)
@pytest.mark.parametrize("lenient", [True, False])
def test_vectors_are_read_and_built(frame: bytes, lenient: bool) -> None:
    reader = FrameReader(lenient=lenient)
    assert reader.feed(frame) == [body(frame)]
    assert build_frame(body(frame)) == frame
    assert not reader.partial
    assert not +reader.faults


@pytest.mark.parametrize("lenient", [True, False])
def test_byte_by_byte(lenient: bool) -> None:
    reader = FrameReader(lenient=lenient)
    stream = b"".join(vectors.FRAMES)
    found = [segment for at in range(len(stream)) for segment in reader.feed(stream[at : at + 1])]
    assert found == [body(frame) for frame in vectors.FRAMES]
    assert not +reader.faults


def test_too_long_is_not_built() -> None:
    assert len(build_frame(b"x" * MAX_SEGMENT)) == MAX_SEGMENT + 12
    with pytest.raises(ValueError, match="1025"):
        build_frame(b"x" * (MAX_SEGMENT + 1))


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize(
    "junk", [b"", b"#", b"###", b"##", b"##00", b"##0x87QN=", b"##9999", b"\x00\xff\r\n##\r\n"]
)
def test_resynchronises_behind_junk(junk: bytes, lenient: bool) -> None:
    reader = FrameReader(lenient=lenient)
    found = reader.feed(junk + ONE + OTHER)
    assert found[-1] == body(OTHER)
    assert body(ONE) in found


def test_a_wrong_length_does_not_swallow_what_follows() -> None:
    reader = FrameReader()
    assert reader.feed(b"##1000QN=2026" + ONE) == []
    assert reader.partial
    assert reader.give_up() == [body(ONE)]
    assert reader.give_up() == []


@pytest.mark.parametrize("at", [2, 5, 20, 100, -5, -3])
def test_one_damaged_byte_costs_one_frame(at: int) -> None:
    damaged = bytearray(ONE)
    damaged[at] ^= 0x41
    reader = FrameReader()
    found = reader.feed(bytes(damaged) + OTHER * 9)
    assert body(ONE) not in found
    assert found[-1] == body(OTHER)
    assert +reader.faults


def test_the_modbus_crc_is_refused() -> None:
    for text, size, _, modbus in vectors.OFFICIAL[:4]:
        assert FrameReader().feed(f"##{size:04d}{text}{modbus}\r\n".encode()) == []


@pytest.mark.parametrize(
    "sloppy",
    [
        ONE[:-6] + ONE[-6:].lower(),
        ONE[:-2],
        b"##201" + ONE[6:],
    ],
    ids=["lower-case CRC", "no CR LF", "three-digit length"],
)
def test_what_is_seen_in_the_field(sloppy: bytes) -> None:
    assert b"c0" in vectors.FRAMES[1].lower()  # the letters matter in at least one vector
    assert FrameReader().feed(sloppy + OTHER) == [body(ONE), body(OTHER)]


@pytest.mark.parametrize("sloppy", [OTHER[:-6] + OTHER[-6:].lower(), OTHER[:-2] + b"##", b"##87" + OTHER[6:]])
def test_strict_takes_none_of_it(sloppy: bytes) -> None:
    assert body(OTHER) not in FrameReader(lenient=False).feed(sloppy)


def test_line_ends_inside_a_segment_do_not_matter() -> None:
    """Encrypted segments hold any byte; one of the standard's examples has 0x0A, another 0x0D."""
    segment = b"QN=1;CP=&&\r\n##0001\r\n\x00\xff&&"
    assert FrameReader(lenient=False).feed(build_frame(segment)) == [segment]


@given(st.binary(max_size=4000), st.booleans(), st.integers(1, 700))
@settings(max_examples=150, deadline=None)
def test_random_bytes_never_raise_and_never_pile_up(data: bytes, lenient: bool, step: int) -> None:
    reader = FrameReader(lenient=lenient)
    for at in range(0, len(data), step):
        reader.feed(data[at : at + step])
        assert len(reader._buffer) <= MAX_SEGMENT + 12
    for _ in range(len(data) + 1):
        reader.give_up()
    assert not reader.partial


@given(
    st.lists(
        st.sampled_from(
            [b"##", b"#", b"0087", b"1024", b"QN=", b"&&", b"C0C1", b"\r\n", b"a", ONE[:50], OTHER]
        )
    )
)
@settings(max_examples=200, deadline=None)
def test_hostile_pieces_never_raise_and_every_answer_has_its_crc(pieces: list[bytes]) -> None:
    for segment in FrameReader().feed(b"".join(pieces)):
        assert crc_text(segment).upper() in b"".join(pieces).upper()


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=6), st.data())
@settings(max_examples=100, deadline=None)
def test_round_trip_in_any_pieces(contents: list[bytes], data: st.DataObject) -> None:
    segments = [b"QN=;CP=&&" + content + b"&&" for content in contents]
    stream = b"".join(build_frame(segment) for segment in segments)
    reader = FrameReader(lenient=data.draw(st.booleans()))
    found, at = [], 0
    while at < len(stream):
        step = data.draw(st.integers(1, 400))
        found += reader.feed(stream[at : at + step])
        at += step
    assert found == segments
