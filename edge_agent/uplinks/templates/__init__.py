"""Message bodies for platforms that do not speak our wire format: a JSON structure with placeholders.

    body:                                 a list or block of YAML, or the name of a JSON or YAML file
      - $each: batch                      this item once for every reading of a poll group
        ts: "{{time_ms}}"                 a placeholder alone keeps its type: a number stays a number
        values:
          "{{tag}}": "{{value}}"          a key that names the tag: this entry once for every tag

A template is data: nothing in it is executed, there are no conditions and no arithmetic, and what is filled
in is escaped by the JSON encoder because it is a value and never text of the document.

    words     what a placeholder means, and how far down it needs to be
    checking  is this structure a template? every mistake with its path
    filling   template + units -> the bodies to send; pure, and free to run in a thread
    fields    the settings types (pydantic: where files are read, never in the running agent)

How many messages: what is not inside a repetition decides. A template that names the time outside of every
``$each`` is filled once per reading; one that names only what all units share is filled once per message.
"""

from edge_agent.uplinks.templates.checking import Fault, faults
from edge_agent.uplinks.templates.filling import About, Filled, Template

__all__ = ["About", "Fault", "Filled", "Template", "faults"]
