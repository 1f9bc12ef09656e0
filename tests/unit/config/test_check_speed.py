"""``check`` of a large line: 2,000 tags in 20 devices within half a second, interpreter start included, where
the libraries it stands on take 0.148 s to load."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.unit.config.good import write

DEVICES, TAGS = 20, 100
LIBRARIES = "import asyncio, click, yaml; from pydantic import BaseModel, TypeAdapter"
"""The reference: an interpreter that loads what ``check`` stands on, and does nothing with it."""
BOUND_RATIO = 0.5 / 0.148
TRIES = 12  # of each; the quickest counts: other programs on the machine make no check slower


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
    """Processor time of a process that waits for nothing. A neighbour on the same core makes a second of it
    worth half as much, so it is judged beside the reference. Byte code is there, as pip leaves it."""
    line = large_line(tmp_path / "line")
    environment = dict(os.environ) | {"PYTHONPYCACHEPREFIX": str(tmp_path / "byte-code")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    check = [sys.executable, "-m", "edge_agent", "check", "--config", str(line)]
    reference = [sys.executable, "-c", LIBRARIES]
    for words in (check, reference):
        processor_s(words, environment)  # writes the byte code
    told = [(processor_s(check, environment), processor_s(reference, environment)) for _ in range(TRIES)]
    checks, references = zip(*told, strict=True)
    print("check and reference, processor time in s:", told)
    assert min(checks) / min(references) <= BOUND_RATIO, told
