"""Delivery by HTTP POST, as ``docs/wire-format.md`` tells a park developer, or in a platform's own JSON.

settings -> message (segments to JSON)   -> uplink  -> exchange (one POST) -> answer (to verdicts)
         -> ..templates (a body of its own) -> foreign ->
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.clock import SystemClock
from edge_agent.settings import later
from edge_agent.uplink import Host, Uplink, UplinkPlugin
from edge_agent.uplinks.http.address import endpoint
from edge_agent.uplinks.http.uplink import HttpUplink

if TYPE_CHECKING:
    from edge_agent.uplinks.http.settings import HttpSettings


def _open(settings: HttpSettings, host: Host) -> Uplink:
    if settings.body is not None:
        from edge_agent.uplinks.http.foreign import ForeignHttpUplink  # only where it is configured

        return ForeignHttpUplink(settings, host, SystemClock())
    return HttpUplink(settings, host, SystemClock())


PLUGIN = UplinkPlugin(
    settings=later("edge_agent.uplinks.http.settings:HttpSettings"),
    open=_open,
    endpoint=endpoint,
    doctor=later("edge_agent.uplinks.http.doctor:HttpDoctor"),
)
