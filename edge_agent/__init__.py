"""Lineside's agent. The data's way, in the order of the folders:

    config  ->  acquisition (a driver per protocol)  ->  control  ->  buffer  ->  forwarding  ->  uplinks
                                     \\-> status -> metrics, web, cli

``agent.py`` is the only place where these meet. ``docs/architecture.md`` draws the house.
"""

__version__ = "0.1.0"
