"""The only wiring: everything that lives is made, joined and ended here.

Agent ── Links ──> LinkWorker per link ──batch──> Flow ──> status, control, buffer
  │                                                 └──events──> journal loop ──> EventStore
  ├── Uplinks ──> Forwarder per destination <── Buffer, EventStore
  ├── upkeep loops: flush, tick, watchdog
  └── Web
"""

import edge_agent.lean  # noqa: F401 - before aiohttp
from edge_agent.agent.agent import Agent
from edge_agent.agent.process import run

__all__ = ["Agent", "run"]
