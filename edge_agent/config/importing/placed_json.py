"""JSON with the place of every object, so that what cannot be imported is named with its line."""

from __future__ import annotations

import json
import re
from typing import Any

from edge_agent.config.located import Position

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]|\n', re.DOTALL)


class Placed(dict[str, Any]):
    """An object of the file. ``at``: where its brace stands."""

    at: Position = (1, 1)


def parse(text: str) -> Any:
    """Raises ValueError (of which JSONDecodeError is one) and RecursionError."""
    places = iter(_places(text))

    def made(pairs: list[tuple[str, Any]]) -> Placed:
        found = Placed(pairs)
        found.at = next(places, (1, 1))
        return found

    return json.loads(text, object_pairs_hook=made)


def _places(text: str) -> list[Position]:
    """Of every object, in the order in which they end: that is the order in which json makes them."""
    line, begin = 1, 0
    opened: list[Position] = []
    closed: list[Position] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "\n":
            line, begin = line + 1, match.end()
        elif token == "{":
            opened.append((line, match.start() - begin + 1))
        elif token == "}" and opened:
            closed.append(opened.pop())
    return closed
