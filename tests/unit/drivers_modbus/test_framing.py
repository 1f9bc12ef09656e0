"""Frames in a stream of bytes: found whatever is around them, never made up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.framing import ASCII_LONGEST, RTU_LONGEST, AsciiFraming, RtuFraming, crc16, lrc

REPLY = bytes([3, 4, 0, 7, 0, 11])

bodies = st.binary(min_size=1, max_size=40)
stations = st.integers(0, 255)
data = st.binary(min_size=2, max_size=250).filter(lambda text: len(text) % 2 == 0)


@given(bodies)
def test_checksums_are_those_of_another_implementation(body: bytes) -> None:
    """Bit by bit, as the serial line specification draws them."""
    crc = 0xFFFF
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    assert crc16(body) == crc
    assert (sum(body) + lrc(body)) % 256 == 0


def test_an_example_of_the_specification() -> None:
    """Serial line specification 1.02, appendix B: station 2, function 7 has the checksum 0x1241."""
    assert RtuFraming().encode(2, b"\7").hex(" ") == "02 07 41 12"
    assert AsciiFraming().encode(2, b"\7") == b":0207F7\r\n"


@pytest.mark.parametrize("make", [RtuFraming, AsciiFraming])
@given(station=stations, content=data, cuts=st.lists(st.integers(1, 30), max_size=40))
def test_a_frame_in_any_pieces(make: type[Any], station: int, content: bytes, cuts: list[int]) -> None:
    framing, pdu = make(), bytes([3, len(content)]) + content
    stream, frames = framing.encode(station, pdu) * 2, []
    for size in [*cuts, len(stream)]:
        frames += framing.feed(stream[:size])
        stream = stream[size:]
    assert frames == [(station, pdu)] * 2
    assert framing.garbage == 0


@given(garbage=st.binary(max_size=300), station=stations, content=data)
def test_a_frame_behind_garbage_is_found_once_the_line_is_quiet(
    garbage: bytes, station: int, content: bytes
) -> None:
    framing, pdu = RtuFraming(), bytes([3, len(content)]) + content
    frames = framing.feed(garbage + framing.encode(station, pdu))
    frames += framing.quiet()
    assert (station, pdu) in frames
    assert not framing.waiting


@given(garbage=st.binary(max_size=600), station=stations, content=data)
def test_an_ascii_frame_behind_garbage(garbage: bytes, station: int, content: bytes) -> None:
    framing, pdu = AsciiFraming(), bytes([3, len(content)]) + content
    assert (station, pdu) in framing.feed(garbage + framing.encode(station, pdu))


@pytest.mark.parametrize("make", [RtuFraming, AsciiFraming])
@given(station=stations, content=data, at=st.integers(0), flip=st.integers(1, 255))
def test_a_damaged_byte_is_never_taken_for_a_frame(
    make: type[Any], station: int, content: bytes, at: int, flip: int
) -> None:
    framing, pdu = make(), bytes([3, len(content)]) + content
    frame = bytearray(framing.encode(station, pdu))
    frame[at % len(frame)] ^= flip
    found = [*framing.feed(bytes(frame)), *framing.quiet()]
    if make is AsciiFraming and frame.upper() == framing.encode(station, pdu):
        assert found == [(station, pdu)]  # a small letter is the same digit
        return
    assert (station, pdu) not in found
    assert all(body[0] != 3 for _, body in found)


def test_a_request_inside_the_data_of_a_reply_is_data() -> None:
    """However the bytes come in: the frame is over when its own byte count says so."""
    framing = RtuFraming()
    inner = framing.encode(9, REPLY)
    outer = framing.encode(9, bytes([3, len(inner) + 1]) + inner + b"\0")
    for byte in outer[:-1]:
        assert framing.feed(bytes([byte])) == []
    ((station, pdu),) = framing.feed(outer[-1:])
    assert (station, pdu[2:-1]) == (9, inner)


def test_a_start_that_promises_too_much_is_given_up_in_silence() -> None:
    framing = RtuFraming()
    frame = framing.encode(5, REPLY)
    assert framing.feed(b"\x05\x03\xf0" + frame) == []
    assert framing.waiting
    assert framing.quiet() == [(5, REPLY)]
    assert (framing.garbage, framing.waiting) == (3, False)


@pytest.mark.parametrize(
    "pdu",
    [
        "03 00 6b 00 02",  # a request of another master
        "83 02",
        "05 00 01 ff 00",
        "06 00 01 12 34",
        "08 00 00 be ef",
        "0f 00 13 00 0a",
        "0f 00 13 00 0a 02 cd 01",
        "10 00 01 00 02",
        "10 00 01 00 02 04 00 0a 01 02",
        "16 00 04 00 f2 00 25",
        "17 04 00 01 00 02",
        "17 00 03 00 01 00 0e 00 01 02 00 ff",
        "11 03 01 ff 00",
        "07 6d",
    ],
)
def test_requests_and_replies_of_others_are_frames_too(pdu: str) -> None:
    framing, body = RtuFraming(), bytes.fromhex(pdu)
    frames = framing.feed(framing.encode(17, body)) + framing.feed(framing.encode(18, REPLY))
    frames += framing.quiet()
    assert frames == [(17, body), (18, REPLY)]


def test_what_began_like_the_reply_is_told_from_other_garbage() -> None:
    framing = RtuFraming()
    framing.watch = (17, 3)
    framing.feed(b"\x11\x04\x02\0\0\0\0\0\0\0\0")
    framing.quiet()
    assert not framing.damaged
    framing.feed(framing.encode(17, REPLY)[:-1] + b"\xff")
    framing.quiet()
    assert framing.damaged
    framing.clear()
    assert not framing.damaged


@given(st.lists(st.binary(max_size=2000), max_size=20))
def test_at_most_one_frame_is_kept(pieces: list[bytes]) -> None:
    rtu, ascii_ = RtuFraming(), AsciiFraming()
    for piece in pieces:
        rtu.feed(piece)
        ascii_.feed(b":" + piece)
        assert len(rtu._rest) <= RTU_LONGEST
        assert len(ascii_._rest) <= ASCII_LONGEST


def test_an_ascii_frame_longer_than_the_standard_allows_is_garbage() -> None:
    framing = AsciiFraming()
    assert framing.feed(framing.encode(1, bytes([3]) + bytes(252))) == [(1, bytes([3]) + bytes(252))]
    assert framing.feed(framing.encode(1, bytes([3]) + bytes(253))) == []
    assert framing.feed(framing.encode(1, REPLY)) == [(1, REPLY)]
