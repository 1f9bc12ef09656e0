"""The verbs ``debug.start``, ``take``, ``stop`` and ``status``: what passes on a device's wire, for a while.

Nothing of it is kept but in memory, and that is bounded: what nobody fetches in time is dropped and counted.
A recording ends at its time, when it is stopped, and with the connection's supervisor (a reload that changes
the device, the end of the agent).
"""

from __future__ import annotations

import asyncio
import binascii
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from edge_agent.errors import LinesideError
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.acquisition import LinkWorker
    from edge_agent.agent.links import Links
    from edge_agent.clock import Clock
    from edge_agent.console import Handler

MINUTES_MOST = 24 * 60
BYTES_MOST = 1_000_000  # of frames, in memory, per recording
ENTRIES_MOST = 10_000
FRAME_MOST = 65_536
RECORDINGS_MOST = 4  # running at the same time
ANSWER_BYTES = 400_000  # of frames, in one answer


class DebugRefused(LinesideError):
    """It cannot be recorded; the text says why and what helps."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(Text(en, zh))


class WireRecording:
    """Meets ``acquisition.worker.Recording``. ``ended``: why it is over, "" while it runs."""

    def __init__(self, device: str, worker: LinkWorker, clock: Clock, minutes: float) -> None:
        self.device = device
        self.worker = worker
        self._clock = clock
        self.began_ns = clock.time_ns()
        self.until_ns = self.began_ns + round(minutes * 60e9)
        self._until_mono_ns = clock.mono_ns() + round(minutes * 60e9)
        self._entries: deque[tuple[int, int, str, bytes, str]] = deque()
        self._bytes = 0
        self.number = self.dropped = 0
        self.ended = ""

    def take(self, way: str, data: bytes, remark: str) -> None:
        if self.is_over():
            return
        data = bytes(data[:FRAME_MOST])
        self.number += 1
        self._entries.append((self.number, self._clock.time_ns(), way, data, remark))
        self._bytes += len(data)
        while self._bytes > BYTES_MOST or len(self._entries) > ENTRIES_MOST:
            self._bytes -= len(self._entries.popleft()[3])
            self.dropped += 1

    def failed(self, device: str, words: str) -> None:
        self.take("!", b"", f"{device}: {words}")

    def is_over(self) -> bool:
        if not self.ended and self._clock.mono_ns() >= self._until_mono_ns:
            self.end("time")
        return bool(self.ended)

    def end(self, why: str) -> None:
        """Idempotent; what was recorded can still be fetched."""
        if self.ended:
            return
        self.ended = why
        if self.worker.recording is self:
            self.worker.record(None)

    def after(self, number: int) -> list[dict[str, Any]]:
        """The oldest entries behind that number, as many as fit one answer; those up to it are let go."""
        while self._entries and self._entries[0][0] <= number:
            self._bytes -= len(self._entries.popleft()[3])
        found: list[dict[str, Any]] = []
        size = 0
        for at, time_ns, way, data, remark in self._entries:
            size += len(data) + 100
            if found and size > ANSWER_BYTES:
                break
            row = {"n": at, "time_ns": time_ns, "way": way, "hex": binascii.hexlify(data).decode()}
            found.append(row | ({"remark": remark} if remark else {}))
        return found

    def state(self) -> dict[str, Any]:
        self.is_over()
        return {
            "device": self.device,
            "began_ns": self.began_ns,
            "until_ns": self.until_ns,
            "entries": self.number,
            "dropped": self.dropped,
            "ended": self.ended,
        }


class DebugDesk:
    """``handlers`` by verb."""

    def __init__(self, links: Links, clock: Clock) -> None:
        self._links = links
        self._clock = clock
        self._recordings: dict[str, WireRecording] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.handlers: Mapping[str, Handler] = {
            "debug.start": self.start,
            "debug.take": self.take,
            "debug.stop": self.stop,
            "debug.status": self.status,
        }

    async def start(self, user: str, args: Mapping[str, Any]) -> Any:
        device, minutes = str(args.get("device")), args.get("minutes")
        if (
            isinstance(minutes, bool)
            or not isinstance(minutes, int | float)
            or not 0 < minutes <= MINUTES_MOST
        ):
            raise DebugRefused(
                f"minutes must be more than 0 and at most {MINUTES_MOST}",
                f"minutes 必须大于 0，且不超过 {MINUTES_MOST}",
            )
        worker = self._worker(device)
        self._require_free(worker)
        recording = WireRecording(device, worker, self._clock, minutes)
        if not worker.record(recording):
            worker.record(None)
            raise DebugRefused(
                f"the driver of {device} cannot tell what passes on its wire",
                f"{device} 的驱动不支持报文记录",
            )
        self._forget(device)
        self._recordings[device] = recording
        loop = asyncio.get_running_loop()
        self._timers[device] = loop.call_later(minutes * 60 + 0.05, recording.is_over)
        return recording.state() | _about(worker, device)

    async def take(self, user: str, args: Mapping[str, Any]) -> Any:
        """``after``: the number of the last entry the caller has; those up to it are let go."""
        recording = self._recording(args)
        after = args.get("after", 0)
        entries = recording.after(after if isinstance(after, int) else 0)
        return recording.state() | {"frames": entries}

    async def stop(self, user: str, args: Mapping[str, Any]) -> Any:
        recording = self._recording(args)
        recording.end("stopped")
        return recording.state()

    async def status(self, user: str, args: Mapping[str, Any]) -> Any:
        self._look()
        return {"recordings": [recording.state() for recording in self._recordings.values()]}

    def _worker(self, device: str) -> LinkWorker:
        worker = self._links.worker_of(device)
        if worker is None:
            known = ", ".join(self._links.devices)
            raise DebugRefused(
                f"the agent polls no device {device!r}; it has: {known}",
                f"代理没有采集设备 {device!r}，现有：{known}",
            )
        return worker

    def _require_free(self, worker: LinkWorker) -> None:
        self._look()
        running = [recording for recording in self._recordings.values() if not recording.ended]
        same = [recording.device for recording in running if recording.worker is worker]
        if same:
            raise DebugRefused(
                f"this connection is being recorded already, as {same[0]}; "
                f"`edge-agent debug {same[0]} --stop` ends that",
                f"该连接正在以 {same[0]} 记录；可用 `edge-agent debug {same[0]} --stop` 结束",
            )
        if len(running) >= RECORDINGS_MOST:
            names = ", ".join(recording.device for recording in running)
            raise DebugRefused(
                f"at most {RECORDINGS_MOST} recordings run at the same time; there are: {names}",
                f"最多同时记录 {RECORDINGS_MOST} 台设备，当前：{names}",
            )

    def _recording(self, args: Mapping[str, Any]) -> WireRecording:
        self._look()
        recording = self._recordings.get(str(args.get("device")))
        if recording is None:
            name = args.get("device")
            raise DebugRefused(
                f"nothing is recorded of {name!r}; `edge-agent debug {name}` begins",
                f"没有 {name!r} 的记录；用 `edge-agent debug {name}` 开始",
            )
        return recording

    def _look(self) -> None:
        """Ends those whose time is over or whose link has been replaced; lets go of the oldest."""
        for device, recording in list(self._recordings.items()):
            recording.is_over()
            if self._links.worker_of(device) is not recording.worker:
                recording.end("reloaded")
        over = [device for device, recording in self._recordings.items() if recording.ended]
        for device in over[: max(0, len(over) - RECORDINGS_MOST)]:
            self._forget(device)

    def _forget(self, device: str) -> None:
        self._recordings.pop(device, None)
        timer = self._timers.pop(device, None)
        if timer is not None:
            timer.cancel()


def _about(worker: LinkWorker, device: str) -> dict[str, Any]:
    """What is needed to understand the frames."""
    own = next(found for found in worker.devices if found.name == device)
    limits = worker.limits_of(device)
    return {
        "driver": own.driver,
        "link": str(getattr(own.settings, "link", "")),
        "station": getattr(own.settings, "station", None),
        "shared_with": [found.name for found in worker.devices if found.name != device],
        "limits": _plain(asdict(limits)) if is_dataclass(limits) and not isinstance(limits, type) else {},
    }


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if isinstance(value, int | float | str)}
