"""The simulated time series database: what it reads, keeps, counts and refuses."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from hardware_mocks.influx_park import InfluxPark
from hardware_mocks.line_protocol import BadLine, Point, parse
from hardware_mocks.moods import Mood


def one(line: str) -> Point:
    (found,) = parse(line)
    assert isinstance(found, Point), found
    return found


@pytest.mark.parametrize(
    ("line", "point"),
    [
        ("m f=1 5", Point("m", (), {"f": 1.0}, {"f": "float"}, 5)),
        (r"m\ 1\,2,b=2,a\=\ x=y\\z f\,=1i 5",
         Point("m 1,2", (("a= x", "y\\\\z"), ("b", "2")), {"f,": 1}, {"f,": "integer"}, 5)),
        ('m s="a \\"b\\" \\\\ , = \n c",t=t 5',
         Point("m", (), {"s": 'a "b" \\ , = \n c', "t": True}, {"s": "string", "t": "boolean"}, 5)),
        ("m f=18446744073709551615u", Point("m", (), {"f": 2**64 - 1}, {"f": "unsigned"}, 0)),
        ("m f=-1.5e-300 -5", Point("m", (), {"f": -1.5e-300}, {"f": "float"}, -5)),
        ('m"q,a="b" f=1 5', Point('m"q', (("a", '"b"'),), {"f": 1.0}, {"f": "float"}, 5)),
    ],
)  # fmt: skip
def test_lines_that_are_understood(line: str, point: Point) -> None:
    assert one(line) == point


@pytest.mark.parametrize(
    "line",
    ["m", "m 5", "m f=", "m f=1 x", "m f=nan 5", "m f=inf 5", "m,a= f=1", "m,a f=1", "m,=b f=1", 'm f="x 5',
     "m f=1.0i 5", "m f=9223372036854775808i 5", "m f=1,f=2 5", "m,a=1,a=2 f=1", ",a=b f=1", "m f=1 5 6",
     "m f=1x 5", "m,time=1 f=1", "m f=-1u", "m =1 5", "m f 5", "m  f=1 5"],
)  # fmt: skip
def test_lines_that_are_refused(line: str) -> None:
    assert isinstance(next(iter(parse(line))), BadLine)


def test_lines_comments_and_blanks() -> None:
    found = list(parse('# a\n\nm f=1 5\nm s="a\nb" 6\n  \nbad\n'))
    assert [type(part).__name__ for part in found] == ["Point", "Point", "BadLine"]
    assert isinstance(next(iter(parse("m f=1u", unsigned=False))), BadLine)


@pytest_asyncio.fixture
async def park() -> AsyncIterator[InfluxPark]:
    park = InfluxPark()
    await park.start()
    yield park
    await park.close()


async def write(
    park: InfluxPark, text: str, query: str = "/write?db=lineside", **headers: str
) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"http://127.0.0.1:{park.port}{query}", data=text.encode(), headers=headers) as reply,
    ):
        return reply.status, await reply.text()


async def test_points_are_kept_by_series_and_time(park: InfluxPark) -> None:
    lines = "m,device=p f=1,n=1i 1\nm,device=p f=2,n=2i 2\nm,device=q f=2,n=7i 2"
    assert (await write(park, lines))[0] == 204
    assert (await write(park, "m,device=p f=2,n=2i 2\nm,device=p g=3 2"))[0] == 204
    report = park.report()
    assert (report["points"], report["series"], report["duplicates"], report["conflicts"]) == (3, 2, 1, 0)
    assert park.values("p", "n") == [(1, 1), (2, 2)]
    assert park.values("p", "g") == [(2, 3.0)]
    assert (await write(park, "m,device=p n=9i 2"))[0] == 204
    assert park.report()["conflicts"] == 1
    assert park.values("p", "n")[1] == (2, 2), "the first stays"


async def test_gaps_and_order(park: InfluxPark) -> None:
    await write(park, "m,device=p n=1i 1\nm,device=p n=4i 4\nm,device=p n=2i 2")
    assert park.missing("p", "n") == 1
    assert park.report()["descents"] == 1


async def test_a_field_keeps_its_type_and_the_rest_is_written(park: InfluxPark) -> None:
    status, said = await write(park, "m f=1 1\nm f=1i 2\nbad\nm f=3 3")
    assert (status, "partial write" in said) == (400, True)
    assert park.report()["points"] == 2
    assert park.report()["dropped"] == 2


async def test_both_apis_and_their_secrets() -> None:
    park = InfluxPark(secret="s3cret")
    await park.start()
    basic = base64.b64encode(b"any:s3cret").decode()
    two = "/api/v2/write?org=plant&bucket=lineside"
    try:
        for query, authorization, status in [
            (two, "Token s3cret", 204), (two, "Bearer s3cret", 401), (two, "", 401),
            ("/write?db=lineside", f"Basic {basic}", 204), ("/write?db=lineside", "Bearer s3cret", 204),
            ("/write?db=lineside", "Basic ***", 401), ("/write?db=other", "Bearer s3cret", 404),
            ("/api/v2/write?org=plant&bucket=other", "Token s3cret", 404),
        ]:  # fmt: skip
            assert (await write(park, "m f=1 1", query, Authorization=authorization))[0] == status, query
    finally:
        await park.close()


async def test_gzip(park: InfluxPark) -> None:
    async with aiohttp.ClientSession() as http:
        url, data = f"http://127.0.0.1:{park.port}/write?db=lineside", gzip.compress(b"m f=1 1")
        async with http.post(url, data=data, headers={"Content-Encoding": "gzip"}) as reply:
            assert reply.status == 204
        async with http.post(url, data=b"m f=1 2", headers={"Content-Encoding": "gzip"}) as reply:
            assert reply.status == 400
    assert park.report()["points"] == 1


@pytest.mark.parametrize(
    ("mood", "status", "points"),
    [
        (Mood("503"), 503, 0), (Mood("no-echo"), 200, 0), (Mood("413", max_segments=1), 413, 0),
        (Mood("poison", devices=frozenset({"p"})), 400, 0), (Mood("slow", delay_s=0.01), 204, 2),
    ],
)  # fmt: skip
async def test_moods(park: InfluxPark, mood: Mood, status: int, points: int) -> None:
    await park.set_mood(mood)
    assert (await write(park, "m,device=p f=1 1\nm,device=q f=1 1"))[0] == status
    assert park.report()["points"] == points


@pytest.mark.parametrize(("mode", "points"), [("lose-answer", 1), ("hang", 0)])
async def test_moods_without_an_answer(park: InfluxPark, mode: str, points: int) -> None:
    await park.set_mood(Mood(mode))
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.2)) as http:
            await http.post(f"http://127.0.0.1:{park.port}/write?db=lineside", data=b"m f=1 1")
    await park.set_mood(Mood())
    assert park.report()["points"] == points


async def test_the_control_port_tells_values(park: InfluxPark) -> None:
    await write(park, "m,device=p n=1i 1")
    async with aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{park.control_port}"
        async with http.get(f"{url}/samples?device=p&tag=n") as reply:
            assert await reply.json() == [[1, 1]]
        async with http.get(f"{url}/report") as reply:
            report: Any = await reply.json()
    assert report["points"] == 1


async def test_as_a_process_of_its_own() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hardware_mocks", "influx-park", "--secret", "s3cret", "--with-parent",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert child.stdout is not None
        async with asyncio.timeout(20):
            ports = json.loads(await child.stdout.readline())
        async with aiohttp.ClientSession() as http:
            url = f"http://127.0.0.1:{ports['park']}/write?db=lineside"
            async with http.post(url, data=b"m f=1 1", headers={"Authorization": "Bearer s3cret"}) as reply:
                assert reply.status == 204
            async with http.get(f"http://127.0.0.1:{ports['park_control']}/report") as reply:
                assert (await reply.json())["points"] == 1
    finally:
        child.terminate()
        async with asyncio.timeout(10):
            assert await child.wait() == 0
