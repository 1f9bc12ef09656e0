"""Takes secrets out of any text that is to leave this machine.

Two nets, one behind the other: the values of all secrets that can be found here, wherever and however they
are written; and everything that looks like a secret, by its key, its place in a URL or its form.
"""

from __future__ import annotations

import base64
import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"
_SHORTEST = 3  # a shorter value is masked where its key stands, but not all over the text
_PLAIN_WORD = 8  # below, a value is masked only where it stands alone: 123456 is also part of numbers
_KEY = (
    r"[\w.-]*(?:pass(?:word|wd|phrase)?|pwd|token|secret|credential|authorization|cookie|signature"
    r"|api[_-]?key|private[_-]?key|sm4[_-]?key|access[_-]?key|(?<![a-z])pw(?![a-z])|(?<![a-z])psk(?![a-z])"
    r"|密码|口令|密钥|令牌)[\w.-]*"
)
_HEADING = re.compile(_KEY, re.IGNORECASE)
_LINE = re.compile(
    rf"^(?P<lead>[\s>|-]*)(?P<key>[\"']?{_KEY}[\"']?\s*[:：=]\s*)(?!\s*!secret\b)(?P<value>\S.*)$",
    re.IGNORECASE,
)
_INSIDE = re.compile(
    rf"(?P<key>(?<![\w.-])[\"']?{_KEY}[\"']?\s*[:=]\s*)(?!\s*!secret\b)"
    r"(?P<value>\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s,;&}\])\"']+)",
    re.IGNORECASE,
)
_BLOCK = re.compile(r"^[|>][+-]?\d*\s*(#.*)?$")
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s/@\"'<>]+@", re.IGNORECASE)
_SCHEME = re.compile(r"\b(?P<scheme>Bearer|Basic|Digest|Token)\s+(?P<value>[A-Za-z0-9._~+/=-]{6,})")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_JSON_FLAGS = re.compile(r"(?:true|false|null|None|True|False|\d{1,2}|\[\]|\{\}|\"\"|'')[,}\]]*")


class Redaction:
    """``values``: secrets that are known; found in every usual way of writing them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.masked = 0
        forms = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)
        self._known = re.compile("|".join(map(_pattern, forms))) if forms else None

    def text(self, text: str) -> str:
        """Masked; lines stay lines."""
        if self._known is not None:
            text = self._known.sub(self._mask, text)
        text = _PEM.sub(self._mask, text)
        return "\n".join(self._lines(text.split("\n")))

    def table(self, text: str) -> str:
        """As ``text``, of CSV: also whole columns whose heading speaks of a secret."""
        first = text.partition("\n")[0]
        if _HEADING.search(first):
            delimiter = max(",;\t", key=first.count)
            rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
            bad = {at for at, heading in enumerate(rows[0]) if _HEADING.search(heading)}
            out = io.StringIO()
            writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
            writer.writerow(rows[0])
            for row in rows[1:]:
                writer.writerow([MASK if at in bad and cell else cell for at, cell in enumerate(row)])
            text = out.getvalue()
        return self.text(text)

    def data(self, value: Any, key: str = "") -> Any:
        """Plain data for JSON: values under a key that speaks of a secret, and every text."""
        if isinstance(value, Mapping):
            return {name: self.data(inner, str(name)) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(inner, key) for inner in value]
        if isinstance(value, str):
            if value and _HEADING.fullmatch(key):
                self.masked += 1
                return MASK
            return self.text(value)
        return value

    def _lines(self, lines: list[str]) -> Iterator[str]:
        """A secret may be a block of several lines, each further in than its key."""
        depth = -1
        for line in lines:
            indent = len(line) - len(line.lstrip())
            if depth >= 0:
                if not line.strip():
                    yield line
                    continue
                if indent > depth:
                    self.masked += 1
                    yield " " * indent + MASK
                    continue
                depth = -1
            found = _LINE.match(line)
            if found and _BLOCK.match(found["value"]):
                depth = indent
                yield line
                continue
            flow = line.lstrip().startswith(("{", "["))
            if found and not flow and not _JSON_FLAGS.fullmatch(found["value"]):
                self.masked += 1
                end = "," if found["value"].endswith(",") else ""
                line = f"{found['lead']}{found['key']}{MASK}{end}"
            yield self._inside(line)

    def _inside(self, line: str) -> str:
        line = _USERINFO.sub(lambda m: self._count(f"{m['scheme']}{MASK}@"), line)
        line = _SCHEME.sub(lambda m: self._count(f"{m['scheme']} {MASK}"), line)
        return _INSIDE.sub(self._inside_value, line)

    def _inside_value(self, found: re.Match[str]) -> str:
        if MASK in found["value"] or _JSON_FLAGS.fullmatch(found["value"]):
            return found[0]
        quotes = found["value"][0] if found["value"][0] in "\"'" else ""
        return self._count(f"{found['key']}{quotes}{MASK}{quotes}")

    def _mask(self, found: re.Match[str]) -> str:
        return self._count(MASK)

    def _count(self, text: str) -> str:
        self.masked += 1
        return text


def known_secrets(config_dir: Path, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Every secret that can be found: in its files, in the environment, openly in the configuration."""
    found = [value for name, value in environ.items() if name.startswith("EDGE_AGENT_SECRET_")]
    folders = [config_dir / "secrets"]
    if environ.get("CREDENTIALS_DIRECTORY"):
        folders.append(Path(environ["CREDENTIALS_DIRECTORY"]))
    for folder in folders:
        found += _contents(folder)
    return [value for value in [*found, *_inline(config_dir)] if value.strip()]


def _contents(folder: Path) -> Iterator[str]:
    try:
        files = [path for path in folder.iterdir() if path.is_file() and path.stat().st_size < 65_536]
    except OSError:
        return
    for path in files:
        try:
            yield path.read_bytes().decode("utf-8-sig", "replace").strip("\r\n")
        except OSError:
            continue


def _inline(config_dir: Path) -> Iterator[str]:
    from edge_agent.config import load
    from edge_agent.config.plugins import secret_paths
    from edge_agent.errors import LinesideError

    try:
        configuration = load(config_dir)
    except (LinesideError, OSError):
        return
    for settings in [
        *(d.settings for d in configuration.devices),
        *(u.settings for u in configuration.uplinks),
    ]:
        for path in secret_paths(settings):
            value: Any = settings
            for part in path:
                value = _step(value, part)
            if value is not None:
                yield value.get_secret_value()


def _step(value: Any, part: str | int) -> Any:
    """A key as it is written in the file is the alias of a field."""
    if isinstance(value, Mapping | list | tuple):
        return value[part]  # type: ignore[index]
    names = {field.alias or name: name for name, field in type(value).model_fields.items()}
    return getattr(value, names[str(part)])


def _forms(value: str) -> set[str]:
    """As it is, as it stands in URLs, in JSON, in hexadecimal, and in base64 at any of three offsets."""
    if len(value) < _SHORTEST:
        return set()
    data = value.encode()
    forms = {value, quote(value), quote(value, safe=""), quote_plus(value)}
    forms |= {value.encode("unicode_escape").decode("ascii"), value.replace("\\", "\\\\").replace('"', '\\"')}
    if len(value) >= _PLAIN_WORD:
        forms |= {data.hex(), data.hex().upper(), data.hex(" ")}
        for shift in range(3):
            whole = base64.b64encode(b"\0" * shift + data).decode()
            inner = whole[4 if shift else 0 : len(whole) - (4 if len(data) % 3 or shift else 0)]
            forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= _SHORTEST}


def _pattern(form: str) -> str:
    escaped = re.escape(form)
    return rf"(?<!\w){escaped}(?!\w)" if len(form) < _PLAIN_WORD else escaped
