"""A time series database, as far as an agent meets it: ``POST /write?db=`` and ``POST /api/v2/write``.

Behaves as told, like the park (`moods`; ``no-echo`` answers 200 without storing, ``poison`` refuses a message
with a line of one of "devices"). On the control port: ``POST /control``, ``GET /report``, and
``GET /samples?device=&tag=`` -> [[time_ns, value], ...] in order of time.
"""

from __future__ import annotations

import base64
import math
from typing import Any

from aiohttp import web

from hardware_mocks.line_protocol import BadLine, Field, Point, parse
from hardware_mocks.message import Unreadable, inflate
from hardware_mocks.park import Park, broken

DATABASE, ORG, BUCKET = "lineside", "plant", "lineside"


class InfluxPark(Park):
    """``unsigned``: whether it understands ``5u``. ``secret``: the token, or the password of any user, that
    it asks for; "" takes everything. Points are kept by series and time; the first value of a field stays."""

    def __init__(
        self, port: int = 0, control_port: int = 0, *, unsigned: bool = True, secret: str = ""
    ) -> None:
        super().__init__(port, control_port)
        self.points: dict[tuple[str, tuple[tuple[str, str], ...]], dict[int, dict[str, Field]]] = {}
        self._unsigned = unsigned
        self._secret = secret
        self._kinds: dict[tuple[str, str], str] = {}
        self._newest: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}

    def report(self) -> dict[str, Any]:
        """``duplicates``: points that came again as they were; ``conflicts``: with another value;
        ``descents``: that are older than one of their series that came before."""
        names = ("messages", "bytes", "abandoned", "refused", "malformed", "lines", "duplicates", "conflicts")
        more = ("descents", "fields", "dropped")
        return {name: self._counts[name] for name in (*names, *more)} | {
            "points": sum(len(found) for found in self.points.values()),
            "series": len(self.points),
            "mode": self.mood.mode,
            "problems": self._problems,
        }

    def values(self, device: str, tag: str) -> list[tuple[int, Field]]:
        """(time_ns, value) of a field, in order of time."""
        return sorted(
            (time_ns, fields[tag])
            for (_, tags), found in self.points.items()
            if dict(tags).get("device") == device
            for time_ns, fields in found.items()
            if tag in fields
        )

    def missing(self, device: str, counter: str) -> int:
        """How many counts of a controller's poll counter arrived nowhere."""
        seen = {int(value) for _, value in self.values(device, counter)}
        return max(seen) - min(seen) + 1 - len(seen) if seen else 0

    def _routes(self) -> list[web.RouteDef]:
        return [web.post("/write", self._write), web.post("/api/v2/write", self._write)]

    async def _write(self, request: web.Request) -> web.StreamResponse:
        met = await self._met(request)
        if isinstance(met, web.StreamResponse):
            return met
        if (refusal := self._refusal(request)) is not None:
            self._counts["refused"] += 1
            return refusal
        body, mood = met
        try:
            if request.headers.get("Content-Encoding", "") == "gzip":
                body = inflate(body)
            found = list(parse(body.decode(), unsigned=self._unsigned))
        except (Unreadable, UnicodeDecodeError) as error:
            return self._malformed(str(error))
        points = [point for point in found if isinstance(point, Point)]
        if mood.mode == "413" and len(points) > mood.max_segments:
            self._counts["refused"] += 1
            return _said(413, "Request Entity Too Large")
        if mood.mode == "poison" and any(point.tag("device") in mood.devices for point in points):
            self._counts["refused"] += 1
            return _said(400, "partial write: unacceptable dropped=1")
        bad = [str(line) for line in found if isinstance(line, BadLine)] + self._keep(points)
        if bad:
            self._counts["dropped"] += len(bad)
            return self._malformed("partial write: " + "; ".join(bad[:3]))
        return broken(request) if mood.mode == "lose-answer" else web.Response(status=204)

    def _refusal(self, request: web.Request) -> web.Response | None:
        two = request.path.startswith("/api/v2")
        given = request.headers.get("Authorization", "")
        if self._secret and not self._knows(given, two=two):
            return _said(401, "authorization failed")
        if two:
            known = request.query.get("org") == ORG and request.query.get("bucket") == BUCKET
            return None if known else _said(404, f'bucket "{request.query.get("bucket")}" not found')
        known = request.query.get("db") == DATABASE
        return None if known else _said(404, f'database not found: "{request.query.get("db")}"')

    def _knows(self, given: str, *, two: bool) -> bool:
        if two:
            return given == f"Token {self._secret}"
        if given.startswith("Basic "):
            try:
                return _password(given) == self._secret
            except ValueError:
                return False
        return given == f"Bearer {self._secret}"

    def _keep(self, points: list[Point]) -> list[str]:
        """What could not be kept: a field keeps the type it first had."""
        bad = []
        for point in points:
            self._counts["lines"] += 1
            for name, kind in point.kinds.items():
                known = self._kinds.setdefault((point.measurement, name), kind)
                if kind != known:
                    bad.append(f"field type conflict: {name} is {kind}, already exists as {known}")
                    break
            else:
                self._keep_one(point)
        return bad

    def _keep_one(self, point: Point) -> None:
        found = self.points.setdefault(point.series, {})
        if point.time_ns < self._newest.get(point.series, -(2**63)):
            self._counts["descents"] += 1
        self._newest[point.series] = max(point.time_ns, self._newest.get(point.series, -(2**63)))
        before = found.setdefault(point.time_ns, {})
        again = [name for name in point.fields if name in before]
        if any(not _same(before[name], point.fields[name]) for name in again):
            self._counts["conflicts"] += 1
        elif again:
            self._counts["duplicates"] += 1
        for name, value in point.fields.items():
            if name not in before:
                before[name] = value
                self._counts["fields"] += 1

    async def _samples(self, request: web.Request) -> web.Response:
        found = self.values(request.query.get("device", ""), request.query.get("tag", ""))
        return web.json_response([list(pair) for pair in found])

    def _malformed(self, problem: str) -> web.Response:
        super()._malformed(problem)
        return _said(400, problem)


def _same(one: Field, other: Field) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and one == other


def _said(status: int, error: str) -> web.Response:
    return web.json_response({"error": error}, status=status)


def _password(given: str) -> str:
    return base64.b64decode(given.removeprefix("Basic "), validate=True).decode().partition(":")[2]
