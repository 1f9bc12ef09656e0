"""The simulated host application finds what an edge node does wrong."""

from __future__ import annotations

import pytest

from hardware_mocks.sparkplug_ledger import Ledger
from hardware_mocks.sparkplug_wire import Malformed, commanded, read_payload, typed

NODE, T = "park/hall-3", 1_732_233_600_000


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def payload(*metrics: bytes, seq: int | None = None) -> bytes:
    out = b"\x08" + varint(T) + b"".join(b"\x12" + varint(len(m)) + m for m in metrics)
    return out + (b"" if seq is None else b"\x18" + varint(seq))


def metric(
    name: str = "", alias: int | None = None, datatype: int | None = None, value: int | None = None, *,
    time_ms: int | None = T, null: bool = False, historical: bool = False, field: int = 11,
) -> bytes:  # fmt: skip
    out = b"\x0a" + varint(len(name)) + name.encode() if name else b""
    out += b"" if alias is None else b"\x10" + varint(alias)
    out += b"" if time_ms is None else b"\x18" + varint(time_ms)
    out += b"" if datatype is None else b"\x20" + varint(datatype)
    out += (b"\x28\x01" if historical else b"") + (b"\x38\x01" if null else b"")
    return out + (b"" if value is None else varint(field << 3) + varint(value))


def bd_seq(value: int = 0) -> bytes:
    return metric("bdSeq", None, 4, value)


REBIRTH = metric("Node Control/Rebirth", None, 11, 0, field=14)
TEMP = metric("temp", 1, 4, 850)


class Told:
    def __init__(self) -> None:
        self.ledger = Ledger()

    def say(
        self, kind: str, *metrics: bytes, seq: int | None = None, device: str = "furnace-1"
    ) -> str | None:
        below = f"/{device}" if kind[0] == "D" else ""
        return self.ledger.take(f"spBv1.0/park/{kind}/hall-3{below}", payload(*metrics, seq=seq))

    def born(self) -> None:
        self.say("NBIRTH", bd_seq(), REBIRTH, seq=0)
        self.say("DBIRTH", TEMP, seq=1)
        assert self.ledger.broken == []


@pytest.fixture
def told() -> Told:
    return Told()


def test_all_is_well(told: Told) -> None:
    told.born()
    assert told.say("DDATA", metric(alias=1, value=851, time_ms=T + 1), seq=2) is None
    assert told.say("DDATA", metric(alias=1, value=840, time_ms=T - 9, historical=True), seq=3) is None
    told.say("DDEATH", seq=4)
    told.say("NDEATH", bd_seq())
    ledger = told.ledger
    assert (ledger.broken, ledger.gaps, ledger.duplicates, ledger.historical) == ([], 0, 0, 1)
    assert ledger.values("furnace-1", "temp") == [840, 851]


def test_a_gap_asks_for_a_rebirth_until_it_comes(told: Told) -> None:
    told.born()
    assert told.say("DDATA", metric(alias=1, value=1), seq=3) == NODE
    assert told.say("DDATA", metric(alias=1, value=2, time_ms=T + 1), seq=4) == NODE
    assert told.ledger.gaps == 1
    assert told.say("NBIRTH", bd_seq(), REBIRTH, seq=0) is None


@pytest.mark.parametrize(
    ("kind", "metrics", "seq", "rule"),
    [
        ("DDATA", [metric(alias=7, value=1)], 2, "was not born"),
        ("DDATA", [metric("temp", value=1)], 2, "was not born"),
        ("DDATA", [metric("temp", alias=1, value=1)], 2, "beside a name"),
        ("DDATA", [metric(alias=1, value=1, time_ms=None)], 2, "no time"),
        ("DDATA", [metric(alias=1)], 2, "or neither"),
        ("DDATA", [metric(alias=1, value=1, null=True)], 2, "null and a value"),
        ("DDATA", [metric(alias=1, value=1, datatype=9)], 2, "datatype 9"),
        ("DDATA", [metric(alias=1, value=1, field=10)], 2, "field 10"),
        ("DDATA", [metric(alias=1, value=1), metric(alias=1, value=1, historical=True)], 2, "in one message"),
        ("DDATA", [], None, "sequence number None"),
        ("DBIRTH", [TEMP, metric("other", 1, 4, 1)], 2, "there twice"),
        ("DBIRTH", [metric("temp", None, 4, 1)], 2, "without name, alias"),
        ("DBIRTH", [metric("temp", 1, None, 1)], 2, "without name, alias"),
        ("NBIRTH", [bd_seq(), REBIRTH], 1, "NBIRTH with sequence number 1"),
        ("NBIRTH", [bd_seq()], 0, "without bdSeq or"),
        ("NBIRTH", [bd_seq(), metric("Node Control/Rebirth", 9, 11, 0, field=14)], 0, "without alias"),
        ("NBIRTH", [metric("bdSeq", None, 8, 0), REBIRTH], 0, "not an Int64"),
        ("NDEATH", [bd_seq()], 5, "NDEATH with a sequence number"),
        ("NDEATH", [], None, "NDEATH with the metrics"),
    ],
)  # fmt: skip
def test_rules(told: Told, kind: str, metrics: list[bytes], seq: int | None, rule: str) -> None:
    told.born()
    told.say(kind, *metrics, seq=seq)
    assert any(rule in broken for broken in told.ledger.broken), told.ledger.broken


def test_the_alias_of_another_device(told: Told) -> None:
    told.born()
    told.say("DBIRTH", metric("speed", 1, 4, 1), seq=2, device="press-1")
    assert "there twice" in told.ledger.broken[0]


def test_data_before_any_birth_and_of_a_dead_device(told: Told) -> None:
    assert told.say("DDATA", metric(alias=1, value=1), seq=0) == NODE
    assert "before its NBIRTH" in told.ledger.broken.pop()
    told.born()
    told.say("DDEATH", seq=2)
    assert told.say("DDATA", metric(alias=1, value=1), seq=3) == NODE
    assert "not alive" in told.ledger.broken[0]


def test_a_present_value_that_goes_back_in_time(told: Told) -> None:
    told.born()
    told.say("DDATA", metric(alias=1, value=1, time_ms=T + 5), metric(alias=1, value=2, time_ms=T + 4), seq=2)
    assert "present value" in told.ledger.broken[0]


def test_the_same_again_is_a_duplicate_and_another_value_a_change(told: Told) -> None:
    told.born()
    told.say("DDATA", metric(alias=1, value=1, time_ms=T + 1), seq=2)
    told.say("DDATA", metric(alias=1, value=1, time_ms=T + 1, historical=True), seq=3)
    assert (told.ledger.duplicates, told.ledger.changed) == (1, 0)
    told.say("DDATA", metric(alias=1, value=2, time_ms=T + 1, historical=True), seq=4)
    assert (told.ledger.duplicates, told.ledger.changed) == (2, 1)


def test_the_death_of_another_birth_kills_nobody(told: Told) -> None:
    told.born()
    told.say("NDEATH", bd_seq(7))
    assert told.ledger.nodes[NODE].online
    assert told.ledger.stale_deaths == 1


@pytest.mark.parametrize(
    "data", ["08", "12ff", "1202", "0b", "12020a05", "0a00", "120108", "ffffffffffffffffffff01"]
)
def test_what_is_no_payload(data: str) -> None:
    with pytest.raises(Malformed):
        read_payload(bytes.fromhex(data))


WRITTEN = [
    (True, 11), (False, 11), (0, 7), (-5, 3), (2**31 - 1, 3), (2**63 - 1, 4), (-(2**63), 4), (0.45, 10),
    ("批次", 12), (None, 12),
]  # fmt: skip


@pytest.mark.parametrize(("value", "datatype"), WRITTEN)
def test_what_a_host_writes_can_be_read(value: bool | int | float | str | None, datatype: int) -> None:
    written = commanded(value, name="setpoint")
    (read,) = read_payload(b"\x12" + varint(len(written)) + written).metrics
    assert typed(read, datatype) == value
