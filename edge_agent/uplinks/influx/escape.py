"""Names and texts as line protocol writes them.

Its readers differ in what a backslash before an ordinary character means, and none can read one at the end
of a name: names carry none, it becomes ``/``. Some take a quotation mark in a name for the begin of text: it
becomes ``'``. Control characters, a line's end among them, become blanks. The text of a field is kept as it
is, line ends included.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_KEY = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ "})
_MEASUREMENT = str.maketrans({",": r"\,", " ": r"\ "})
_TEXT = str.maketrans({"\\": r"\\", '"': r"\""})


def measurement(name: str) -> str:
    """ "" when nothing of it is left. A leading # would make the line a comment."""
    plain = _plain(name)
    return (f"_{plain[1:]}" if plain.startswith("#") else plain).translate(_MEASUREMENT)


def key(name: str) -> str:
    """Of a tag or a field, and a tag's value."""
    return _plain(name).translate(_KEY)


def text(value: str) -> str:
    """A string field, quoted."""
    return f'"{value.translate(_TEXT)}"'


def _plain(name: str) -> str:
    return _CONTROL.sub(" ", name).replace("\\", "/").replace('"', "'").strip()
