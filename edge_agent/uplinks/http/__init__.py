"""Delivery by HTTP POST, as ``docs/wire-format.md`` tells a park developer.

settings -> message (segments to JSON) -> uplink (one exchange) -> answer (status and body to verdicts)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.clock import SystemClock
from edge_agent.settings import later
from edge_agent.uplink import Host, UplinkPlugin
from edge_agent.uplinks.http.address import endpoint
from edge_agent.uplinks.http.uplink import HttpUplink

if TYPE_CHECKING:
    from edge_agent.uplinks.http.settings import HttpSettings


def _open(settings: HttpSettings, host: Host) -> HttpUplink:
    return HttpUplink(settings, host, SystemClock())


PLUGIN = UplinkPlugin(
    settings=later("edge_agent.uplinks.http.settings:HttpSettings"), open=_open, endpoint=endpoint
)
