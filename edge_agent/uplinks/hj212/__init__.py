"""Delivery by HJ 212, the pollutant data protocol of Chinese platforms. ``README.md`` tells how.

crc, frame, segment, fields       bytes <-> fields
moment, number, flags, factors    what stands in them
record, parts, letter             stored units -> packets
session                           one connection as a pure machine
requests, clerk                   what the platform asks
drafting, uplink                  the Uplink of the agent
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.clock import SystemClock
from edge_agent.settings import later
from edge_agent.uplink import Host, UplinkPlugin
from edge_agent.uplinks.hj212.address import endpoint
from edge_agent.uplinks.hj212.uplink import Hj212Uplink

if TYPE_CHECKING:
    from edge_agent.uplinks.hj212.settings import Hj212Settings


def _open(settings: Hj212Settings, host: Host) -> Hj212Uplink:
    return Hj212Uplink(settings, host, SystemClock())


PLUGIN = UplinkPlugin(
    settings=later("edge_agent.uplinks.hj212.settings:Hj212Settings"), open=_open, endpoint=endpoint
)
