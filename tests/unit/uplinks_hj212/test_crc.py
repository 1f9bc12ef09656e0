"""The CRC is exactly the standard's, and not the one its text names."""

from __future__ import annotations

from random import Random

import pytest

from edge_agent.uplinks.hj212.crc import _TABLE, crc16, crc_text

from . import vectors


@pytest.mark.parametrize(("text", "size", "crc", "modbus"), vectors.OFFICIAL)
def test_official_vectors(text: str, size: int, crc: str, modbus: str) -> None:
    assert len(text.encode()) == size
    assert crc_text(text.encode()).decode() == crc
    assert crc_text(text.encode()).decode() != modbus
    assert f"{_modbus(text.encode()):04X}" == modbus  # the wrong one is the one we think it is


@pytest.mark.parametrize("frame", vectors.OWN)
def test_own_vectors(frame: str) -> None:
    raw = frame.encode()
    assert int(raw[2:6]) == len(raw) - 10
    assert crc_text(raw[6:-4]) == raw[-4:]


def test_misprint_of_the_annex_is_not_taken() -> None:
    assert crc_text(vectors.A_2017.encode()) != b"1C08"


def test_table_begins_as_the_annex() -> None:
    assert [f"{x:04X}" for x in _TABLE[:8]] == [
        "0000",
        "C0C1",
        "C181",
        "0140",
        "C301",
        "03C0",
        "0280",
        "C241",
    ]


def test_only_256_values_exist() -> None:
    random = Random(212)
    found = {crc16(random.randbytes(random.randrange(1, 40))) for _ in range(6000)}
    assert len(found) == 256
    assert {crc & 0xFF for crc in found} == {0x00, 0x01, 0x40, 0x41, 0x80, 0x81, 0xC0, 0xC1}


def test_every_error_of_one_byte_is_seen() -> None:
    raw = bytearray(vectors.A1_2025.encode())
    right = crc16(raw)
    for at in range(len(raw)):
        for change in (1, 0x80, 0xFF):
            raw[at] ^= change
            assert crc16(raw) != right
            raw[at] ^= change


def test_it_is_no_evidence_of_content() -> None:
    """Known weakness, kept as a test so that nobody presents the CRC as integrity."""
    first = vectors.OWN[8].encode()[6:-4]
    assert {crc16(first.replace(b"12.3", value.encode())) for value in vectors.SAME_CRC} == {crc16(first)}


def _modbus(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
    return crc
