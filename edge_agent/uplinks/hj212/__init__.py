"""Delivery by HJ 212, the pollutant data protocol of Chinese platforms. ``docs/uplink-hj212.md`` tells how.

crc, frame, segment, fields       bytes <-> fields
moment, number, flags, factors    what stands in them
record, facilities, parts, letter stored units -> packets
session                           one connection as a pure machine
requests, clerk, archive          what the platform asks
mark, orders, keyring, slots      what is kept over restarts
drafting, connection, uplink      the Uplink of the agent, put together by assembly
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edge_agent.clock import SystemClock
from edge_agent.model import Tag
from edge_agent.settings import Problem, later
from edge_agent.uplink import Host, Stream, UplinkPlugin
from edge_agent.uplinks.hj212.address import endpoint
from edge_agent.uplinks.hj212.start import this_run
from edge_agent.uplinks.hj212.uplink import Hj212Uplink

if TYPE_CHECKING:
    from edge_agent.uplinks.hj212.settings import Hj212Settings


def _open(settings: Hj212Settings, host: Host) -> Hj212Uplink:
    clock = SystemClock()
    return Hj212Uplink(settings, host, clock, this_run(clock))


def _check(settings: Hj212Settings, tags: Mapping[str, Mapping[str, Tag]]) -> list[Problem]:
    from edge_agent.uplinks.hj212.checking import check

    return check(settings, tags)


PLUGIN = UplinkPlugin(
    settings=later("edge_agent.uplinks.hj212.settings:Hj212Settings"),
    open=_open,
    endpoint=endpoint,
    streams=frozenset({Stream.SAMPLES, Stream.PERIODS}),
    confirm_s=lambda settings: 2.0 * settings.over_time * (settings.re_count + 1),
    check=_check,
    identity=lambda settings: [("mn", f"hj212 {settings.address} {settings.mn}")],
    doctor=later("edge_agent.uplinks.hj212.doctor:Hj212Doctor"),
)
