"""What an HJ 212 platform has received: each record once, and what was wrong with the way it came.

A platform knows a record by MN, CN and DataTime (and the number of its part); the same one again is a
duplicate, and with another content a conflict: the platform then keeps the first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hardware_mocks.hj212_wire import Packet

Identity = tuple[str, str, str, str]
STEPS = {"2051": timedelta(minutes=1), "2061": timedelta(hours=1), "2031": timedelta(days=1)}


@dataclass
class Ledger:
    """``records``: the first of each. ``backwards``: records that came after a later one without being
    marked as backfilled. ``reused_qns``: those that came with another record; ``falling_qns``: how often a
    new one was below one that came before it."""

    records: dict[Identity, Packet] = field(default_factory=dict)
    duplicates: int = 0
    conflicts: list[Identity] = field(default_factory=list)
    backwards: int = 0
    reused_qns: list[str] = field(default_factory=list)
    falling_qns: int = 0
    _by_qn: dict[str, Identity] = field(default_factory=dict)
    _newest: dict[str, str] = field(default_factory=dict)
    _last_new_qn: str = ""

    def take(self, packet: Packet) -> None:
        identity = identity_of(packet)
        self._number(packet, identity)
        known = self.records.get(identity)
        if known is not None:
            self.duplicates += 1
            if known.groups != packet.groups:
                self.conflicts.append(identity)
            return
        self.records[identity] = packet
        newest = self._newest.get(packet.cn, "")
        self.backwards += identity[2] < newest and "RF" not in packet.fields
        self._newest[packet.cn] = max(newest, identity[2])

    def _number(self, packet: Packet, identity: Identity) -> None:
        before = self._by_qn.get(packet.qn)
        if before is None:
            self._by_qn[packet.qn] = identity
            self.falling_qns += packet.qn < self._last_new_qn
            self._last_new_qn = max(self._last_new_qn, packet.qn)
        elif before != identity:
            self.reused_qns.append(packet.qn)

    def times(self, cn: str) -> list[str]:
        """The DataTimes of a command, each once, in order."""
        return sorted({data_time for _, its_cn, data_time, _ in self.records if its_cn == cn})

    def gaps(self, cn: str) -> int:
        """How many periods are missing between the first and the last."""
        moments = [datetime.strptime(text, "%Y%m%d%H%M%S") for text in self.times(cn)]
        if not moments or cn not in STEPS:
            return 0
        return round((moments[-1] - moments[0]) / STEPS[cn]) + 1 - len(moments)

    def report(self) -> dict[str, Any]:
        counts = Counter(cn for _, cn, _, _ in self.records)
        return {
            "records": dict(counts),
            "gaps": {cn: self.gaps(cn) for cn in STEPS if counts[cn]},
            "duplicates": self.duplicates,
            "conflicts": len(self.conflicts),
            "backwards": self.backwards,
            "reused_qns": len(self.reused_qns),
            "falling_qns": self.falling_qns,
        }


def identity_of(packet: Packet) -> Identity:
    return packet.fields["MN"], packet.cn, packet.data.get("DataTime", ""), packet.fields.get("PNO", "")
