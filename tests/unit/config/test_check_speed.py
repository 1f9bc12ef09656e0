"""``check`` of a large line: 2,000 tags in 20 devices within half a second, interpreter start included."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.unit.config.good import write

DEVICES, TAGS = 20, 100
BOUND_S = 0.5
TRIES = 12  # the quickest counts: other programs on the machine make no check slower


def large_line(directory: Path) -> Path:
    header = "name,address,type,unit,description,group,scale,low,high\n"
    files: dict[str, str | bytes] = {"edge-agent.yaml": "line: large\nstate_dir: state\n"}
    for device in range(DEVICES):
        files[f"devices.d/{device:02}.yaml"] = (
            f"device: press-{device}\ndriver: modbus\nlink: tcp://10.0.0.{device + 1}:502\n"
            "poll: {fast: 1s, slow: 10s}\nwindows:\n  - {tag: value_99, low: 0, high: 5, on_delay: 2s}\n"
        )
        files[f"tags.d/{device:02}.csv"] = header + "".join(
            f"value_{tag},{40001 + 2 * tag},float32,°C,温度,{'slow' if tag % 2 else 'fast'},0.1,,\n"
            for tag in range(TAGS)
        )
    return write(directory, files)


def processor_s(words: Sequence[str], environment: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=dict(environment))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_two_thousand_tags_within_half_a_second(tmp_path: Path) -> None:
    """Processor time of a process that waits for nothing, so that a busy machine counts as little as it can;
    the plain interpreter beside it tells how fast the machine is. Byte code is there, as pip leaves it."""
    line = large_line(tmp_path / "line")
    environment = dict(os.environ) | {"PYTHONPYCACHEPREFIX": str(tmp_path / "byte-code")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    check = [sys.executable, "-m", "edge_agent", "check", "--config", str(line)]
    plain = [sys.executable, "-c", "pass"]
    processor_s(check, environment)  # writes the byte code
    told: list[tuple[float, float]] = []
    while len(told) < TRIES and min(told, default=(9.0, 0.0))[0] > BOUND_S:
        told.append((processor_s(check, environment), processor_s(plain, environment)))
    print("check and plain interpreter, processor time in s:", told)
    assert min(told)[0] <= BOUND_S, told
