"""The HTTP side as a client sees it: a real socket, a real client."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from edge_agent.config.model import WebConfig
from edge_agent.metrics import Exporter
from edge_agent.model import Event, Quality, Schema, Tag, ValueType
from edge_agent.settings import Text
from edge_agent.status import Board, DeviceRow, GroupRow, live_quality, quality_counts
from edge_agent.testing.clock import ManualClock
from edge_agent.web import Sources, Web, page, values
from edge_agent.web.cached import Cached
from edge_agent.web.document import in_pieces
from edge_agent.web.guard import HostNames
from edge_agent.web.server import bind_problem
from tests.unit.metrics.board import ALARM, BUFFER, MONO_NS, PERIODS, SELECTED, TIME_NS, WINDOW, make_board

EVENTS = [Event("excursion_begin", "press-1.pressure", TIME_NS, MONO_NS, "3fa2c1", {"value": 0.52})] * 3
PATHS = (
    "/",
    "/metrics",
    "/healthz",
    "/readyz",
    "/api/v1/status",
    "/api/v1/tags",
    "/api/v1/windows",
    "/api/v1/buffer",
    "/api/v1/events",
)


class Site:
    """A web server over a board made by hand, and a client for it."""

    def __init__(self, client: aiohttp.ClientSession, config: WebConfig | None = None) -> None:
        self.board: Board = make_board()
        self.clock = ManualClock(TIME_NS, MONO_NS)
        self.reasons: list[str] = []
        self.asked = 0
        sources = Sources(
            self.board,
            self.clock,
            selected=self._selected,
            events=self._events,
            not_ready=lambda: self.reasons,
        )
        self.web = Web(config or WebConfig(port=0), sources)
        self.client = client

    def _selected(self) -> frozenset[tuple[str, str]]:
        self.asked += 1
        return SELECTED

    async def _events(self, limit: int) -> Sequence[Event]:
        return EVENTS[:limit]

    async def get(self, path: str, **more: Any) -> tuple[aiohttp.ClientResponse, bytes]:
        url = f"http://127.0.0.1:{self.web.port}{path}"
        async with self.client.request(more.pop("method", "GET"), url, **more) as answer:
            return answer, await answer.read()

    async def json(self, path: str) -> Any:
        answer, body = await self.get(path)
        assert (answer.status, answer.content_type) == (200, "application/json")
        return json.loads(body)


@pytest_asyncio.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest_asyncio.fixture
async def site(client: aiohttp.ClientSession) -> AsyncIterator[Site]:
    made = Site(client)
    assert await made.web.start()
    yield made
    await made.web.close()


async def test_metrics(site: Site) -> None:
    answer, body = await site.get("/metrics", headers={"Accept-Encoding": "identity"})
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'edgeagent_tag_value{device="press-1",tag="pressure",unit="MPa"} 0.41' in body.decode()
    assert "process_resident_memory_bytes" in body.decode()


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("br;q=1, gzip;q=0.5", True), ("*", True), ("identity", False), ("gzip;q=0", False)],
)
async def test_metrics_are_compressed_when_accepted(site: Site, accepted: str, packed: bool) -> None:
    answer, body = await site.get("/metrics", headers={"Accept-Encoding": accepted})
    assert (answer.headers.get("Content-Encoding") == "gzip") is packed
    assert b"edgeagent_device_up" in (gzip.decompress(body) if packed else body)


async def test_scrapes_at_the_same_time_cost_one(site: Site) -> None:
    answers = await asyncio.gather(*(site.get("/metrics") for _ in range(20)))
    assert all(answer.status == 200 for answer, _ in answers)
    assert len({body for _, body in answers}) == 1
    assert site.asked == 1


async def test_the_loop_runs_on_while_the_text_is_written(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The expensive step is in a thread: held up there, other requests are answered meanwhile."""
    import threading

    gate, entered = threading.Event(), threading.Event()

    def slow(_exporter: Exporter, _snapshot: Any) -> bytes:
        entered.set()
        assert gate.wait(20)
        return b"slow"

    monkeypatch.setattr(Exporter, "exposition", slow)
    held = Site(site.client)
    await held.web.start()
    scrape = asyncio.create_task(held.get("/metrics", headers={"Accept-Encoding": "identity"}))
    try:
        await asyncio.to_thread(entered.wait, 20)
        answer, _ = await held.get("/healthz")
        assert answer.status == 200 and not scrape.done()
    finally:
        gate.set()
        assert (await scrape)[1] == b"slow"
        await held.web.close()


async def test_status_has_no_tags_and_tags_has_them(site: Site) -> None:
    status, tags = await site.json("/api/v1/status"), await site.json("/api/v1/tags")
    assert status["agent"]["line"] == "press-line-1"
    assert "values" not in status["devices"][0]["groups"][0]
    values = {row["tag"]: row for row in tags["devices"][0]["groups"][0]["values"]}
    assert values["zone1_temperature"]["value"] == pytest.approx(185.2)
    assert values["充注温度"] == values["充注温度"] | {"value": None, "quality": "bad_comm", "unit": "°C"}
    assert values["meter"]["value"] == 9_007_199_254_740_993


@pytest.mark.parametrize("state", ["down", "silent", "connecting", "refused"])
async def test_what_a_lost_device_said_last_is_not_shown_as_live(site: Site, state: str) -> None:
    """At once, not only when it has become too old; a reason to be bad stays told."""
    before = (await site.json("/api/v1/tags"))["devices"][0]["groups"][0]
    assert before["quality"] == {"good": 6, "uncertain": 0, "bad": 1, "stale": 0}
    lost = Site(site.client)
    lost.board.devices["press-1"].turn(state, "cable", TIME_NS)
    await lost.web.start()
    try:
        group = (await lost.json("/api/v1/tags"))["devices"][0]["groups"][0]
        status = (await lost.json("/api/v1/status"))["devices"][0]["groups"][0]
    finally:
        await lost.web.close()
    assert group["quality"] == status["quality"] == {"good": 0, "uncertain": 0, "bad": 1, "stale": 6}
    shown = {row["tag"]: (row["quality"], row["value"]) for row in group["values"]}
    assert shown.pop("充注温度") == ("bad_comm", None)
    assert set(shown.values()) == {("stale", None)}


def test_quality_counts_say_what_the_single_tags_say() -> None:
    board = make_board()
    group = board.devices["press-1"].groups["fast"]
    assert group.latest is not None
    qualities = (0x00, 0x40, 0x41, 0x80, 0x86, 0xC0, 0x00)
    group.latest = replace(group.latest, quality=bytes(qualities))
    for up in (True, False):
        for age_ns in (0, 10**10):
            counts: Counter[str] = Counter(good=0, uncertain=0, bad=0, stale=0)
            for index in range(len(qualities)):
                quality = live_quality(group, index, MONO_NS + age_ns, up=up)
                fresh = "good" if quality.is_good else "uncertain" if quality < 0x80 else "bad"
                old = quality is Quality.STALE and qualities[index] < 0x80
                counts["stale" if old else fresh] += 1
            assert quality_counts(group, MONO_NS + age_ns, up=up) == counts


async def test_windows_buffer_events(site: Site) -> None:
    assert (await site.json("/api/v1/windows"))["windows"] == [WINDOW]
    assert (await site.json("/api/v1/buffer"))["buffer"] == BUFFER | {"periods": PERIODS}
    events = (await site.json("/api/v1/events?limit=2"))["events"]
    assert len(events) == 2
    assert events[0] == {
        "kind": "excursion_begin",
        "source": "press-1.pressure",
        "time_ns": TIME_NS,
        "config_version": "3fa2c1",
        "detail": {"value": 0.52},
    }


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "", "9" * 5000, "٣"])
async def test_a_senseless_limit_is_refused(site: Site, limit: str) -> None:
    answer, _ = await site.get("/api/v1/events", params={"limit": limit})
    assert answer.status == 400


async def test_an_infinite_value_does_not_spoil_the_answer(site: Site) -> None:
    site.board.windows = lambda: [WINDOW | {"value": float("inf")}]
    assert (await site.json("/api/v1/windows"))["windows"][0]["value"] is None


async def test_health_and_readiness(site: Site) -> None:
    site.reasons = ["starting"]
    assert (await site.get("/healthz"))[1] == b"ok\n"
    answer, body = await site.get("/readyz")
    assert (answer.status, body) == (503, b"starting\n")
    site.reasons = []
    assert (await site.get("/readyz"))[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
async def test_only_get(site: Site, method: str, path: str) -> None:
    answer, _ = await site.get(path, method=method)
    assert answer.status == 405


@pytest.mark.parametrize("path", [*PATHS, "/nowhere"])
async def test_every_answer_carries_the_headers(site: Site, path: str) -> None:
    answer, _ = await site.get(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert "aiohttp" not in answer.headers["Server"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9713", "[::1]", "[::1]:9713"])
async def test_own_names_are_answered(site: Site, host: str) -> None:
    assert (await site.get("/healthz", headers={"Host": host}))[0].status == 200


@pytest.mark.parametrize("path", [*PATHS, "/nowhere"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9713", "10.0.0.5"]
)
async def test_a_foreign_name_is_refused_everywhere(site: Site, path: str, host: str) -> None:
    answer, body = await site.get(path, headers={"Host": host})
    assert answer.status == 403
    assert b"press" not in body
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_request_without_a_host_is_refused(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.web.port)
    writer.write(b"GET /api/v1/status HTTP/1.0\r\n\r\n")
    async with asyncio.timeout(10):
        assert b" 403 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


def test_names_when_listening_everywhere() -> None:
    names = HostNames("0.0.0.0")
    own = socket.gethostname().lower()
    assert names.allow("10.0.0.5:9713") and names.allow("[fe80::1]:9713") and names.allow(own)
    assert not names.allow("evil.example") and not names.allow("") and not names.allow(None)


def test_names_when_listening_on_one_address() -> None:
    names = HostNames("10.0.0.5")
    assert names.allow("10.0.0.5:9713") and names.allow("127.0.0.1")
    assert not names.allow("10.0.0.6:9713")


async def test_only_loopback_by_default(client: aiohttp.ClientSession) -> None:
    assert WebConfig().host == "127.0.0.1"
    site = Site(client)
    await site.web.start()
    try:
        addresses = _listening(site.web.port)
        assert addresses == {"0100007F"}  # /proc/net/tcp: 127.0.0.1, little-endian
    finally:
        await site.web.close()


def _listening(port: int) -> set[str]:
    found = set()
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(path, encoding="ascii") as table:  # noqa: PTH123
            for line in list(table)[1:]:
                local, _, state = line.split()[1:4]
                address, _, hex_port = local.partition(":")
                if state == "0A" and int(hex_port, 16) == port:
                    found.add(address)
    return found


async def test_a_taken_port_is_told_and_stops_nothing(
    site: Site, client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    other = Site(client, WebConfig(port=site.web.port))
    assert not await other.web.start()
    assert f"127.0.0.1:{site.web.port}" in caplog.text and "Cure: " in caplog.text
    assert other.web.problem is not None and "已被另一个程序占用" in other.web.problem.zh
    assert other.web.port == 0
    await other.web.close()


async def test_it_can_start_once_the_port_is_free(site: Site, client: aiohttp.ClientSession) -> None:
    other = Site(client, WebConfig(port=site.web.port))
    assert not await other.web.start()
    await site.web.close()
    assert await other.web.start() and other.web.problem is None
    assert (await other.get("/healthz"))[0].status == 200
    await other.web.close()


async def test_close_is_idempotent_and_needs_no_start(client: aiohttp.ClientSession) -> None:
    site = Site(client)
    await site.web.close()
    await site.web.start()
    await site.web.close()
    await site.web.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "no such address"),
        (OSError(99, "Cannot assign requested address"), "no such address"),
        (PermissionError(13, "Permission denied"), "above 1023"),
        (OverflowError("port must be 0-65535"), "web.port"),
    ],
)
def test_every_bind_failure_names_the_place_and_a_cure(error: Exception, words: str) -> None:
    told = bind_problem(WebConfig(host="plant-pc", port=80), error)
    assert isinstance(told, Text)
    assert words in told.en and "plant-pc:80" in told.en and "plant-pc:80" in told.zh


async def test_a_reload_changes_which_tags_are_exported(site: Site) -> None:
    site.web.reconfigure(WebConfig(port=0, tags="off"))
    _, body = await site.get("/metrics", headers={"Accept-Encoding": "identity"})
    assert b"edgeagent_tag_value" not in body


async def test_the_page_shows_the_line_and_asks_nobody_else(site: Site) -> None:
    answer, body = await site.get("/")
    text = body.decode()
    assert answer.content_type == "text/html" and answer.charset == "utf-8"
    assert "press-line-1" in text and "press-1.pressure" in text and "/metrics" in text
    assert "http://" not in text.replace("https://park.example", "") and "<script" not in text
    assert "src=" not in text and "<link" not in text and "@import" not in text


async def test_the_page_escapes_everything(site: Site) -> None:
    evil = "<script>alert(1)</script>\"'&"
    site.board.line = site.board.version = evil
    site.board.config_problems = ({"place": evil, "code": evil, "en": evil, "zh": evil},)
    site.board.config_reload_ok = False
    site.board.windows = lambda: [
        WINDOW | {"name": evil, "unit": evil, "reason": evil, "value": evil, "state": evil}
    ]
    for row in site.board.devices.values():
        row.name = row.endpoint = row.reason = row.state = evil
    for uplink in site.board.uplinks.values():
        uplink.name = uplink.endpoint = uplink.reason = evil
    _, body = await site.get("/")
    assert b"<script" not in body and b"&lt;script&gt;" in body


async def test_of_very_many_windows_the_page_shows_the_most_urgent(site: Site) -> None:
    """An active excursion first, also where its input is dead; /api/v1/windows has them all."""
    rows = [WINDOW | {"name": f"quiet-{i}."} for i in range(5000)]
    rows[4000] |= {"name": "dead-and-active", "state": "unknown", "active": True}
    rows[4001] |= {"name": "outside", "state": "out", "active": True}
    rows[4002] |= {"name": "dead", "state": "unknown"}
    site.board.windows = lambda: rows
    _, body = await site.get("/")
    text = body.decode()
    found = re.findall(r"<td>(dead-and-active|outside|dead|quiet-\d+\.)</td>", text)
    assert found == ["dead-and-active", "outside", "dead", *(f"quiet-{i}." for i in range(197))]
    assert "… 4800 more" in text
    assert len((await site.json("/api/v1/windows"))["windows"]) == 5000


async def test_a_page_with_room_for_all_windows_keeps_their_order(site: Site) -> None:
    """People know where on the page to look."""
    states = ["in", "out", "suppressed", "unknown", "in"] * 40
    rows = [WINDOW | {"name": f"w{i}.", "state": state} for i, state in enumerate(states)]
    site.board.windows = lambda: rows
    _, body = await site.get("/")
    assert re.findall(r"<td>(w\d+\.)</td>", body.decode()) == [f"w{i}." for i in range(200)]
    assert "more" not in body.decode()


async def test_many_windows_are_written_a_few_at_a_time(site: Site) -> None:
    """Polls get their turn in between, and all rows arrive once, whatever their number."""
    for count in (0, 1, 99, 100, 101, 350):
        rows = [WINDOW | {"name": f"w{i}", "value": math.inf if i == 70 else 1} for i in range(count)]
        taken: list[int] = []
        turns = 0

        class Noting(list[dict[str, Any]]):
            def __getitem__(self, index: Any) -> Any:
                taken.append(turns)  # noqa: B023  # of this round
                return super().__getitem__(index)

        async def pass_by() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(pass_by())
        pieces = await in_pieces({"a": 1, "rows": Noting(rows), "z": "充"}, {"rows": 100})
        other.cancel()
        answer = json.loads(b"".join(pieces))
        assert list(answer) == ["a", "rows", "z"] and (answer["a"], answer["z"]) == (1, "充")
        assert [row["name"] for row in answer["rows"]] == [row["name"] for row in rows]
        assert max(map(len, pieces)) < 60_000
        assert len(set(taken)) == len(taken) == -(-count // 100)
    many = [WINDOW | {"name": f"w{i}"} for i in range(350)]
    site.board.windows = lambda: many
    for path in ("/api/v1/status", "/api/v1/windows", "/api/v1/tags"):
        assert (await site.json(path))["windows"] == many
    assert list(await site.json("/api/v1/status")) == list(site.board.snapshot(0, 0))


async def test_a_large_answer_is_not_kept(site: Site) -> None:
    made = 0

    async def make() -> list[bytes]:
        nonlocal made
        made += 1
        return [b"x" * 500] * 2

    cached = Cached(make, 0.05)
    assert [b"".join(await cached.get()) for _ in range(3)] == [b"x" * 1000] * 3 and made == 1
    async with asyncio.timeout(10):
        while cached._plain:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)
    assert gzip.decompress(*await cached.get(packed=True)) == b"x" * 1000 and made == 2


async def test_the_page_tells_mistakes_of_the_configuration_in_the_language_of_the_reader(site: Site) -> None:
    told = {"place": "devices.d/a.yaml:4:8", "code": "E-CFG-020", "en": "unknown key", "zh": "未知的键"}
    site.board.config_problems, site.board.config_reload_ok = (told,), False
    for language, words in (("en", "unknown key"), ("zh-CN", "未知的键")):
        _, body = await site.get("/", headers={"Accept-Language": language})
        assert f"<li>devices.d/a.yaml:4:8: E-CFG-020 {words}</li>" in body.decode()


async def test_the_page_speaks_the_language_of_the_configuration_to_who_names_none(site: Site) -> None:
    site.board.language = "zh"
    for accept, word in (("", "设备"), ("de", "设备"), ("en-GB,zh", "Devices"), ("zh-TW", "设备")):
        _, body = await site.get("/", headers={"Accept-Language": accept})
        assert f"<h2>{word}</h2>" in body.decode()


async def test_the_page_lists_the_tags(site: Site) -> None:
    _, body = await site.get("/", headers={"Accept-Language": "zh-CN"})
    text = body.decode()
    assert "<details open><summary>press-1: 7 个变量</summary>" in text
    assert "<tr><td>pressure</td><td>0.41 MPa</td><td>良好</td><td>0.1 s</td></tr>" in text
    assert "<td>zone1_temperature</td><td>185.2 °C</td>" in text
    assert '<td>充注温度</td><td>°C</td><td class="unsure">通信失败</td>' in text
    assert '<td>zone1</td><td>°C</td><td class="unsure">过期</td>' in text  # its device is gone


async def test_of_very_many_tags_the_page_has_the_first(site: Site) -> None:
    tags = [Tag(f"t{i}.", f"hr:{i}", ValueType.INT16) for i in range(5000)]
    for name in ("压机", "b", "c", "d", "e", "f"):
        row = site.board.devices[name] = DeviceRow(name, "modbus", "x")
        row.groups["fast"] = GroupRow(Schema.of(name, "fast", "1", tags), 0.5)
    _, body = await site.get("/")
    text = body.decode()
    assert len(re.findall(r"<td>t\d+\.</td>", text)) == values.MAX_ALL - 9 and "… 4800 more" in text
    assert text.count("<details>") == 6 and '<a href="/?device=%E5%8E%8B%E6%9C%BA">' in text
    _, body = await site.get("/?device=压机")
    text = body.decode()
    assert len(re.findall(r"<td>t\d+\.</td>", text)) == values.MAX_TAGS
    assert text.count("<details open>") == text.count("<details") == 1
    _, body = await site.get("/?device=nobody")
    assert b"press-1: 7 tags" in body


async def test_the_page_tells_reasons_in_the_language_of_the_reader(site: Site) -> None:
    site.board.windows = lambda: [WINDOW | {"state": "unknown", "reason": "when bad_comm"}]
    site.board.uplinks["park"].turn(False, "connected, nothing delivered yet", TIME_NS)
    _, body = await site.get("/", headers={"Accept-Language": "zh-CN"})
    text = body.decode()
    assert "<td>条件：通信失败</td>" in text and "<td>已连接，尚未送达数据</td>" in text
    assert "<td>no connection</td>" in text  # what an error itself says stays, so that it can be searched for


async def test_the_page_shows_alarms_limits_and_beijing_time(site: Site) -> None:
    site.board.alarms = lambda: {"rows": [ALARM | {"name": f"a{i}"} for i in range(page.MAX_ALARMS + 2)]}
    _, body = await site.get("/")
    text = body.decode()
    assert '<td>a0</td><td class="bad">ACTIVE</td><td>0.52 MPa</td><td>0.5</td>' in text
    assert len(re.findall(r"<td>a\d+</td>", text)) == page.MAX_ALARMS and "… 2 more" in text
    assert "<td>0.41 MPa</td><td>0.3..0.5</td>" in text
    assert "+08:00" in text and "+00:00" not in text


async def test_the_page_speaks_chinese(site: Site) -> None:
    _, body = await site.get("/", headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})
    assert "工艺窗口" in body.decode() and '<html lang="zh-CN">' in body.decode()


async def test_an_active_excursion_is_marked_even_while_unknown(site: Site) -> None:
    site.board.windows = lambda: [WINDOW | {"state": "unknown", "active": True, "value": None}]
    _, body = await site.get("/")
    assert '<td class="bad">unknown</td>' in body.decode()
