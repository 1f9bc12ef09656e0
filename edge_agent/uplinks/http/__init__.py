"""Delivery by HTTP POST, as ``docs/wire-format.md`` tells a park developer.

settings -> message (segments to JSON) -> uplink (one exchange) -> answer (status and body to verdicts)
"""

from __future__ import annotations

from edge_agent.clock import SystemClock
from edge_agent.uplink import Host, UplinkPlugin
from edge_agent.uplinks.http.settings import HttpSettings, endpoint
from edge_agent.uplinks.http.uplink import HttpUplink


def _open(settings: HttpSettings, host: Host) -> HttpUplink:
    return HttpUplink(settings, host, SystemClock())


PLUGIN = UplinkPlugin(settings=HttpSettings, open=_open, endpoint=endpoint)
