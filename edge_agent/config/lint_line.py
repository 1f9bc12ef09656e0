"""One line of YAML under the eye of the typing-accident lint (see ``lint``)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from edge_agent.config import catalogue as c
from edge_agent.config.catalogue import Entry
from edge_agent.settings import Text

ODD_SPACES = "\u3000\xa0\u2000-\u200a\u202f\u205f"
_BLANK = re.compile(rf"[ \t{ODD_SPACES}]*")
_ODD = re.compile(rf"[{ODD_SPACES}]")
_INVISIBLE = re.compile(
    "[\u200b-\u200f\u2028-\u202e\u2060\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]"
)
_KEY = re.compile(r"([^\W\d][\w\-.]*|\"[^\"]*\"|'[^']*')( *)([:：])")
_WIDE_ASCII = re.compile(r"[\uff01-\uff5e]")
_MINUS = re.compile(r"[－—–−](?=[\d.])")
_RESERVED = re.compile(r"[@`%&*]")
_BLOCK_SCALAR = re.compile(r"[|>][+\-0-9]*\s*(#.*)?$")
_CURLY = {"“": '"', "”": '"', "‘": "'", "’": "'", "＂": '"', "＇": "'", "「": '"', "」": '"'}
_IN_FLOW = {
    "，": ",",
    "、": ",",
    "；": ",",
    "［": "[",
    "］": "]",
    "｛": "{",
    "｝": "}",
    "【": "[",
    "】": "]",
} | _CURLY
_LIST_KEYS = frozenset({"tag", "name"})
_SPACE_NAMES = {
    "\u3000": Text("full-width space (U+3000)", "全角空格（U+3000）"),
    "\xa0": Text("no-break space (U+00A0)", "不换行空格（U+00A0）"),
}


@dataclass(frozen=True, slots=True)
class Accident:
    """One finding; line and column count from 1 in the original text."""

    line: int
    column: int
    entry: Entry
    values: dict[str, object]


@dataclass(slots=True)
class State:
    """What one line leaves behind for the next."""

    flow: list[tuple[str, int, int]] = field(default_factory=list)  # open brackets and where they stand
    quote: str = ""
    block_indent: int | None = None  # inside a block scalar: the indentation of its key
    indent: int = 0  # of the last key line
    shifted: int | None = None  # where the keys stand under a dash that got its space from us
    open_value: bool = False  # the last key had a plain value, which deeper lines may continue

    @property
    def neutral(self) -> bool:
        nothing_open = not self.flow and not self.quote and self.block_indent is None
        return nothing_open and self.shifted is None


class LineWalk:
    """One line under the eye; ``at`` is the column being looked at (from 0)."""

    def __init__(self, line: str, number: int, state: State) -> None:
        self.line = line
        self.number = number
        self.state = state
        self.at = 0
        self.accidents: list[Accident] = []
        self.edits: list[tuple[int, int, str]] = []

    def run(self) -> None:
        self._invisible()
        if self.state.quote:
            self._quoted()
            self._rest(key=False)
            return
        blank = _BLANK.match(self.line)
        self.at = blank.end() if blank else 0
        if self.at == len(self.line):
            if _ODD.search(self.line):
                self._edit(0, self.at, "")
            return
        if self.state.flow:
            self._rest(key=True)
            return
        indent = self._indentation()
        if self.state.block_indent is not None:
            if indent > self.state.block_indent:
                return
            self.state.block_indent = None
        if self._comment():
            return
        indent += self._under_dash(indent)
        continued = self.state.open_value and indent > self.state.indent
        if continued:
            self._trailing()
            return
        first, inserted = self.at, len(self.edits)
        item = self._dashes()
        self._key_and_value(indent + self.at - first + len(self.edits) - inserted, item)

    # --- pieces of a line ----------------------------------------------------------------------------------

    def _invisible(self) -> None:
        comment = self._comment_start(0)
        for found in _INVISIBLE.finditer(self.line):
            if found.start() < comment:
                self._report(found.start(), c.INVISIBLE, number=f"{ord(found[0]):04X}")
            self._edit(found.start(), found.end(), "")

    def _indentation(self) -> int:
        """The width of the indentation as it was probably meant."""
        blank = self.line[: self.at]
        if not blank.strip(" "):
            return len(blank)
        if "\t" in blank:
            self._report(blank.index("\t"), c.TAB)
        odd = _ODD.search(blank)
        if odd:
            self._report(odd.start(), c.ODD_SPACE, what=_space_name(odd[0]))
        meant = "".join("  " if char in "\t\u3000" else " " for char in blank)
        if self.state.open_value and len(meant) > self.state.indent and self._is_key_line():
            meant = " " * self.state.indent  # nothing can stand inside the value above: a neighbour of it
        self._edit(0, self.at, meant)
        return len(meant)

    def _is_key_line(self) -> bool:
        key = _KEY.match(self.line, self.at)
        return key is not None and self.line[key.end() : key.end() + 1] in ("", " ")

    def _under_dash(self, indent: int) -> int:
        """1 where the line was aligned with a key that the space behind its dash has moved."""
        shifted = self.state.shifted
        if shifted is not None and indent < shifted:
            self.state.shifted = None
        if shifted != indent or self.line[self.at] in "-－—–":
            return 0
        self._edit(self.at, self.at, " ")
        return 1

    def _comment(self) -> bool:
        if self.line.startswith("＃", self.at):
            self._full_width(self.at, "#")
            return True
        return self.line.startswith("#", self.at)

    def _dashes(self) -> bool:
        """Consumes the markers of list items; True when there was one."""
        found = False
        while True:
            here = self.line[self.at : self.at + 2]
            if here == "- ":
                self.at += 2
                self.at += len(self.line[self.at :]) - len(self.line[self.at :].lstrip(" "))
            elif here[:1] in ("－", "—", "–") and (here[1:] in ("", " ") or here[1:].isalpha()):
                self._full_width(self.at, "-" if here[1:] in ("", " ") else "- ", "-")
                self.at += 1
                if here[1:] == " ":
                    self.at += 1
            elif len(here) == 2 and here[0] == "-" and _ODD.match(here[1]):
                self._report(self.at + 1, c.ODD_SPACE, what=_space_name(here[1]))
                self._edit(self.at + 1, self.at + 2, " ")
                self.at += 2
            elif len(here) == 2 and here[0] == "-" and (here[1].isalpha() or here[1] in "\"'"):
                self._report(self.at, c.DASH_SPACE)
                self._edit(self.at + 1, self.at + 1, " ")
                self.at += 1
                self.state.shifted = self.at
            else:
                return found
            found = True

    def _key_and_value(self, indent: int, item: bool) -> None:
        """``indent``: the column of the key, where its mapping begins."""
        state = self.state
        state.indent, state.open_value = indent, item
        key = _KEY.match(self.line, self.at)
        if key and self._colon(key, item):
            self._wide_key(key)
            self.at = key.end()
            self._spaces()
            state.open_value = self.at < len(self.line) and self.line[self.at] not in "#\"'[{|>"
        if self.at >= len(self.line):
            return
        if _BLOCK_SCALAR.match(self.line, self.at):
            state.block_indent = indent if key else indent - 1
        else:
            self._value()

    def _colon(self, key: re.Match[str], item: bool) -> bool:
        """Whether the match is a key; repairs its colon. ``tcp://`` and a lone ``hr:0`` are not keys."""
        at, after = key.start(3), self.line[key.end() : key.end() + 1]
        if key[3] == "：":
            self._full_width(at, ":" if after in ("", " ") else ": ", ":")
            return True
        if after in ("", " ", "\t"):
            return True
        if _ODD.match(after):
            return True  # reported with the spaces after the colon
        if self.line.startswith("//", key.end()) or (item and key[1] not in _LIST_KEYS):
            return False
        self._report(at, c.COLON_SPACE, key=key[1])
        self._edit(key.end(), key.end(), " ")
        return True

    def _wide_key(self, key: re.Match[str]) -> None:
        """A key typed with full-width letters; told once, at the first of them."""
        wide = _WIDE_ASCII.search(key[1])
        if wide and key[1][0] not in "\"'":
            at = key.start(1) + wide.start()
            self._report(at, c.FULL_WIDTH, found=wide[0], wanted=unicodedata.normalize("NFKC", wide[0]))
            self._edit(key.start(1), key.end(1), unicodedata.normalize("NFKC", key[1]))

    def _spaces(self) -> None:
        """Between colon and value."""
        blank = _BLANK.match(self.line, self.at)
        end = blank.end() if blank else self.at
        odd = _ODD.search(self.line, self.at, end)
        if odd:
            self._report(odd.start(), c.ODD_SPACE, what=_space_name(odd[0]))
            self._edit(self.at, end, " " * (end - self.at))
        self.at = end

    def _value(self) -> None:
        """A value in block context, up to the end of the line."""
        line, at = self.line, self.at
        text = line[at:].rstrip()
        if self._curly_value(text) or self._wide_brackets(text):
            return
        if line.startswith("！secret", at):
            self._full_width(at, "!")
        elif _MINUS.match(line, at):
            self._full_width(at, "-")
        elif _RESERVED.match(line, at):
            self._reserved(at, self._comment_start(at))
            return
        self._rest(key=False)

    def _reserved(self, at: int, end: int) -> None:
        self.at = end
        self._report(at, c.RESERVED_START, found=self.line[at])
        inner = self.line[at:end].rstrip().replace("\\", "\\\\").replace('"', '\\"')
        self._edit(at, end, f'"{inner}" ')

    def _curly_value(self, text: str) -> bool:
        """A value that stands wholly in curly quotes: they were meant as quotes."""
        match = re.match(r"([“”‘’＂＇「])([^“”‘’＂＇「」\"']*)(?:([“”‘’＂＇」\"'])\s*(#.*)?)?$", text)
        if not match:
            return False
        wanted = _CURLY[match[1]]
        self._full_width(self.at, wanted)
        if match[3] is None:  # opened and never closed
            end = self._comment_start(self.at)
            self._edit(end, end, wanted)
            return True
        if match[3] in _CURLY:
            self._full_width(self.at + match.start(3), wanted)
        else:
            self._edit(self.at + match.start(3), self.at + match.end(3), wanted)
        return True

    def _wide_brackets(self, text: str) -> bool:
        """A value in full-width brackets or braces was meant as a flow list or mapping."""
        closing = {"［": "]］】", "｛": "}｝", "【": "]］】"}.get(text[:1], "")
        if not closing or text[-1] not in closing:
            return False
        self._rest(key=False, force=True)
        return True

    def _comment_start(self, at: int) -> int:
        found = re.compile(r"(?:^|\s)#").search(self.line, at)
        return found.start() if found else len(self.line)

    # --- quotes and flow collections -----------------------------------------------------------------------

    def _quoted(self) -> None:
        """From inside a quoted scalar to behind its end, or to the end of the line."""
        quote = self.state.quote
        while self.at < len(self.line):
            char = self.line[self.at]
            if char == "\\" and quote == '"':
                self.at += 2
            elif char == quote and quote == "'" and self.line.startswith("''", self.at):
                self.at += 2
            elif char == quote:
                self.at += 1
                self.state.quote = ""
                return
            else:
                self.at += 1

    def _open_quote(self) -> None:
        """A quote that opens here; if it is closed by a curly one on this line, that was meant."""
        start = self.at
        self.state.quote = self.line[start]
        self.at += 1
        self._quoted()
        if not self.state.quote:
            return
        curly = re.compile(r"[”“＂]" if self.state.quote == '"' else r"[’‘＇]").search(self.line, start)
        if curly:
            self._full_width(curly.start(), self.state.quote)
            self.state.quote = ""
            self.at = curly.end()

    def _rest(self, *, key: bool, force: bool = False) -> None:
        """The rest of the line, character by character. ``key``: a key may stand here (inside ``{``)."""
        token = True  # at the start of a token
        flow = self.state.flow
        while self.at < len(self.line):
            char = self.line[self.at]
            if char in "\"'" and token:
                self._open_quote()
                token = False
                continue
            if char == "#" and (self.at == 0 or self.line[self.at - 1] in " \t"):
                return
            if (flow or (force and token)) and char in _IN_FLOW and (token or char not in _CURLY):
                char = self._flow_character(char)
                if char in "\"'":
                    token = False
                    continue
            if flow and token and _RESERVED.match(char):
                self._reserved(self.at, _token_end(self.line, self.at))
                token = False
                continue
            if flow and key and token and flow[-1][0] == "{" and self._flow_key():
                key, token = False, True
                continue
            if char in "[{" and (token or flow):
                flow.append((char, self.number + 1, self.at + 1))
                token = key = True
            elif char in "]}" and flow:
                flow.pop()
                token = key = False
            elif char == "," and flow:
                token = key = True
            elif char == ":" and flow and self.line[self.at + 1 : self.at + 2] in ("", " "):
                token, key = True, False
            elif not char.isspace():
                token = False
            self.at += 1
        self._trailing()

    def _flow_character(self, char: str) -> str:
        """Repairs one full-width character inside a flow collection and returns what was meant."""
        wanted = _IN_FLOW[char]
        if char not in _CURLY:
            self._full_width(self.at, wanted)
            return wanted
        closing = re.compile(r"[“”‘’＂＇」\"']").search(self.line, self.at + 1)
        self._full_width(self.at, wanted)
        if closing is None:
            self.at = len(self.line)
            return wanted
        if closing[0] in _CURLY:
            self._full_width(closing.start(), wanted)
        self.at = closing.end()
        return wanted

    def _flow_key(self) -> bool:
        key = _KEY.match(self.line, self.at)
        if key is None or self.line.startswith("//", key.end()):
            return False
        if self._colon(key, item=False):
            self._wide_key(key)
        self.at = key.end()
        self._spaces()
        return True

    def _trailing(self) -> None:
        """Odd spaces at the end of a line would become part of the value."""
        if self.state.quote:
            return
        end = len(self.line.rstrip())
        odd = _ODD.search(self.line, end)
        if odd and not any(start <= odd.start() < stop for start, stop, _ in self.edits):
            self._report(odd.start(), c.ODD_SPACE, what=_space_name(odd[0]))
            self._edit(end, len(self.line), "")

    # --- notes ---------------------------------------------------------------------------------------------

    def _full_width(self, at: int, replacement: str, wanted: str | None = None) -> None:
        self._report(at, c.FULL_WIDTH, found=self.line[at], wanted=wanted or replacement)
        self._edit(at, at + 1, replacement)

    def _report(self, at: int, entry: Entry, /, **values: object) -> None:
        self.accidents.append(Accident(self.number + 1, at + 1, entry, values))

    def _edit(self, start: int, end: int, replacement: str) -> None:
        self.edits = [e for e in self.edits if e[1] <= start or e[0] >= end or e[0] == e[1]]
        self.edits.append((start, end, replacement))


def _token_end(line: str, at: int) -> int:
    """Where a plain token inside a flow collection ends."""
    found = re.compile(r"[,，}\]｝］]|\s#").search(line, at)
    return found.start() if found else len(line)


def _space_name(char: str) -> Text:
    name = unicodedata.name(char, f"U+{ord(char):04X}").lower()
    return _SPACE_NAMES.get(char, Text(f"{name} (U+{ord(char):04X})", f"特殊空格（U+{ord(char):04X}）"))
