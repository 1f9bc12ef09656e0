"""The whole way once more, to mosquitto with QoS 1: the agent beside a bare client that publishes every poll
to the same broker. The broker is Debian's, a process of its own; nobody subscribes."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.measure import watch
from tests.plant.mosquitto import mosquitto
from tests.plant.processes import Child

WARM_UP_S = 10.0

RunAgent = Callable[..., dict[str, float]]


def mqtt_section(scene: Any, run_agent: RunAgent, *, rounds: int) -> dict[str, Any]:
    rows = []
    with mosquitto(scene.folder / "broker") as broker:
        for number in range(1, rounds + 1):
            url = f"mqtt://127.0.0.1:{broker.port}"
            agent = run_agent(
                scene, f"mqtt-{number}", flush="5s", type="mqtt", url=url, require_subscriber=False
            )
            reference = _reference(scene, broker.port)
            ratio = agent["cpu_ms_per_1000"] / reference
            print(
                f"mqtt round {number}: ratio {ratio:.3f}  agent {agent['cpu_ms_per_1000']:.3f}"
                f"  reference {reference:.3f}  late {agent['late_ms']:.1f}  rss {agent['rss_mb']:.1f}",
                flush=True,
            )
            rows.append((ratio, agent["cpu_ms_per_1000"], reference, agent["rss_mb"]))
    ratio, own, reference, _ = (round(statistics.median(column), 3) for column in zip(*rows, strict=True))
    return {
        "mqtt_cpu_ratio": ratio,
        "mqtt_cpu_ms_per_1000": own,
        "mqtt_reference_cpu_ms_per_1000": reference,
        "mqtt_rss_mb": round(max(row[3] for row in rows), 1),
        "mqtt_rounds": len(rows),
    }


def _reference(scene: Any, broker_port: int) -> float:
    """CPU milliseconds per 1,000 registers; counted are the polls that arrived at the controllers."""
    devices = [
        {"name": f"d{n}", "host": "127.0.0.1", "port": port, "unit": 1}
        for n, port in enumerate(scene.plc.ports["ports"], 1)
    ]
    spec = {
        "broker_host": "127.0.0.1", "broker_port": broker_port, "devices": devices,
        "registers": scene.registers, "period_s": 1.0,
    }  # fmt: skip
    child = Child(["tests.bench.reference_mqtt", json.dumps(spec)], scene.folder / "mqtt.log", ready=False)
    try:
        time.sleep(WARM_UP_S)
        since = time.monotonic()
        cpu = watch(child.pid, scene.seconds, None)
        until = time.monotonic()
        polls = sum(since <= t < until for device in scene.arrivals() for t in device)
    finally:
        child.kill()
    assert polls, f"the reference read nothing: {Path(scene.folder / 'mqtt.log').read_text('utf-8')}"
    registers: int = polls * scene.registers
    return cpu * 1e6 / registers
