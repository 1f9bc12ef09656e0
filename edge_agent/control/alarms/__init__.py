"""Alarms by ISA-18.2: what becomes of a limit once its condition has come. Pure: data in, data out.

    Transitions of windows ──> AlarmBook.hear ─────> life.py: bits -> bits ──> events, state rows
    a person's AlarmCommand ─> AlarmBook.command ──>
    time ────────────────────> AlarmBook.tick ─────>

``life.py`` is the transition table, ``alarm.py`` one alarm that is not at rest, ``book.py`` all of them,
``commands.py`` what people may do, ``figures.py`` rates and floods. Laws: one alarm per limit of a window; an
alarm at rest costs no memory; nobody is annunciated twice about the same thing.
"""

from edge_agent.control.alarms.book import AlarmBook
from edge_agent.control.alarms.commands import AlarmCommand, CommandRefused, Verb

__all__ = ["AlarmBook", "AlarmCommand", "CommandRefused", "Verb"]
