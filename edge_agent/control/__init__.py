"""Process windows: is the line where it should be? Pure: data in, data out.

    batch ──> Control ──compiled check──> nothing happened (the usual case)
                 └── exact path ──> Watcher (one per window) ──> events
    tick  ──> Control ──> what is stale becomes unknown; time in each state is booked

``limits.py`` holds the arithmetic of limits, ``rate.py`` that of rates, ``inputs.py`` what windows read,
``sight.py`` and ``plausible.py`` what one window makes of it, ``limit.py`` the machine of one limit,
``window.py`` the state machine of one window, ``excursion.py`` what it remembers. What changes in limits goes
to ``alarms/``. Laws: a window is in, out, unknown or suppressed; unknown
is not normal; an active excursion stays active while its window is unknown.
"""

from edge_agent.control.control import Control
from edge_agent.control.excursion import State

__all__ = ["Control", "State"]
