"""What of a store of segments is given to forwarding: the newest flush from memory, everything older from the
disk, each uplink what it selects and has not settled. Runs in the event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from edge_agent.buffer.positions import Unit
from edge_agent.buffer.reader import Found, Reader
from edge_agent.buffer.retention import Retention, limited
from edge_agent.buffer.vault import Vault
from edge_agent.clock import Clock
from edge_agent.errors import StorageBroken, StorageError
from edge_agent.uplink import Envelope, Key, Lane


class Delivery:
    """``live``: the newest flush, ``newest``: its first number; everything below is backlog. ``corrupt``:
    segments that did not pass their checksum, since start. ``closed`` tells when nothing is read any more."""

    def __init__(
        self,
        stream: str,
        vault: Vault,
        reader: Reader,
        retention: Retention,
        clock: Clock,
        closed: Callable[[], bool],
    ) -> None:
        self.live: list[Envelope] = []
        self.newest = 0
        self.corrupt = 0
        self._stream = stream
        self._vault = vault
        self._reader = reader
        self._retention = retention
        self._clock = clock
        self._closed = closed

    def forget(self) -> None:
        """Another file: nothing is live."""
        self.live.clear()
        self.newest = self._vault.accounts.head + 1

    def settled(self) -> None:
        """Somebody has settled something: what all of them have need not be kept decoded."""
        uplinks = self._vault.accounts.uplinks
        self.live = [e for e in self.live if any(self._unsettled(name, (e,)) for name in uplinks)]

    async def take(self, uplink: str, lane: Lane, max_items: int, max_samples: int) -> Sequence[Envelope]:
        """As ``Store.take``, for an uplink that there is."""
        if lane is not Lane.LIVE:
            return await self._take_backlog(uplink, max_items, max_samples)
        self._pass_over(uplink)
        live = self._unsettled(uplink, self.live)
        return live[: limited((e.samples for e in live), max_items, max_samples)]

    def _unsettled(self, uplink: str, envelopes: Iterable[Envelope]) -> list[Envelope]:
        """Those it selects and has not settled."""
        settled = self._vault.accounts.uplinks[uplink].settled
        unwanted = self._unwanted(uplink)
        return [
            e
            for e in envelopes
            if e.key.seq not in settled and not (e.schema is not None and e.schema.digest in unwanted)
        ]

    def _unwanted(self, uplink: str) -> frozenset[str]:
        return self._vault.accounts.choices.unwanted.get(uplink, frozenset())

    def _pass_over(self, uplink: str) -> None:
        """What the newest flush holds that is not for this one."""
        unwanted = self._unwanted(uplink)
        if unwanted:
            seqs = [e.key.seq for e in self.live if e.schema is not None and e.schema.digest in unwanted]
            self._vault.accounts.pass_over(uplink, seqs)

    async def _take_backlog(self, uplink: str, max_items: int, max_samples: int) -> Sequence[Envelope]:
        vault = self._vault
        while (position := vault.accounts.uplinks.get(uplink)) is not None and not self._closed():
            ranges = list(islice(position.settled.gaps(1, self.newest - 1), max_items))
            if not ranges or vault.broken:
                return ()
            generation = vault.generation
            try:
                found = await self._reader.read(
                    ranges,
                    generation,
                    max_items=max_items,
                    max_samples=max_samples,
                    unwanted=self._unwanted(uplink),
                )
            except StorageBroken as error:
                vault.suspect(str(error))
                return ()
            except StorageError:  # the next flush will say why
                return ()
            if vault.broken or generation != vault.generation or uplink not in vault.accounts.uplinks:
                return ()
            self._write_off(found)
            vault.accounts.pass_over(uplink, found.passed)
            envelopes = [
                Envelope(
                    Key(self._stream, s.unit.epoch, s.unit.seq),
                    Lane.BACKLOG,
                    s.unit.samples,
                    s.schema,
                    s.batches,
                )
                for s in found.sound
            ]
            vault.accounts.remember(s.unit for s in found.sound)
            if left := self._unsettled(uplink, envelopes):
                return left
            if not (found.corrupt or found.missing or found.sound or found.passed):
                return ()
        return ()

    def _write_off(self, found: Found) -> None:
        self.corrupt += len(found.corrupt)
        self._retention.doom(found.corrupt, "corrupt")
        now_ns = self._clock.time_ns()
        self._retention.doom(
            (Unit(seq, self._vault.epoch, 0, now_ns, now_ns) for seq in found.missing),
            "corrupt",
            counted=False,
        )
