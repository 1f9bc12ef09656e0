"""SM4, against the annex."""

from __future__ import annotations

import pytest

from edge_agent.uplinks.hj212.cipher import Sm4, is_secret, key_of
from edge_agent.uplinks.hj212.frame import FrameReader, build_frame

from . import vectors

KEY = b"0" * 16
_COMMON = (
    "E43E159ACFAB242CB53155FB8B9281A1A242577ABFAED881BE88B72D69FC55ED1A80119FAAC8B3CD33D285CC76F57F2C"
    "A7F88B9573C6647E0F07E24609BD6B63EB20C5B9784F28E71D2F4994FF61D9E1"
)
LONG = bytes.fromhex(
    _COMMON
    + "C2B3075592B4D1E09C4D8BB27BE97B559E3DA6643781A6F477769DEEB009B10DFFF3426922725D607DC4480F0CAC5F70"
    "DB2587B124BCB281592721D6E4BC180A97E5E111499CBE822E31C8D7761553543AA24207C290997BBDE64F9266BC5F52"
    "9A172E381C1D898CA1A0D771A914A7B2D7467C70B94F1D4A7B0350A48DBF8B41"
)
SHORT = bytes.fromhex(
    _COMMON
    + "3B391A1D2A454B65388D5D9435DBF021528C7BF9755EF16518710C0CAC0ADEF9C5156CD0A5A17674AC0ED2ABC40023E9"
    "EF70128554B82438E91ADCE98A0D03A4"
)
OWN = bytes.fromhex(
    "232330313430514e3d32303236303130313038303030303132333b53543d33313b434e3d323031313b50573d31323334"
    "35363b4d4e3d3031303030304138393030303136463030303136394443303b466c61673d393b43503d26267d95de3bb5"
    "45773f93c0fcc77f77259a0197ba890ef8651d8878b3bc2c58c1c2ef2b8062f1e088c1db5c7181cde273896c61673d4e"
    "2626353838300d0a"
)


@pytest.mark.parametrize(
    ("segment", "secret", "rest"), [(vectors.A2_2025_LONG, LONG, b""), (vectors.A2_2025_SHORT, SHORT, b"g=N")]
)
def test_annex_a2(segment: str, secret: bytes, rest: bytes) -> None:
    plain = build_frame(segment.encode())
    sealed = Sm4(KEY).seal(plain)
    begin = plain.index(b"CP=&&") + 5
    assert sealed[begin:-8] == secret + rest
    assert (sealed[:begin], sealed[-8:]) == (plain[:begin], plain[-8:])
    assert int(sealed[2:6]) == len(sealed) - 12
    assert Sm4(KEY).unseal(sealed) == plain


def test_own_vector() -> None:
    assert Sm4(KEY).seal(vectors.FRAMES[8]) == OWN
    assert len(OWN) == 152


def test_standard_vector_of_sm4() -> None:
    block = bytes.fromhex("0123456789abcdeffedcba9876543210")
    sealed = Sm4(block).seal(b"CP=&&" + block + b"&&0000\r\n")
    assert sealed[5:21].hex() == "681edf34d206965e86b3e94f536e4246"


def test_a_receiver_without_the_key_sees_a_wrong_crc() -> None:
    assert FrameReader(lenient=False).feed(OWN) == []


def test_what_stays_plain() -> None:
    commands = ("2011", "2051", "9014", "9015", "1011", "1013", "1014", "3020", "3019")
    assert [cn for cn in commands if is_secret(cn)] == ["2011", "2051", "1014", "3020"]
    empty = vectors.FRAMES[1]
    assert Sm4(KEY).seal(empty) == empty


@pytest.mark.parametrize("text", ["", "short", "x" * 17, "x" * 32, "é" * 8])
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        key_of(text)


def test_both_spellings_of_a_key() -> None:
    assert key_of("30" * 16) == key_of("0" * 16) == KEY
