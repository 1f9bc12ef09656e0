"""Line protocol over HTTP: InfluxDB 1.x and 2.x, VictoriaMetrics, and whatever else takes their writes.

    settings -> lines (one reading is one line) -> uplink (one POST through ``uplinks.http.exchange``)

The server's only word is 204 for the whole message. A point is told by its series and time stamp, so that the
same unit sent twice leaves what it left the first time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_agent.clock import SystemClock
from edge_agent.settings import later
from edge_agent.uplink import Host, Uplink, UplinkPlugin
from edge_agent.uplinks.http.address import endpoint

if TYPE_CHECKING:
    from edge_agent.uplinks.influx.settings import InfluxSettings


def _open(settings: InfluxSettings, host: Host) -> Uplink:
    from edge_agent.uplinks.influx.uplink import InfluxUplink  # only where it is configured

    return InfluxUplink(settings, host, SystemClock())


PLUGIN = UplinkPlugin(
    settings=later("edge_agent.uplinks.influx.settings:InfluxSettings"),
    open=_open,
    endpoint=endpoint,
    doctor=later("edge_agent.uplinks.influx.doctor:InfluxDoctor"),
)
