"""The data segment: ``QN=..;ST=..;CN=..;PW=..;MN=..;Flag=..;[PNUM=..;PNO=..;][RF=1;]CP=&&data&&``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from edge_agent.uplinks.hj212.moment import read_qn
from edge_agent.uplinks.hj212.profile import MAX_CP, Version, flag_of, read_flag

_ORDER = ("QN", "ST", "CN", "PW", "MN", "Flag", "PNUM", "PNO", "RF")
_FORM = {
    "QN": re.compile(r"\d{17}", re.ASCII),
    "ST": re.compile(r"[0-9A-Z]{2}"),
    "CN": re.compile(r"\d{4}", re.ASCII),
    "PW": re.compile(r"[!-~]{6}"),
    "MN": re.compile(r"[0-9A-F]{24}"),
    "Flag": re.compile(r"\d{1,3}", re.ASCII),
    "PNUM": re.compile(r"\d{1,4}", re.ASCII),
    "PNO": re.compile(r"\d{1,4}", re.ASCII),
    "RF": re.compile(r"1"),
}
_MAX_FIELDS = 32


class BadSegment(ValueError):
    """Not a data segment, with the reason."""


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class Segment:
    """``qn`` and ``pw`` may be empty in what an old peer sends. ``data``: between the two ``&&``. ``sealed``:
    it came encrypted."""

    qn: str
    st: str
    cn: str
    pw: str = field(repr=False)
    mn: str
    version: Version = Version.V2017
    ack: bool = False
    part: Part | None = None
    backfill: bool = False
    data: str = ""
    sealed: bool = False

    @property
    def flag(self) -> int:
        return flag_of(self.version, split=self.part is not None, ack=self.ack)

    def encode(self) -> bytes:
        part = f"PNUM={self.part.total};PNO={self.part.number};" if self.part else ""
        mark = "RF=1;" if self.backfill and self.version.marks_backfill else ""
        return (
            f"QN={self.qn};ST={self.st};CN={self.cn};PW={self.pw};MN={self.mn};"
            f"Flag={self.flag};{part}{mark}CP=&&{self.data}&&"
        ).encode()


def parse_segment(raw: bytes, *, lenient: bool = True) -> Segment:
    """BadSegment when it is none. Lenient: fields in any order, blanks, unknown fields, foreign MNs, no QN,
    no Flag (which is how 2005 is recognised)."""
    try:
        text = raw.decode("utf-8", "replace" if lenient else "strict")
    except UnicodeDecodeError:
        raise BadSegment("not UTF-8") from None
    head, found, rest = text.partition("CP=&&")
    if not found or not rest.endswith("&&"):
        raise BadSegment("no CP=&&...&&")
    fields = _fields(head, lenient)
    data = _tidy(rest[:-2]) if lenient else rest[:-2]
    if not lenient and data != _tidy(data):
        raise BadSegment("blanks or a ; at the edge of the data")
    if not lenient and len(data.encode()) + 7 > MAX_CP:
        raise BadSegment(f"CP is longer than {MAX_CP} bytes")
    return _segment(fields, data, lenient)


def _fields(head: str, lenient: bool) -> dict[str, str]:
    pieces = head.split(";", _MAX_FIELDS)
    if pieces.pop().strip():
        raise BadSegment("no ; before CP, or too many fields")
    fields: dict[str, str] = {}
    place = -1
    for piece in pieces:
        name, found, value = piece.partition("=")
        if lenient:
            name, value = name.strip(), value.strip()
        if not found or name in fields:
            raise BadSegment(f"field {name[:20]!r} has no value or stands twice")
        fields[name] = value
        if lenient:
            continue
        if name not in _ORDER or _ORDER.index(name) < place or not _FORM[name].fullmatch(value):
            raise BadSegment(f"field {name[:20]!r} is unknown, misplaced or malformed")
        place = _ORDER.index(name)
    return fields


def _segment(fields: dict[str, str], data: str, lenient: bool) -> Segment:
    required = ("CN", "MN") if lenient else _ORDER[:6]
    for name in required:
        if not fields.get(name):
            raise BadSegment(f"{name} is missing")
    if not _FORM["CN"].fullmatch(fields["CN"]):
        raise BadSegment("CN is not four digits")
    qn = fields.get("QN", "")
    try:
        if qn:
            read_qn(qn)
        version, split, ack = read_flag(_number(fields.get("Flag", "0")))
        part = Part(_number(fields.get("PNO", "1")), _number(fields.get("PNUM", "1"))) if split else None
    except ValueError as error:
        raise BadSegment(f"QN, Flag, PNUM or PNO: {error}") from None
    if not lenient:
        if split != ("PNUM" in fields) or split != ("PNO" in fields):
            raise BadSegment("Flag and PNUM/PNO contradict each other")
        if part and not 1 <= part.number <= part.total:
            raise BadSegment("PNO is outside of 1..PNUM")
        if "RF" in fields and not version.marks_backfill:
            raise BadSegment("RF exists only since 2025")
    return Segment(
        qn, fields.get("ST", ""), fields["CN"], fields.get("PW", ""), fields["MN"],
        version, ack, part, fields.get("RF") == "1", data,
    )  # fmt: skip


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise ValueError(f"{text[:10]!r} is no number")
    return int(text)


def _tidy(data: str) -> str:
    """Peers put blanks behind && (as the standard's own examples do) and a ; before the closing one."""
    return data.strip().removesuffix(";").rstrip()
