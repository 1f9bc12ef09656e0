"""Polling: one worker per link, scheduling single exchanges by earliest deadline.

    LinkWorker ── owns ──> Link (driver)          connect, reconnect, one deadline around every await
        │
        ├── Station per device                    breaker, trust, limits, learned
        │      └── Cycle per poll group           slot on the monotonic grid, plan, replies so far
        ├── Session per connection                which exchange is next, and what its end means
        │      ├── Feed per subscribed group      change reports, keep-alives, their deadline
        │      └── Jobs                           single reads and writes, between two polls
        └── sink(driver, Batch)                   called in the event loop; must not block

Nothing here waits for storage, uplink or page: the sink is synchronous and what it does is bounded.
"""

from edge_agent.acquisition.gate import ConnectGate
from edge_agent.acquisition.host import Speaker, WorkerHost
from edge_agent.acquisition.jobs import JobFailed, Reading
from edge_agent.acquisition.once import read_once
from edge_agent.acquisition.worker import LinkWorker

__all__ = ["ConnectGate", "JobFailed", "LinkWorker", "Reading", "Speaker", "WorkerHost", "read_once"]
