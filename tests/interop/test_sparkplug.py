"""What the Sparkplug uplink sends to mosquitto, read by npm's sparkplug-payload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.clock import SystemClock
from edge_agent.model import Batch, Quality, Scaling, Schema, Value, ValueType
from edge_agent.testing.destination import RecordingHost
from edge_agent.uplink import PENDING, Envelope, Key, Lane
from edge_agent.uplinks.sparkplug import PLUGIN
from edge_agent.uplinks.sparkplug.uplink import SparkplugUplink
from hardware_mocks.sparkplug_host import SparkplugHost
from tests.interop.peers import Peer
from tests.plant.mosquitto import Mosquitto, mosquitto

pytestmark = [pytest.mark.timeout(400), pytest.mark.tool("mosquitto")]

T_MS = 1_732_233_600_000
COLUMNS: list[tuple[str, ValueType, str, Scaling | None, list[Value]]] = [
    ("bool", ValueType.BOOL, "", None, [True, False, None]),
    ("int8", ValueType.INT8, "", None, [-128, -5, 127]),
    ("int16", ValueType.INT16, "", None, [-32768, -5, 32767]),
    ("int32", ValueType.INT32, "", None, [-(2**31), -5, 2**31 - 1]),
    ("int64", ValueType.INT64, "", None, [-(2**63), -5, 2**53 + 1]),
    ("uint8", ValueType.UINT8, "", None, [0, 1, 255]),
    ("uint16", ValueType.UINT16, "", None, [0, 1, 65535]),
    ("uint32", ValueType.UINT32, "", None, [0, 1, 2**32 - 1]),
    ("uint64", ValueType.UINT64, "kWh", None, [0, 2**53 + 1, 2**64 - 1]),
    ("float32", ValueType.FLOAT32, "MPa", None, [0.4099999964237213, -0.5, 0.0]),
    ("float64", ValueType.FLOAT64, "", None, [0.1, 5e-324, 1.7976931348623157e308]),
    ("scaled", ValueType.UINT16, "°C", Scaling(0.5, -40.0), [100, 0, 65535]),
    ("text", ValueType.STRING, "", None, ["压力 ✓", "", 'a"b\\c']),
]
SCHEMA = Schema(
    "press-1", "fast", "c1", tuple(c[0] for c in COLUMNS), tuple(c[1] for c in COLUMNS),
    tuple(c[2] for c in COLUMNS), tuple(c[3] for c in COLUMNS),
)  # fmt: skip
TYPES = {
    "bool": "Boolean", "int8": "Int8", "int16": "Int16", "int32": "Int32", "int64": "Int64", "uint8": "UInt8",
    "uint16": "UInt16", "uint32": "Int64", "uint64": "UInt64", "float32": "Float", "float64": "Double",
    "scaled": "Double", "text": "String",
}  # fmt: skip


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path / "mosquitto") as running:
        yield running


@pytest.fixture
def decoder(node_folder: Path, tmp_path: Path) -> Iterator[Peer]:
    script = Path(__file__).parent / "node" / "sparkplug.js"
    peer = Peer(["node", script], tmp_path / "log", {"NODE_CACHE": str(node_folder)})
    yield peer
    peer.kill()


def reading(row: int, quality: bytes | None = None, values: tuple[Value, ...] | None = None) -> Batch:
    values = tuple(column[4][row] for column in COLUMNS) if values is None else values
    marks = bytes(Quality.STALE if v is None else 0 for v in values) if quality is None else quality
    return Batch(SCHEMA, (T_MS + row) * 1_000_000, row, values, marks)


def exact(value: Any) -> Any:
    """The decoder's Long, or a plain number where it fits into one."""
    return int(value.removeprefix("long ")) if isinstance(value, str) and value.startswith("long ") else value


async def sent(broker: Mosquitto) -> list[tuple[str, bytes]]:
    """One session: live rows, one missed, a rebirth, the end."""
    host = SparkplugHost(broker.port)
    await host.start()
    settings = PLUGIN.settings.model_validate(
        {"url": f"mqtt://127.0.0.1:{broker.port}", "group": "park", "node": "hall-3", "primary_host": "scada"}
    )
    uplink = SparkplugUplink(settings, RecordingHost(), SystemClock())
    await uplink.connect()
    live = tuple(reading(row) for row in range(3))
    nothing = (None,) * len(COLUMNS)
    missed = (reading(9, bytes([Quality.BAD_DECODE]) * len(COLUMNS), nothing),)
    items = [
        Envelope(Key("samples", 1, 2), Lane.LIVE, 39, SCHEMA, live),
        Envelope(Key("samples", 1, 1), Lane.BACKLOG, 13, SCHEMA, missed),
    ]
    assert list(await uplink.send(items)) == [PENDING, PENDING]
    await host.ask_rebirth("park/hall-3")
    await host.until(lambda: host.ledger.messages["DBIRTH"] == 2, "no rebirth")
    await uplink.close()
    await host.until(lambda: host.ledger.messages["NDEATH"] == 1, "no death")
    await host.stop()
    assert (host.ledger.broken, host.ledger.gaps) == ([], 0)
    return host.raw


async def test_every_message_is_read_as_it_was_meant(broker: Mosquitto, decoder: Peer) -> None:
    messages = [(topic.split("/")[2], decoder.ask(data.hex())) for topic, data in await sent(broker)]
    assert [kind for kind, _ in messages] == [
        "NBIRTH", "DBIRTH", "DDATA", "DDATA", "NBIRTH", "DBIRTH", "NDEATH",
    ]  # fmt: skip
    assert [exact(said.get("seq")) for _, said in messages] == [0, 1, 2, 3, 0, 1, None]
    assert not [said for _, said in messages if "error" in said]

    born = {metric["name"]: metric for metric in messages[5][1]["metrics"]}
    assert {name: metric["type"] for name, metric in born.items()} == TYPES
    assert born["uint64"]["properties"]["engUnit"]["value"] == "kWh"
    assert born["uint64"]["properties"]["Quality"]["value"] == 192
    names = {exact(metric["alias"]): name for name, metric in born.items()}

    live, missed = messages[2][1]["metrics"], messages[3][1]["metrics"]
    assert len(live) == 3 * len(COLUMNS)
    assert not any(metric.get("isHistorical") for metric in live)
    assert all(metric["isHistorical"] and metric["value"] is None for metric in missed)
    assert {metric["properties"]["Quality"]["value"] for metric in missed} == {0}
    assert {metric["properties"]["Reason"]["value"] for metric in missed} == {"bad_decode"}
    assert {names[exact(metric["alias"])] for metric in missed} == set(TYPES)

    node, death = messages[0][1]["metrics"], messages[6][1]["metrics"]
    assert [(m["name"], m["type"], exact(m["value"])) for m in node] == [
        ("bdSeq", "Int64", 0), ("Node Control/Rebirth", "Boolean", False),
    ]  # fmt: skip
    assert [(m["name"], exact(m["value"])) for m in death] == [("bdSeq", 0)]


async def test_every_value_of_every_type(broker: Mosquitto, decoder: Peer) -> None:
    """The births carry the types, so it is there that the decoder knows what a number is."""
    host, agent = SparkplugHost(broker.port), RecordingHost()
    await host.start()
    settings = PLUGIN.settings.model_validate(
        {"url": f"mqtt://127.0.0.1:{broker.port}", "group": "park", "node": "hall-3"}
    )
    for row in range(3):
        agent.current = lambda row=row: (reading(row),)  # type: ignore[method-assign, misc]
        uplink = SparkplugUplink(settings, agent, SystemClock())
        await uplink.connect()
        await uplink.close()
    await host.until(lambda: host.ledger.messages["NDEATH"] == 3, "no death")
    await host.stop()
    births = [data for topic, data in host.raw if "/DBIRTH/" in topic]
    assert len(births) == 3
    for row, data in enumerate(births):
        for metric in decoder.ask(data.hex())["metrics"]:
            _, _, _, scaling, values = next(c for c in COLUMNS if c[0] == metric["name"])
            wanted = values[row]
            if scaling is not None and isinstance(wanted, int):
                wanted = wanted * scaling.scale + scaling.offset
            got = exact(metric["value"])
            assert got == wanted, f"{metric['name']}: sent {wanted!r}, npm reads {metric['value']!r}"
