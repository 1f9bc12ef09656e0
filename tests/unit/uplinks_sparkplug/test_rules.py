"""The primary host's STATE, what a connection has outlived, commands, topics."""

from __future__ import annotations

import json
import random

import pytest

from edge_agent.model import ValueType
from edge_agent.uplink import Key
from edge_agent.uplinks.sparkplug import topics
from edge_agent.uplinks.sparkplug.outlived import Outlived
from edge_agent.uplinks.sparkplug.primary import PrimaryHost
from hardware_mocks import sparkplug_wire as wire
from hardware_mocks.sparkplug_ledger import REBIRTH
from tests.unit.uplinks_sparkplug.made import Session, minutes, reading, schema


def state(online: object, timestamp: object) -> bytes:
    return json.dumps({"online": online, "timestamp": timestamp}).encode()


def test_the_first_word_counts_whatever_its_time() -> None:
    host = PrimaryHost()
    assert host.online is None
    assert host.heard(state(False, 5))
    assert host.online is False


def test_older_words_change_nothing() -> None:
    host = PrimaryHost()
    host.heard(state(True, 100))
    assert not host.heard(state(False, 99)), "the will of a connection before this one"
    assert host.online
    assert host.heard(state(False, 100)), "the will has the time of the birth"
    assert not host.heard(state(True, 99))
    assert host.heard(state(True, 101))
    assert host.online


@pytest.mark.parametrize(
    "payload",
    [
        b"ONLINE", b"", b"\xff\xfe", b"[]", b"null", b"[" * 100_000, state("true", 1), state(1, 1),
        state(True, "1"),
        state(True, None), state(True, True), state(True, 1.5), b'{"online": true}', b'{"timestamp": 1}',
    ],
)  # fmt: skip
def test_what_is_no_state_is_passed_over(payload: bytes) -> None:
    host = PrimaryHost()
    assert not host.heard(payload)
    assert host.online is None


S = 1_000_000_000


def keys(*numbers: int) -> list[Key]:
    return [Key("samples", 1, number) for number in numbers]


def test_a_proof_confirms_what_is_old_enough_and_nothing_else() -> None:
    outlived = Outlived(17.0)
    assert outlived.due_ns() is None
    outlived.sent(keys(1, 2), 100 * S)
    outlived.sent(keys(3), 105 * S)
    assert outlived.due_ns() == 117 * S
    assert outlived.proved(117 * S - 1) == []
    assert outlived.proved(117 * S) == keys(1, 2)
    assert outlived.due_ns() == 122 * S
    assert outlived.proved(121 * S) == []
    assert outlived.proved(200 * S) == keys(3)
    assert outlived.proved(900 * S) == []


def test_nothing_sent_is_nothing_to_wait_for() -> None:
    outlived = Outlived(17.0)
    outlived.sent([], 0)
    assert outlived.due_ns() is None


OF = schema(
    tags=[
        ("setpoint", ValueType.FLOAT32, "MPa", None), ("mode", ValueType.INT16, "", None),
        ("total", ValueType.UINT64, "", None), ("name", ValueType.STRING, "", None),
        ("run", ValueType.BOOL, "", None),
    ]
)  # fmt: skip


def asked(session: Session, *metrics: bytes, device: str = "press-1") -> list[tuple[str, dict[str, object]]]:
    requests = session.node.requests(device, wire.command(1, list(metrics)))
    return [("rebirth" if r.rebirth else r.kind, dict(r.detail)) for r in requests]


@pytest.fixture
def session() -> Session:
    session = Session()
    session.born(reading(OF, 0, [0.4, 1, 2**63, "a", True]))
    return session


@pytest.mark.parametrize(
    ("tag", "value"),
    [("setpoint", 0.45), ("mode", -5), ("mode", 7), ("total", 2**64 - 1), ("name", "批次 7"), ("run", False)],
)
def test_a_write_by_alias_and_by_name(session: Session, tag: str, value: wire.Value) -> None:
    alias, _ = session.ledger.metric("press-1", tag)
    expected = [("write", {"tag": f"press-1.{tag}", "value": value})]
    assert asked(session, wire.commanded(value, alias=alias)) == expected
    assert asked(session, wire.commanded(value, name=tag)) == expected


def test_what_cannot_be_a_write_is_told_as_that(session: Session) -> None:
    alias, _ = session.ledger.metric("press-1", "mode")
    found = asked(
        session,
        wire.commanded(1, alias=999),
        wire.commanded(70_000, alias=alias),
        wire.commanded(1.5, alias=alias),
        wire.commanded(1, name="no such"),
        wire.commanded(1),
    )
    assert [kind for kind, _ in found] == ["unreadable_write"] * 5
    assert [detail["tag"] for _, detail in found] == [
        "press-1.alias 999", "press-1.mode", "press-1.mode", "press-1.no such", "press-1.alias 0",
    ]  # fmt: skip
    assert asked(session, wire.commanded(1, name="mode"), device="oven-9")[0][0] == "unreadable_write"


def test_a_former_metric_is_not_written_to(session: Session) -> None:
    """Its value would be in the unit the tag no longer has."""
    session.data(reading(schema(tags=[("mode", ValueType.INT32, "", None)]), 1, [1]))
    (request,) = asked(session, wire.commanded(1, name="mode/former/int16"))
    assert request == (
        "unreadable_write", {"tag": "press-1.mode", "reason": "a metric of a former configuration"},
    )  # fmt: skip


def test_a_period_value_is_asked_for_as_what_no_tag_is(session: Session) -> None:
    session.data(reading(minutes(), 60, [1.0] * 5 + [60, 100.0, "N"]), stream="periods")
    metric = wire.commanded(1.0, name="pressure/minute/avg")
    ((kind, detail),) = asked(session, metric, device="press-1.periods")
    assert (kind, detail["tag"]) == ("write", "press-1.periods.pressure.avg")


def test_controls_of_the_node(session: Session) -> None:
    rebirth = wire.commanded(True, name=REBIRTH)
    assert asked(session, rebirth, device="") == [("rebirth", {})]
    assert asked(session, wire.commanded(False, name=REBIRTH), device="") == []
    reboot = wire.commanded(True, name="Node Control/Reboot")
    assert asked(session, reboot, rebirth, device="") == [
        ("node_control", {"metric": "Node Control/Reboot"}), ("rebirth", {}),
    ]  # fmt: skip


def test_a_command_of_thousands_is_not_looked_through(session: Session) -> None:
    assert len(asked(session, *[wire.commanded(1, name="mode")] * 5000)) == 100


@pytest.mark.parametrize("seed", range(3))
def test_what_a_stranger_sends_raises_nothing_but_value_errors(session: Session, seed: int) -> None:
    dice = random.Random(seed)
    good = wire.command(1, [wire.commanded(0.4, alias=1), wire.commanded("x", name="name")])
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        for device in ("", "press-1"):
            try:
                session.node.requests(device, bytes(data[: dice.randint(0, len(data))]))
            except ValueError:
                continue


@pytest.mark.parametrize("text", ["", " a", "a+b", "a/b", "#", "a\tb", "a\x00", "\ud800"])
def test_no_ids(text: str) -> None:
    assert not topics.is_id(text)


def test_topics() -> None:
    own = topics.Topics("park", "hall-3")
    assert topics.is_id("3号车间")
    assert own.of_node("NBIRTH") == "spBv1.0/park/NBIRTH/hall-3"
    assert own.of_device("DDATA", "press-1") == "spBv1.0/park/DDATA/hall-3/press-1"
    assert topics.state("scada") == "spBv1.0/STATE/scada"
    assert own.commanded("spBv1.0/park/NCMD/hall-3") == ""
    assert own.commanded("spBv1.0/park/DCMD/hall-3/press-1") == "press-1"
    for other in (
        "spBv1.0/park/NCMD/hall-4",
        "spBv1.0/park/DCMD/hall-3/",
        "spBv1.0/park/DDATA/hall-3/press-1",
    ):
        assert own.commanded(other) is None
