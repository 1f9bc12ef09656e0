"""The vectors of the payload, made by another implementation: read, written, and written by ours."""

from __future__ import annotations

import pytest

from edge_agent.model import Quality, Scaling, ValueType
from edge_agent.uplink import Lane
from edge_agent.uplinks.sparkplug.device import Columns, Device, Metric
from edge_agent.uplinks.sparkplug.node import Node
from edge_agent.uplinks.sparkplug.payloads import Payloads
from edge_agent.uplinks.sparkplug.topics import Topics
from edge_agent.uplinks.sparkplug.values import kind_of
from hardware_mocks import sparkplug_wire
from tests.unit.uplinks_sparkplug.made import T_MS, WIRE, Session, reading, schema

NDEATH = "0880b8ac89b53212120a0562645365711880b8ac89b53220045800"
NBIRTH = (
    "0880b8ac89b53212120a0562645365711880b8ac89b5322004580012210a144e6f646520436f6e74726f6c2f526562697274681880"
    "b8ac89b532200b70001800"
)
DBIRTH = (
    "0880b8ac89b53212430a0c4675726e6163652f54656d7010011880b8ac89b53220094a230a075175616c6974790a07656e67556e69"
    "741205080318c0011208080c4204646567436500a05444121d0a0b4675726e6163652f6b576810021880b8ac89b532200858959aef"
    "3a121a0a0b4675726e6163652f52756e10031880b8ac89b532200b700112230a0d4c696e652f507265737375726510041880b8ac89"
    "b532200a69e17a14ae47e1da3f1801"
)
HISTORICAL = "08e8bfac89b5321212100118e8bfac89b5322009280165005057441802"
STALE = "08d0c7ac89b532121f100118d0c7ac89b532200938014a100a075175616c6974791205080318f4031803"
ALL = {"NDEATH": NDEATH, "NBIRTH": NBIRTH, "DBIRTH": DBIRTH, "historical": HISTORICAL, "stale": STALE}

DATATYPE_FLOAT = "2009"
"""The vectors of data carry the datatype, which the specification would rather have left out; ours does."""


@pytest.mark.parametrize("name", ALL)
def test_read_and_written_again_is_the_same(name: str) -> None:
    data = bytes.fromhex(ALL[name])
    assert WIRE.payload.FromString(data).SerializeToString() == data


def test_death_as_ours() -> None:
    assert Session().node.death().payload.hex() == NDEATH


def test_birth_of_the_node_as_ours() -> None:
    (message,) = Session().node.birth()
    assert message.payload.hex() == NBIRTH


def furnace() -> Device:
    def metric(number: int, name: str, type_: ValueType, unit: str, value: bool | int | float) -> Metric:
        kind = kind_of(type_, None)
        return Metric(name, number, kind, unit, name, type_, None, value, int(Quality.GOOD), T_MS)

    device = Device("furnace-1", "furnace-1")
    for made in (
        metric(1, "Furnace/Temp", ValueType.FLOAT32, "degC", 850.5),
        metric(2, "Furnace/kWh", ValueType.UINT64, "", 123456789),
        metric(3, "Furnace/Run", ValueType.BOOL, "", True),
        metric(4, "Line/Pressure", ValueType.FLOAT64, "", 0.42),
    ):
        device.metrics[made.name] = made
    return device


def test_birth_of_a_device_as_ours() -> None:
    """The vector gives its first metric a quality and no other; ours gives all of them one."""
    payload = Payloads(WIRE).device_birth(furnace(), T_MS)
    payload.seq = 1
    for metric in payload.metrics[1:]:
        assert list(metric.properties.keys) == ["Quality"]
        assert metric.properties.values[0].int_value == 192
        metric.ClearField("properties")
    assert payload.SerializeToString().hex() == DBIRTH


def written(value: float | None, quality: int, second: int, seq: int, *, historical: bool) -> str:
    payloads = Payloads(WIRE)
    of = schema(tags=[("Furnace/Temp", ValueType.FLOAT32, "degC", None)])
    columns = Columns((furnace().metrics["Furnace/Temp"],), ())
    batch = reading(of, second, [value], quality)
    (payload,) = payloads.rows(columns, [batch], T_MS + second * 1000, historical=historical)
    payload.seq = seq
    return bytes(payload.SerializeToString()).hex()


def without_datatype(vector: str) -> str:
    head, _, tail = vector.partition(DATATYPE_FLOAT)
    size = 16  # hex digits before the length of the metric: the time stamp, and the tag
    return head[:size] + f"{int(head[size : size + 2], 16) - 2:02x}" + head[size + 2 :] + tail


def test_historical_data_as_ours() -> None:
    assert written(861.25, int(Quality.GOOD), 1, 2, historical=True) == without_datatype(HISTORICAL)


def test_stale_null_as_ours() -> None:
    """Beside the quality that Sparkplug knows, ours says in a word of its own why."""
    ours = WIRE.payload.FromString(bytes.fromhex(written(None, int(Quality.STALE), 2, 3, historical=False)))
    properties = ours.metrics[0].properties
    assert list(properties.keys) == ["Quality", "Reason"]
    assert properties.values[1].string_value == "stale"
    del properties.keys[1], properties.values[1]
    assert ours.SerializeToString().hex() == without_datatype(STALE)


@pytest.mark.parametrize(
    ("vector", "zero"),
    [(NDEATH, "5800"), (NBIRTH, "5800"), (NBIRTH, "7000"), (NBIRTH, "1800")],
    ids=["bdSeq 0 of the death", "bdSeq 0", "Rebirth false", "seq 0"],
)
def test_zeros_are_written(vector: str, zero: str) -> None:
    """An encoder that leaves out zero and false makes a birth that no host application takes."""
    session = Session()
    ours = session.node.death() if vector == NDEATH else session.node.birth()[0]
    assert zero in vector
    assert zero in ours.payload.hex()


@pytest.mark.parametrize("name", ALL)
def test_the_hosts_own_reader_agrees(name: str) -> None:
    """The reader of these tests, which shares nothing with the writer, against the same vectors."""
    read = sparkplug_wire.read_payload(bytes.fromhex(ALL[name]))
    library = WIRE.payload.FromString(bytes.fromhex(ALL[name]))
    assert [m.name for m in read.metrics] == [m.name for m in library.metrics]
    assert [m.time_ms for m in read.metrics] == [m.timestamp for m in library.metrics]
    assert (read.seq is not None) == library.HasField("seq")


def test_the_hosts_own_reader_reads_what_the_vectors_say() -> None:
    born = sparkplug_wire.read_payload(bytes.fromhex(DBIRTH))
    values = {m.name: sparkplug_wire.typed(m, m.datatype or 0) for m in born.metrics}
    assert values == {
        "Furnace/Temp": 850.5, "Furnace/kWh": 123456789, "Furnace/Run": True, "Line/Pressure": 0.42,
    }  # fmt: skip
    assert born.metrics[0].properties == {"Quality": 192, "engUnit": "degC"}
    (missed,) = sparkplug_wire.read_payload(bytes.fromhex(HISTORICAL)).metrics
    assert (missed.historical, missed.value, missed.time_ms) == (True, 861.25, T_MS + 1000)
    (stale,) = sparkplug_wire.read_payload(bytes.fromhex(STALE)).metrics
    assert (stale.null, stale.properties) == (True, {"Quality": 500})


@pytest.mark.parametrize("name", ALL)
def test_a_payload_that_is_cut_short_is_a_value_error(name: str) -> None:
    data = bytes.fromhex(ALL[name])
    payloads = Payloads(WIRE)
    for size in range(1, len(data)):
        try:
            payloads.read(data[:size])
        except ValueError:
            continue


def test_a_scaled_number_is_a_double_in_its_unit() -> None:
    of = schema(tags=[("oil", ValueType.UINT16, "°C", Scaling(0.1, -40.0))])
    session = Session()
    session.born(reading(of, 0, [10]))
    session.data(reading(of, 1, [651]), lane=Lane.BACKLOG)
    assert not session.ledger.broken
    assert session.ledger.metric("press-1", "oil")[1].datatype == 10
    assert session.ledger.values("press-1", "oil") == [651 * 0.1 - 40.0]


def test_node_is_its_own() -> None:
    """Two nodes of one process share no numbers."""
    first, second = (Node(WIRE, Topics("park", name), 0, lambda: T_MS) for name in ("a", "b"))
    first.birth(), first.birth([reading(schema(), 0, [1.0, 1])])
    assert second.birth()[0].payload.hex() == NBIRTH
