"""Link workers come and go with the configuration; those whose devices did not change are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_agent.acquisition import JobFailed, LinkWorker, WorkerHost

if TYPE_CHECKING:
    from edge_agent.acquisition import Reading
    from edge_agent.agent.tasks import Tasks
    from edge_agent.config.model import Configuration, Device
    from edge_agent.model import Value
    from edge_agent.systemd import Progress

CONNECT_AND_BACKOFF_S = 75.0  # the longest a healthy worker is without an attempt: a denied link waits 60 s


class Links:
    def __init__(self, host: WorkerHost, tasks: Tasks, progress: Progress) -> None:
        self._host = host
        self._tasks = tasks
        self._progress = progress
        self._running: dict[str, tuple[tuple[Device, ...], asyncio.Task[None]]] = {}
        self._workers: dict[str, LinkWorker] = {}  # by device

    async def read(self, device: str, tag_name: str) -> Reading:
        """Asks the device now. Raises JobFailed: unknown, not connected, no answer; never hangs."""
        return await self._worker(device, tag_name).read(device, tag_name)

    async def write(self, device: str, tag_name: str, raw: Value) -> None:
        """Writes one raw value, as ``driver.Writer`` has it; for the guarded pipeline only, which has checked
        it. Raises JobFailed, whose ``uncertain`` says that it may have taken effect all the same."""
        await self._worker(device, tag_name).write(device, tag_name, raw)

    @property
    def devices(self) -> list[str]:
        return list(self._workers)

    def worker_of(self, device: str) -> LinkWorker | None:
        """The present one; another after its device was changed by a reload."""
        return self._workers.get(device)

    def _worker(self, device: str, tag_name: str) -> LinkWorker:
        worker = self._workers.get(device)
        if worker is None:
            raise JobFailed(f"there is no tag {device}.{tag_name}", reason="unknown")
        return worker

    async def apply(self, configuration: Configuration) -> None:
        """Starts, stops and keeps workers so that they are those of ``configuration``."""
        wanted = _by_link(configuration)
        changed = [k for k, (devices, _) in self._running.items() if wanted.get(k) != devices]
        await self._stop(changed, keep=[d.name for d in configuration.devices])
        for key, devices in wanted.items():
            if key in self._running:
                continue
            slowest_s = max(p for d in devices for p in d.periods_s.values())
            self._progress.expect(f"link {key}", CONNECT_AND_BACKOFF_S + 3 * slowest_s)
            worker = LinkWorker(key, devices, configuration.version, self._host)
            self._running[key] = (devices, self._tasks.start(f"link {key}", worker.run()))
            self._workers |= dict.fromkeys((d.name for d in devices), worker)
        order = [d.name for d in configuration.devices]
        rows = self._host.board.devices
        self._host.board.devices = {name: rows[name] for name in order}

    async def stop(self) -> None:
        await self._stop(list(self._running), keep=list(self._host.board.devices))

    async def _stop(self, keys: Sequence[str], keep: Sequence[str]) -> None:
        """All at once: a device that does not answer takes seconds to take leave of."""
        stopped = [self._running.pop(key) for key in keys]
        for device in [device for devices, _ in stopped for device in devices]:
            del self._workers[device.name]  # first: nothing new is asked of a link that ends
        await self._tasks.stop(*(task for _, task in stopped))
        for key in keys:
            self._progress.forget(f"link {key}")
        for device in [device for devices, _ in stopped for device in devices]:
            if device.name not in keep:
                del self._host.board.devices[device.name]


def _by_link(configuration: Configuration) -> dict[str, tuple[Device, ...]]:
    links: dict[str, tuple[Device, ...]] = {}
    for device in configuration.devices:
        links[device.link_key] = (*links.get(device.link_key, ()), device)
    return links
