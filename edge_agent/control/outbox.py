"""Where windows put what they have to say beside their own events."""

from __future__ import annotations

from edge_agent.control.transition import Transition


class Outbox:
    """Shared by all windows of one configuration. ``transitions``: for the alarms, in the order in which they
    happened. ``touched``: names of the windows whose state row has changed (a dict for its order). The boxes
    of two configurations share both: what was said before a reload is not lost by it."""

    __slots__ = ("config_version", "touched", "transitions")

    def __init__(self, config_version: str, before: Outbox | None = None) -> None:
        self.config_version = config_version
        self.transitions: list[Transition] = [] if before is None else before.transitions
        self.touched: dict[str, None] = {} if before is None else before.touched

    def take(self) -> list[Transition]:
        """What was said since the last time."""
        taken = self.transitions[:]
        self.transitions.clear()
        return taken
