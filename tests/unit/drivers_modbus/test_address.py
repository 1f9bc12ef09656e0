"""Addresses in both notations, and what people get told about wrong ones."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.address import Address, AddressError, Range, Table, notations, parse, parse_range


@pytest.mark.parametrize(
    ("text", "table", "offset", "bit"),
    [
        ("40001", Table.HOLDING, 0, None),
        ("400001", Table.HOLDING, 0, None),
        ("49999", Table.HOLDING, 9998, None),
        ("465536", Table.HOLDING, 65535, None),
        ("40011.3", Table.HOLDING, 10, 3),
        ("30001", Table.INPUT, 0, None),
        ("365536", Table.INPUT, 65535, None),
        ("300002.15", Table.INPUT, 1, 15),
        ("10001", Table.DISCRETE, 0, None),
        ("110000", Table.DISCRETE, 9999, None),
        ("00001", Table.COIL, 0, None),
        ("000001", Table.COIL, 0, None),
        ("065536", Table.COIL, 65535, None),
        ("hr:0", Table.HOLDING, 0, None),
        ("HR:65535", Table.HOLDING, 65535, None),
        (" ir:7 ", Table.INPUT, 7, None),
        ("hr:10.3", Table.HOLDING, 10, 3),
        ("co:12", Table.COIL, 12, None),
        ("di:0", Table.DISCRETE, 0, None),
    ],
)
def test_meaning(text: str, table: Table, offset: int, bit: int | None) -> None:
    assert parse(text) == Address(table, offset, bit)


@pytest.mark.parametrize(
    ("text", "message", "cure"),
    [
        ("", "not a Modbus address", "hr:0"),
        ("hr", "not a Modbus address", "hr:0"),
        ("hr:", "not a Modbus address", "hr:0"),
        ("hr:-1", "not a Modbus address", "hr:0"),
        ("hr:1.", "not a Modbus address", "hr:0"),
        ("4000001", "not a Modbus address", "hr:0"),
        ("40001,3", "not a Modbus address", "hr:0"),
        ("hr：1", "not a Modbus address", "half-width characters: hr:1"),
        ("４0001", "not a Modbus address", "half-width characters: 40001"),
        ("1", "not a Modbus address", "00001"),
        ("40000", "outside", "400001 to 465536"),
        ("400000", "outside", "400001 to 465536"),
        ("465537", "outside", "hr:65535"),
        ("hr:65536", "outside", "hr:65535"),
        ("20001", "no table begins with 2", "4 a holding register"),
        ("co:1.0", "has no bits", "leave '.0' out"),
        ("10001.1", "has no bits", "leave '.1' out"),
        ("hr:1.16", "bits 0 to 15", "least significant"),
    ],
)
def test_mistakes_have_a_cure(text: str, message: str, cure: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(text)
    assert message in caught.value.message.en
    assert cure in caught.value.cure.en
    assert caught.value.message.zh and caught.value.cure.zh


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hr:10.h", Address(Table.HOLDING, 10, high=True)),
        ("400011.L", Address(Table.HOLDING, 10, high=False)),
        ("ir:0x1F", Address(Table.INPUT, 31)),
        ("HR:0X000a.3", Address(Table.HOLDING, 10, 3)),
        ("co:0xFFFF", Address(Table.COIL, 65535)),
    ],
)
def test_bytes_and_hexadecimal(text: str, expected: Address) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["hr:10.x", "hr:10.hl", "hr:0xG", "hr:0x", "0x10", "co:1.h", "hr:0x10000"])
def test_not_bytes_and_not_hexadecimal(text: str) -> None:
    with pytest.raises(AddressError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hr:100-120", "hr:100..120 = 400101..400121"),
        (" hr:100 - 120 ", "hr:100..120 = 400101..400121"),
        ("hr:100-hr:120", "hr:100..120 = 400101..400121"),
        ("400101-400121", "hr:100..120 = 400101..400121"),
        ("40101-40121", "hr:100..120 = 400101..400121"),
        ("hr:100..120", "hr:100..120 = 400101..400121"),
        ("ir:0x10~0x1f", "ir:16..31 = 300017..300032"),
        ("co:7", "co:7 = 000008"),
        ("10001", "di:0 = 100001"),
    ],
)
def test_ranges(text: str, expected: str) -> None:
    assert str(parse_range(text)) == expected


@pytest.mark.parametrize("text", ["", "hr:2-1", "hr:1-ir:2", "hr:1.2-3", "hr:1-2-3", "hr:1－2", "hr:0-65536"])
def test_not_ranges(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_range(text)
    assert caught.value.cure.en and caught.value.cure.zh


def test_a_range_of_one_place() -> None:
    assert parse_range("hr:5") == Range(Table.HOLDING, 5, 6)


def test_both_notations_for_people() -> None:
    assert notations(parse("40001")) == "400001 = hr:0, FC03"
    assert notations(parse("hr:10.3")) == "400011.3 = hr:10.3, FC03"
    assert notations(parse("ir:0")) == "300001 = ir:0, FC04"
    assert notations(parse("co:9")) == "000010 = co:9, FC01"
    assert notations(parse("di:65535")) == "165536 = di:65535, FC02"


@given(st.sampled_from(Table), st.integers(0, 65535), st.none() | st.integers(0, 15))
@settings(database=None, print_blob=True)
def test_either_notation_leads_back(table: Table, offset: int, bit: int | None) -> None:
    high = None if table.is_bits or bit is None or bit % 3 else bit > 7
    address = Address(table, offset, None if table.is_bits or high is not None else bit, high)
    assert parse(str(address)) == address
    assert parse(address.reference) == address


@given(st.text(max_size=12))
@settings(database=None, print_blob=True, max_examples=300)
def test_any_text_is_an_address_or_a_mistake(text: str) -> None:
    try:
        address = parse(text)
    except AddressError as error:
        assert error.message.en and error.cure.en
    else:
        assert 0 <= address.offset <= 65535
