"""Writing: bytes worked out by hand, what is refused, and that a read gets back what was written."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from drivers.modbus import PLUGIN
from drivers.modbus.address import AddressError, parse
from drivers.modbus.kinds import KINDS, ByteOrder
from drivers.modbus.settings import ModbusSettings
from drivers.modbus.write import Write, unwritable, write_request
from edge_agent.errors import Refused
from edge_agent.model import Tag, Value, ValueType


def made(**keys: Any) -> ModbusSettings:
    return ModbusSettings.model_validate({"link": "tcp://127.0.0.1", "station": 17, **keys})


def tag(address: str, kind: str, order: str = "", **keys: Any) -> Tag:
    return Tag("t", address, KINDS[kind].value, wire=kind, byte_order=order, **keys)


def written(target: Tag, raw: Value, **keys: Any) -> Write:
    return write_request(made(**keys), target, raw)


@pytest.mark.parametrize(
    ("target", "raw", "write_with", "pdu", "reply"),
    [
        (tag("co:172", "bool"), True, "single", "05 00 ac ff 00", "05 00 ac ff 00"),
        (tag("00173", "bool"), False, "single", "05 00 ac 00 00", "05 00 ac 00 00"),
        (tag("co:172", "bool"), True, "multiple", "0f 00 ac 00 01 01 01", "0f 00 ac 00 01"),
        (tag("co:172", "bool"), False, "multiple", "0f 00 ac 00 01 01 00", "0f 00 ac 00 01"),
        (tag("co:172", "bool"), True, "readback", "05 00 ac ff 00", "05 00 ac ff 00"),
        (tag("40002", "uint16"), 3, "single", "06 00 01 00 03", "06 00 01 00 03"),
        (tag("hr:1", "int16"), -2, "single", "06 00 01 ff fe", "06 00 01 ff fe"),
        (tag("hr:1", "int16", "BADC"), -2, "single", "06 00 01 fe ff", "06 00 01 fe ff"),
        (tag("hr:1", "uint16"), 3, "multiple", "10 00 01 00 01 02 00 03", "10 00 01 00 01"),
        (tag("hr:1", "uint16"), 3, "readback", "17 00 01 00 01 00 01 00 01 02 00 03", "17 02 00 03"),
        (tag("hr:1", "uint32"), 0x000A0102, "single", "10 00 01 00 02 04 00 0a 01 02", "10 00 01 00 02"),
        (
            tag("hr:1", "uint32", "CDAB"),
            0x000A0102,
            "single",
            "10 00 01 00 02 04 01 02 00 0a",
            "10 00 01 00 02",
        ),
        (tag("hr:1", "float32"), 1.0, "single", "10 00 01 00 02 04 3f 80 00 00", "10 00 01 00 02"),
        (tag("hr:1", "float32"), 1, "single", "10 00 01 00 02 04 3f 80 00 00", "10 00 01 00 02"),
        (tag("hr:1", "float16"), -5.5, "single", "06 00 01 c5 80", "06 00 01 c5 80"),
        (tag("hr:1", "bcd16"), 1234, "single", "06 00 01 12 34", "06 00 01 12 34"),
        (tag("hr:1", "bcd32", "CDAB"), 12345678, "single", "10 00 01 00 02 04 56 78 12 34", "10 00 01 00 02"),
        (tag("hr:1", "string", length=3), "AB", "single", "10 00 01 00 02 04 41 42 00 00", "10 00 01 00 02"),
        (
            tag("hr:1", "string", "DCBA", length=4),
            "ABC",
            "single",
            "10 00 01 00 02 04 42 41 00 43",
            "10 00 01 00 02",
        ),
        (tag("hr:1", "string", length=2, encoding="gbk"), "泵", "single", "06 00 01 b1 c3", "06 00 01 b1 c3"),
        (tag("hr:4.2", "bool"), True, "single", "16 00 04 ff fb 00 04", "16 00 04 ff fb 00 04"),
        (tag("hr:4.2", "bool"), False, "single", "16 00 04 ff fb 00 00", "16 00 04 ff fb 00 00"),
        (tag("hr:4.2", "bool", "BADC"), True, "single", "16 00 04 fb ff 04 00", "16 00 04 fb ff 04 00"),
        (tag("hr:4.h", "uint8"), 0x12, "single", "16 00 04 00 ff 12 00", "16 00 04 00 ff 12 00"),
        (tag("hr:4.l", "int8"), -1, "readback", "16 00 04 ff 00 00 ff", "16 00 04 ff 00 00 ff"),
        (tag("hr:4.l", "uint8", "DCBA"), 7, "single", "16 00 04 00 ff 07 00", "16 00 04 00 ff 07 00"),
    ],
)
def test_bytes(target: Tag, raw: Value, write_with: str, pdu: str, reply: str) -> None:
    made = written(target, raw, write_with=write_with)
    assert (made.pdu.hex(" "), made.reply.hex(" ")) == (pdu, reply)
    assert made.station == 17 and made.function == made.pdu[0]


@pytest.mark.parametrize(
    ("target", "raw", "reason"),
    [
        (tag("di:0", "bool"), True, "can only be read"),
        (tag("ir:0", "int16"), 1, "can only be read"),
        (tag("hr:0", "int16"), 32768, "does not fit int16"),
        (tag("hr:0", "uint16"), -1, "does not fit uint16"),
        (tag("hr:0", "uint32"), 1 << 32, "does not fit uint32"),
        (tag("hr:0", "int64"), 1 << 63, "does not fit int64"),
        (tag("hr:0", "uint16"), 1.5, "not a whole number"),
        (tag("hr:0", "uint16"), True, "not a whole number"),
        (tag("hr:0", "uint16"), "1", "not a whole number"),
        (tag("hr:0", "uint16"), None, "not a whole number"),
        (tag("hr:0", "uint16"), math.nan, "not a whole number"),
        (tag("hr:0", "float32"), math.nan, "not a number"),
        (tag("hr:0", "float32"), math.inf, "not a number"),
        (tag("hr:0", "float32"), True, "not a number"),
        (tag("hr:0", "float32"), 1e39, "does not fit float32"),
        (tag("hr:0", "float64"), 10**400, "does not fit float64"),
        (tag("hr:0", "float16"), 65536.0, "does not fit float16"),
        (tag("hr:0", "bcd16"), 10000, "0 to 9999"),
        (tag("hr:0", "bcd32"), -1, "0 to 99999999"),
        (tag("hr:0.1", "bool"), 1, "not true or false"),
        (tag("co:0", "bool"), 1, "not true or false"),
        (tag("hr:0.h", "uint8"), 256, "does not fit uint8"),
        (tag("hr:0.h", "int8"), -129, "does not fit int8"),
        (tag("hr:0.h", "uint16"), 1, "does not fit"),
        (tag("hr:0", "uint8"), 1, "does not fit"),
        (tag("hr:0", "bool"), True, "does not fit"),
        (tag("co:0", "uint16"), 1, "does not fit"),
        (tag("hr:0", "string", length=4), "ABCDE", "takes 5 bytes"),
        (tag("hr:0", "string", length=4), "泵泵", "takes 6 bytes in utf-8"),
        (tag("hr:0", "string", length=4, encoding="gbk"), "\U0001f600", "cannot be written in gbk"),
        (tag("hr:0", "string", length=4), "A\0B", "not a text"),
        (tag("hr:0", "string", length=4), 5, "not a text"),
        (tag("hr:0", "string", length=248), "A", "124 registers do not fit"),
        (tag("hr:x", "int16"), 1, "not a Modbus address"),
    ],
)
def test_refused(target: Tag, raw: Value, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        written(target, raw)


def test_a_broadcast_is_refused() -> None:
    with pytest.raises(Refused, match="broadcast"):
        written(tag("hr:0", "int16"), 1, station=0)


def test_readback_takes_fewer_registers() -> None:
    target = tag("hr:0", "string", length=246)
    assert len(written(target, "A").pdu) == 6 + 246
    with pytest.raises(Refused, match="121 at most"):
        written(target, "A", write_with="readback")


def test_text_has_both_notations() -> None:
    assert written(tag("hr:1", "float32"), 1.5).text == "FC16 hr:1..2 = 400002..400003 := 1.5"
    assert written(tag("40005.2", "bool"), True).text == "FC22 hr:4.2 = 400005.2 := True"
    with pytest.raises(Refused, match=r"300001 = ir:0"):
        written(tag("ir:0", "int16"), 1)


@given(
    st.sampled_from(
        ["co:3", "di:3", "hr:3", "ir:3", "hr:3.4", "ir:3.4", "hr:3.h", "ir:3.l", "40004", "co:3.1"]
    ),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(["single", "multiple", "readback"]),
    st.sampled_from([0, 1, 17]),
    st.sampled_from([1, 4, 242, 243, 246, 247, 300]),
)
@settings(database=None, print_blob=True, max_examples=600, deadline=None)
def test_what_cannot_be_written_is_known_offline(
    address: str, kind: str, write_with: str, station: int, length: int
) -> None:
    """Exactly that which the link would refuse whatever the value: a value that fits is tried."""
    target = tag(address, kind, length=length)
    device = made(station=station, write_with=write_with)
    known = unwritable(device, target)
    harmless: Value = {"bool": False, "string": ""}.get(kind, 0)
    try:
        parse(address)
        write_request(device, target, harmless)
    except AddressError:
        assert known is None, "the check tells"
    except Refused as error:
        assert known is not None and known.en in str(error)
        assert re.search(r"[\u4e00-\u9fff]", known.zh)
    else:
        assert known is None


def test_a_table_that_is_only_read_is_named_with_the_other() -> None:
    found = unwritable(made(), tag("ir:3", "int16"))
    assert found is not None and "300004 = ir:3" in found.en and "hr:" in found.en
    found = unwritable(made(), tag("di:3", "bool"))
    assert found is not None and "100004 = di:3" in found.en and "co:" in found.en


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int8": st.integers(-(2**7), 2**7 - 1),
    "uint8": st.integers(0, 2**8 - 1),
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "uint64": st.integers(0, 2**64 - 1),
    "float16": st.floats(width=16, allow_nan=False, allow_infinity=False),
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "bcd16": st.integers(0, 9999),
    "bcd32": st.integers(0, 99_999_999),
    "bcd64": st.integers(0, 10**16 - 1),
    "string": st.text("ABC 123泵号", max_size=4).map(lambda text: text.rstrip(" ")),
}


@given(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(ByteOrder),
    st.sampled_from(["single", "multiple", "readback"]),
    st.binary(min_size=32, max_size=32),
    st.data(),
)
@settings(database=None, print_blob=True, max_examples=400, deadline=None)
def test_what_is_written_is_read_back(
    kind: str, order: ByteOrder, write_with: str, before: bytes, data: st.DataObject
) -> None:
    """A device that does what the standard says; everything beside the tag keeps its bytes."""
    raw = data.draw(VALUES[kind])
    assume(not (kind == "string" and len(raw.encode("utf-8")) > 12))
    part = {"bool": ".9", "int8": ".h", "uint8": ".l"}.get(kind, "")
    target = tag(f"hr:4{part}", kind, order, length=12 if kind == "string" else 1)
    after = _performed(before, written(target, raw, write_with=write_with))
    plan = PLUGIN.plan(made(), [target], None, None)
    (request,) = plan.requests
    start, stop = 2 * request.body.offset, 2 * (request.body.offset + request.body.count)
    assert plan.decode([after[start:stop]]).values == (raw,)
    assert after[:start] == before[:start] and after[stop:] == before[stop:]
    if part:
        changed = int.from_bytes(before, "big") ^ int.from_bytes(after, "big")
        assert changed.bit_count() <= (1 if kind == "bool" else 8)


def _performed(image: bytes, write: Write) -> bytes:
    """What FC 6, 16, 22 and 23 do, from their definitions; also checks the reply."""
    registers = list(struct.unpack(f">{len(image) // 2}H", image))
    pdu = write.pdu
    match write.function:
        case 6:
            offset, registers[int.from_bytes(pdu[1:3], "big")] = struct.unpack(">HH", pdu[1:])
            assert write.reply == pdu
        case 16:
            offset, count, size = struct.unpack(">HHB", pdu[1:6])
            assert size == 2 * count == len(pdu) - 6
            registers[offset : offset + count] = struct.unpack(f">{count}H", pdu[6:])
            assert write.reply == pdu[:5]
        case 22:
            offset, keep, value = struct.unpack(">HHH", pdu[1:])
            registers[offset] = (registers[offset] & keep) | (value & ~keep & 0xFFFF)
            assert write.reply == pdu
        case 23:
            read, wanted, offset, count, size = struct.unpack(">HHHHB", pdu[1:10])
            assert (read, wanted) == (offset, count) and size == 2 * count == len(pdu) - 10
            registers[offset : offset + count] = struct.unpack(f">{count}H", pdu[10:])
            assert write.reply == bytes([23, size]) + pdu[10:]
        case _:
            pytest.fail(f"function {write.function} for a register")
    return struct.pack(f">{len(registers)}H", *registers)


def test_every_type_is_tried() -> None:
    assert set(VALUES) == set(KINDS)
    assert {KINDS[kind].value for kind in VALUES} == set(ValueType)
