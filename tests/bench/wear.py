"""Bytes to the disk per sample: the real buffer on a real disk, 1,000 tags at 1 s, time injected.

Time is injected so that half an hour of line fits in seconds; everything else is as in the daemon: two
groups of 500 tags (or as many groups as asked), a flush every 5 s, acknowledgements one flush later, deletion
by quota, checkpoints (at least two). Counted are the bytes that this process caused to be written to storage
(write_bytes of /proc/self/io), the last checkpoint and the directory included; the file system's own journal
is not in it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from random import Random

from edge_agent.buffer import Buffer
from edge_agent.config.model import BufferConfig
from edge_agent.model import Batch, Schema, Tag, ValueType
from edge_agent.testing.clock import ManualClock
from edge_agent.uplink import Lane

TAGS = 1000
GROUPS = 2  # poll groups that share the tags
QUOTA_BYTES = 4_000_000  # reached after some minutes of line: from then on every flush deletes as well


def written() -> int:
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


class Mix:
    """As the bench's controllers: 40 % of the registers constant, 30 % counting, 30 % noise."""

    def __init__(self, seed: int, tags: int) -> None:
        self._random = Random(seed)
        self._values = [self._random.randrange(65536) for _ in range(tags)]

    def next(self) -> tuple[int, ...]:
        values, tags = self._values, len(self._values)
        for i in range(tags * 4 // 10, tags * 7 // 10):
            values[i] = (values[i] + 1) & 0xFFFF
        for i in range(tags * 7 // 10, tags):
            values[i] = self._random.randrange(65536)
        return tuple(values)


async def main(directory: Path, seconds: int, n_groups: int) -> None:
    clock = ManualClock()
    config = BufferConfig(quota_bytes=QUOTA_BYTES)
    buffer = await Buffer.open(directory, config, clock, ["park"])
    size = TAGS // n_groups
    tags = [Tag(f"r{i}", f"hr:{i}", ValueType.UINT16) for i in range(size)]
    groups = [(Schema.of(f"d{g}", "default", "v", tags), Mix(g, size)) for g in range(n_groups)]
    good = bytes(size)
    before = written()
    for second in range(seconds):
        await clock.advance(1.0)
        for schema, mix in groups:
            buffer.append(Batch(schema, clock.time_ns(), clock.mono_ns(), mix.next(), good))
        if second % 5 == 4:
            await buffer.flush()
            taken = await buffer.take("park", Lane.LIVE, max_items=64, max_samples=10**9)
            buffer.acknowledge("park", [e.key for e in taken])
    info = buffer.info()
    await buffer.close()
    samples = seconds * size * n_groups
    report = {
        "bytes_per_sample": round((written() - before) / samples, 3),
        "checkpoints": info["checkpoints"],
        "commits": info["flushes"],
        "samples": samples,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int((sys.argv[3:] or [str(GROUPS)])[0])))
