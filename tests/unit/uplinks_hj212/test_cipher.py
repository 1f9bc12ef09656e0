"""SM4, against the annex."""

from __future__ import annotations

import base64

import pytest

from edge_agent.uplinks.hj212.cipher import HEX_BRACES, Sm4, is_secret, key_of
from edge_agent.uplinks.hj212.frame import FrameReader, Unsealed, build_frame

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


def test_printed_form() -> None:
    """How two public codecs put it on the wire; the length stays that of the plain frame."""
    sealed = Sm4(KEY, HEX_BRACES).seal(vectors.FRAMES[8])
    begin = OWN.index(b"CP=&&") + 5
    printed = ",".join(f"0x{byte:02X}" for byte in OWN[begin:-13]).encode()
    assert sealed == OWN[:begin] + b"{" + printed + b"}" + OWN[-13:]
    assert Sm4(KEY, HEX_BRACES).seal(vectors.FRAMES[1]) == vectors.FRAMES[1]


def test_multimedia_credentials_of_annex_h() -> None:
    """Not sent by this agent; the block cipher underneath is the same."""
    plain = b"testuser:AezF0nZRs4kypuGO"
    padded = plain + bytes([16 - len(plain) % 16]) * (16 - len(plain) % 16)
    sealed = Sm4(b"msbE74gsiSHSEh5e").seal(b"CP=&&" + padded + b"&&0000\r\n")[5:-8]
    assert base64.b64encode(sealed).decode() == "LG/m7lsFU/taig+vbQsDJXy4NGAaE2j2lplPwhZM7iM="


def key_frame(cn: str = "1014") -> bytes:
    data = "SKCreateTime=20260101080000;NewSK=0123456789abcdef"
    text = f"QN=20260101080000000;ST=31;CN={cn};PW=123456;MN={vectors.MN};Flag=9;CP=&&{data}&&"
    return build_frame(text.encode())


@pytest.mark.parametrize("lenient", [True, False])
def test_an_encrypted_key_is_read_between_plain_frames(lenient: bool) -> None:
    stream = vectors.FRAMES[1] + Sm4(KEY).seal(key_frame()) + vectors.FRAMES[6]
    for step in (1, 7, len(stream)):
        reader = FrameReader(lenient=lenient, unseal=Sm4(KEY).unseal)
        found = [s for at in range(0, len(stream), step) for s in reader.feed(stream[at : at + step])]
        assert found == [vectors.FRAMES[1][6:-6], key_frame()[6:-6], vectors.FRAMES[6][6:-6]]
        assert [isinstance(s, Unsealed) for s in found] == [False, True, False]
        assert not +reader.faults


def test_with_another_key_or_command_it_is_a_damaged_frame() -> None:
    for frame, unseal in (
        (Sm4(KEY).seal(key_frame()), Sm4(b"1" * 16).unseal),
        (Sm4(KEY).seal(key_frame("3021")), Sm4(KEY).unseal),
        (Sm4(KEY).seal(key_frame()), None),
    ):
        reader = FrameReader(unseal=unseal)
        assert reader.feed(frame + vectors.FRAMES[1]) == [vectors.FRAMES[1][6:-6]]
        assert reader.faults["crc"]


def test_a_plain_key_is_not_taken_for_an_encrypted_one() -> None:
    (segment,) = FrameReader(unseal=Sm4(KEY).unseal).feed(key_frame())
    assert not isinstance(segment, Unsealed)
