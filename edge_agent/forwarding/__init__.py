"""Stores -> uplinks. One ``Forwarder`` per configured uplink; they know nothing of each other.

forwarder   connection, turns, waiting: live first, then what is suspect, then one chunk of backlog
outbox      which units are to be sent now, and what became of them
held        units that wait for a confirmation or for their next try
standing    up or down, said once
backoff     full jitter
host        what a destination may ask of the agent
store       what forwarding needs of a store
"""

from __future__ import annotations

from edge_agent.forwarding.forwarder import Forwarder, Timing
from edge_agent.forwarding.host import AgentHost, Hooks, Speaker
from edge_agent.forwarding.store import Store

__all__ = ["AgentHost", "Forwarder", "Hooks", "Speaker", "Store", "Timing"]
