"""What the agent knows about itself, in one place: page, CLI, metrics and API all show this.

The loops (acquisition, forwarding, agent) write their own row; readers call ``Board.snapshot`` or walk the
rows. Everything here is touched only in the event loop; ``snapshot`` returns plain data that may leave it.

``rows``: one per device, poll group, destination. ``live``: what of a tag may be shown now. ``board``: all of
them, and the snapshot.
"""

from edge_agent.status.board import Board
from edge_agent.status.live import keep, live_qualities, live_quality, max_age_ns, quality_counts
from edge_agent.status.rows import REQUEST_SECONDS, DeviceRow, GroupRow, Histogram, UplinkRow

__all__ = [
    "REQUEST_SECONDS",
    "Board",
    "DeviceRow",
    "GroupRow",
    "Histogram",
    "UplinkRow",
    "keep",
    "live_qualities",
    "live_quality",
    "max_age_ns",
    "quality_counts",
]
