"""What Prometheus is told: the status board as text.

    board ──collect, in the event loop──> Snapshot ──exposition, in a worker thread──> bytes

``names.py`` holds every metric, ``families.py`` reads the board, ``selection.py`` says which tags and windows
become series, ``text.py`` writes; ``docs/decisions/0006-exposition.md`` says why we write the text ourselves.

Nothing is kept of a scrape but texts that are the same in every one, so what is no longer on the board is no
longer exported. A tag value is exported only while it is good and young enough to be shown as live, so the
series of a dead device ends instead of freezing at its last number.

The agent polls on a timer of its own (its process windows need that), so a scrape reads the newest poll and
never asks a device; ``edgeagent_poll_last_success_timestamp_seconds`` tells how old that is. Which machine
and which line this is are labels of the scrape configuration, not of the agent.
"""

from edge_agent.metrics.exporter import CONTENT_TYPE, Exporter
from edge_agent.metrics.families import Snapshot

__all__ = ["CONTENT_TYPE", "Exporter", "Snapshot"]
