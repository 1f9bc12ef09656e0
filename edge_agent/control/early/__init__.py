"""Early warning: where a value is heading, and whether it still behaves as it did. Advisory and pure.

``trend.py`` tells in how many minutes a limit will be reached, ``pattern.py`` holds the control chart (Nelson
rules, Cp, Cpk), ``watch.py`` feeds both from one window's readings. ``advisor.py`` is what
Control drives. Nothing here triggers a write.
"""

from edge_agent.control.early.advisor import Advisor
from edge_agent.control.early.pattern import Chart
from edge_agent.control.early.trend import Outlook, Trend
from edge_agent.control.early.watch import Advice, EarlyWatch

__all__ = ["Advice", "Advisor", "Chart", "EarlyWatch", "Outlook", "Trend"]
