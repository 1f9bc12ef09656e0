from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from hardware_mocks.moods import Mood
from hardware_mocks.park import Park

AGENT = "0f3c" * 8
SCHEMA = {
    "device": "press-1",
    "group": "fast",
    "config_version": "3fa2c1000000",
    "names": ["pressure", "count", "running"],
    "types": ["float32", "uint64", "bool"],
    "units": ["MPa", "", ""],
    "scaling": [None, [0.1, 0.0], None],
}
DIGEST = "8d3f000000000000"


def segment(seq: int, *, epoch: int = 7, rows: int = 2, lane: str = "live", **changes: Any) -> dict[str, Any]:
    return {
        "key": f"samples/{epoch}/{seq}",
        "lane": lane,
        "schema": DIGEST,
        "time_us": [1_795_305_595_000_000 + seq * 1_000_000 + i * 200_000 for i in range(rows)],
        "values": [[0.41, 2**53 + seq, True] for _ in range(rows)],
        "clock": 2,
    } | changes


def event(seq: int, kind: str = "excursion_begin", source: str = "press-1.pressure") -> dict[str, Any]:
    return {
        "key": f"event/7/{seq}",
        "lane": "live",
        "kind": kind,
        "source": source,
        "time_us": 1_795_305_596_000_000 + seq,
        "config_version": "3fa2c1000000",
        "detail": {"value": 0.52},
    }


def message(
    *segments: dict[str, Any],
    events: tuple[dict[str, Any], ...] = (),
    agent: str = AGENT,
    schemas: Any = None,
) -> dict[str, Any]:
    return {
        "format": "lineside/1",
        "agent": agent,
        "line": "press-line-1",
        "sent_us": 1_795_305_600_123_456,
        "schemas": {DIGEST: SCHEMA} if schemas is None else schemas,
        "segments": list(segments),
        "events": list(events),
    }


class Sender:
    """What an agent does over HTTP, by hand."""

    def __init__(self, park: Park, http: aiohttp.ClientSession) -> None:
        self._park, self._http = park, http

    async def post(self, body: dict[str, Any] | bytes, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self._park.port}/ingest"
        async with self._http.post(url, data=data, headers=headers) as response:
            return response.status, await response.json()

    async def send(self, *segments: dict[str, Any], **more: Any) -> Any:
        status, answer = await self.post(message(*segments, **more))
        assert status == 200, answer
        return answer

    async def control(self, **order: Any) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{self._park.control_port}/control"
        async with self._http.post(url, json=order) as response:
            return response.status, await response.json()

    async def get(self, path: str) -> Any:
        async with self._http.get(f"http://127.0.0.1:{self._park.control_port}{path}") as response:
            return await response.json()

    async def report(self) -> Any:
        return await self.get("/report")


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture
async def park() -> AsyncIterator[Park]:
    park = Park()
    await park.start()
    yield park
    await park.close()


@pytest_asyncio.fixture
async def sender(park: Park, http: aiohttp.ClientSession) -> Sender:
    return Sender(park, http)


async def test_it_stores_and_echoes_every_key(sender: Sender) -> None:
    answer = await sender.send(segment(1), segment(2, rows=3), events=(event(1), event(2, "excursion_end")))
    assert answer == {
        "acknowledged": ["samples/7/1", "samples/7/2", "event/7/1", "event/7/2"],
        "rejected": {},
        "unknown_schemas": [],
    }
    report = await sender.report()
    expected = {
        "messages": 1,
        "stored": 4,
        "segments": 2,
        "samples": 15,
        "events": {"excursion_begin": 1, "excursion_end": 1},
        "duplicates": 0,
        "conflicts": 0,
        "missing": 0,
        "malformed": 0,
        "lanes": {"live": 4, "backlog": 0},
        "devices": {"press-1": 15},
        "agents": [AGENT],
        "schemas": {DIGEST: SCHEMA},
        "problems": [],
    }
    assert {name: report[name] for name in expected} == expected
    assert report["newest_us"] == segment(2, rows=3)["time_us"][-1]


async def test_gzip_is_understood_and_counted_as_sent(sender: Sender) -> None:
    packed = gzip.compress(json.dumps(message(segment(1))).encode())
    status, answer = await sender.post(packed, **{"Content-Encoding": "gzip"})
    assert (status, answer["acknowledged"]) == (200, ["samples/7/1"])
    assert (await sender.report())["bytes"] == len(packed)


@pytest.mark.parametrize("body", [b"", b"{", b"\x1f\x8b broken", b"[1]", b'{"format":"lineside/2"}'])
async def test_what_is_no_message_is_a_400(sender: Sender, body: bytes) -> None:
    assert (await sender.post(body))[0] == 400
    status, _ = await sender.post(gzip.compress(b"{}")[:-4], **{"Content-Encoding": "gzip"})
    assert status == 400
    assert (await sender.report())["malformed"] == 2


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"values": [[0.41, 1, True]]}, "2 times for 1 rows"),
        ({"values": [[0.41, 1], [0.41, 1]]}, "3 columns"),
        ({"values": [[0.41, 1, True], ["0.41", 1, True]]}, "does not fit float32"),
        ({"values": [[0.41, 1, True], [0.41, 1.5, True]]}, "does not fit uint64"),
        ({"values": [[0.41, 1, True], [0.41, -1, True]]}, "does not fit uint64"),
        ({"values": [[0.41, 1, True], [0.41, True, True]]}, "does not fit uint64"),
        ({"values": [[0.41, 1, True], [0.41, 1, 1]]}, "does not fit bool"),
        ({"values": [[0.41, 1, True], [None, 1, True]]}, "quality 00 does not fit"),
        ({"quality": {"1": "810000"}}, "quality 81 does not fit"),
        ({"quality": {"2": "000000"}}, "names a row"),
        ({"quality": {"1": "0000"}}, "3 columns"),
        ({"clock": 3}, "clock"),
        ({"lane": "fast"}, "lane"),
        ({"key": "samples/7"}, "not stream/epoch/seq"),
        ({"time_us": [1, 2.5]}, "not an integer"),
        ({"offsets_us": [[0, 0, 0]]}, "offsets_us"),
    ],
)
async def test_a_segment_that_does_not_keep_to_the_format_is_refused_with_a_reason(
    sender: Sender, changes: dict[str, Any], problem: str
) -> None:
    status, answer = await sender.post(message(segment(1, **changes)))
    assert status == 400
    assert problem in answer["error"]
    report = await sender.report()
    assert (report["segments"], report["malformed"]) == (0, 1)
    assert problem in report["problems"][0]


async def test_nan_is_not_json(sender: Sender) -> None:
    status, answer = await sender.post(json.dumps(message(segment(1))).replace("0.41", "NaN").encode())
    assert status == 400
    assert "NaN" in answer["error"]


async def test_bad_and_unreported_values_count_as_the_contract_says(sender: Sender) -> None:
    values = [[None, 5, True], [0.41, 6, None], [0.42, 7, False]]
    quality = {"0": "810000", "1": "4000c0"}
    await sender.send(segment(1, rows=3, values=values, quality=quality))
    assert (await sender.report())["samples"] == 8
    times = segment(1, rows=3)["time_us"]
    assert await sender.get("/samples?device=press-1&tag=running") == [
        [times[0], True, "samples/7/1"],
        [times[2], False, "samples/7/1"],
    ]
    assert await sender.get("/samples?device=press-1&tag=pressure&quality=1") == [
        [times[0], None, "samples/7/1", 0x81],
        [times[1], 0.41, "samples/7/1", 0x40],
        [times[2], 0.42, "samples/7/1", 0x00],
    ]


async def test_samples_come_in_order_of_epoch_and_seq_each_key_once(sender: Sender) -> None:
    await sender.send(segment(9, epoch=10), segment(10, epoch=9))
    await sender.send(segment(2, epoch=9, lane="backlog"), segment(10, epoch=9, lane="backlog"))
    found = await sender.get("/samples?device=press-1&tag=count")
    assert [(value - 2**53, key) for _, value, key in found] == [
        *[(2, "samples/9/2")] * 2,
        *[(10, "samples/9/10")] * 2,
        *[(9, "samples/10/9")] * 2,
    ]
    assert await sender.get("/samples?device=press-2&tag=count") == []


async def test_events_are_listed_once(sender: Sender) -> None:
    await sender.send(events=(event(2, "data_lost"), event(1)))
    await sender.send(events=(event(2, "data_lost"),))
    assert [item["kind"] for item in await sender.get("/events")] == ["excursion_begin", "data_lost"]


async def test_duplicates_are_acknowledged_and_counted_conflicts_are_told(sender: Sender) -> None:
    await sender.send(segment(1), segment(2))
    answer = await sender.send(segment(1, lane="backlog"), segment(3))
    assert set(answer["acknowledged"]) == {"samples/7/1", "samples/7/3"}
    report = await sender.report()
    assert (report["duplicates"], report["conflicts"], report["segments"]) == (1, 0, 3)
    await sender.send(segment(2, values=[[0.41, 1, True], [0.41, 1, True]]))
    report = await sender.report()
    assert (report["duplicates"], report["conflicts"]) == (2, 1)
    assert report["conflicting_keys"] == ["samples/7/2"]
    assert (await sender.get("/samples?device=press-1&tag=count"))[2][1] == 2**53 + 2  # the first one stays


async def test_true_and_one_are_different_contents(sender: Sender) -> None:
    schema = SCHEMA | {"types": ["float32", "uint64", "float64"]}
    rows = [[0.41, 1, 1.0]]
    await sender.send(segment(1, rows=1, values=rows), schemas={DIGEST: schema})
    await sender.send(segment(1, rows=1, values=[[0.41, 1, 1]]), schemas={})
    assert (await sender.report())["conflicts"] == 1


async def test_the_same_key_twice_in_one_message_is_a_duplicate(sender: Sender) -> None:
    await sender.send(segment(1), segment(1))
    report = await sender.report()
    assert (report["segments"], report["duplicates"]) == (1, 1)


async def test_the_same_key_of_two_agents_are_two_things(sender: Sender) -> None:
    await sender.send(segment(1))
    await sender.send(segment(1), agent="ffff" * 8)
    report = await sender.report()
    assert (report["segments"], report["duplicates"], len(report["agents"])) == (2, 0, 2)


async def test_gaps_are_counted_per_epoch_and_close_when_filled(sender: Sender) -> None:
    await sender.send(*[segment(seq) for seq in (3, 4, 8, 10)], segment(1, epoch=8), segment(5, epoch=8))
    report = await sender.report()
    assert report["missing"] == 7
    assert [
        (gap["stream"], gap["epoch"], gap["first"], gap["last"], gap["missing"], gap["ranges"])
        for gap in report["gaps"]
    ] == [("samples", 7, 3, 10, 4, [[5, 7], [9, 9]]), ("samples", 8, 1, 5, 3, [[2, 4]])]
    await sender.send(*[segment(seq, lane="backlog") for seq in (5, 6, 7, 9)])
    report = await sender.report()
    assert report["missing"] == 3
    assert report["lanes"] == {"live": 6, "backlog": 4}


async def test_order_within_a_lane_is_watched(sender: Sender) -> None:
    await sender.send(segment(5))
    await sender.send(segment(1, lane="backlog"), segment(2, lane="backlog"))
    await sender.send(segment(6), segment(1, epoch=8))
    assert (await sender.report())["order"] == {"live": {"descents": 0}, "backlog": {"descents": 0}}
    await sender.send(segment(4))
    assert (await sender.report())["order"]["live"] == {"descents": 1}


async def test_an_unknown_schema_is_asked_for_and_its_segments_not_acknowledged(sender: Sender) -> None:
    answer = await sender.send(segment(1), events=(event(1),), schemas={})
    assert answer == {"acknowledged": ["event/7/1"], "rejected": {}, "unknown_schemas": [DIGEST]}
    assert (await sender.send(segment(1)))["acknowledged"] == ["samples/7/1"]
    assert (await sender.send(segment(2), schemas={}))["acknowledged"] == ["samples/7/2"]
    report = await sender.report()
    assert (report["unknown_schemas"], report["duplicates"], report["segments"]) == (1, 0, 2)


async def test_a_digest_that_changes_its_meaning_is_told(sender: Sender) -> None:
    await sender.send(segment(1))
    await sender.send(segment(2), schemas={DIGEST: SCHEMA | {"units": ["bar", "", ""]}})
    assert (await sender.report())["schema_conflicts"] == 1


@pytest.mark.parametrize("mode", ["500", "401", "400", "503"])
async def test_a_status_answers_everything_and_stores_nothing(sender: Sender, mode: str) -> None:
    await sender.control(mode=mode)
    assert (await sender.post(message(segment(1))))[0] == int(mode)
    await sender.control(mode="ok")
    assert (await sender.send(segment(1)))["acknowledged"] == ["samples/7/1"]
    report = await sender.report()
    assert (report["duplicates"], report["refused"], report["messages"]) == (0, 1, 2)


async def test_retry_after_is_sent_along(park: Park, http: aiohttp.ClientSession, sender: Sender) -> None:
    await sender.control(mode="429", retry_after_s=3)
    async with http.post(f"http://127.0.0.1:{park.port}/ingest", json=message(segment(1))) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "3")


async def test_no_echo_is_a_200_that_acknowledges_nothing(sender: Sender) -> None:
    await sender.control(mode="no-echo")
    assert await sender.post(message(segment(1))) == (200, {})
    assert (await sender.report())["segments"] == 0


async def test_hang_never_answers_and_close_does_not_wait_for_it(park: Park, sender: Sender) -> None:
    await sender.control(mode="hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await sender.post(message(segment(1)))
    report = await sender.report()
    assert (report["messages"], report["segments"]) == (1, 0)
    async with asyncio.timeout(2):
        await park.close()


async def test_a_lost_answer_makes_the_next_arrival_a_duplicate(sender: Sender) -> None:
    await sender.control(mode="lose-answer", times=1)
    with pytest.raises(aiohttp.ClientError):
        await sender.post(message(segment(1)))
    assert (await sender.send(segment(1)))["acknowledged"] == ["samples/7/1"]
    report = await sender.report()
    assert (report["segments"], report["duplicates"], report["conflicts"]) == (1, 1, 0)


async def test_slow_answers_after_its_delay(sender: Sender) -> None:
    await sender.control(mode="slow", delay_s=0.3)
    began = asyncio.get_running_loop().time()
    await sender.send(segment(1))
    assert asyncio.get_running_loop().time() - began >= 0.3


async def test_vanish_refuses_then_returns_by_itself_on_the_same_port(park: Park, sender: Sender) -> None:
    port = park.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /ingest HTTP/1.1\r\n")
    await sender.send(segment(1))
    began = asyncio.get_running_loop().time()
    await sender.control(mode="vanish", seconds=0.5)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(5):
        try:
            assert await reader.read(1) == b""
        except ConnectionResetError:
            pass
    writer.transport.abort()
    assert (await sender.report())["mode"] == "vanish"  # the control port is still there
    async with asyncio.timeout(10):
        while True:
            try:
                await sender.send(segment(2))
                break
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)
    assert asyncio.get_running_loop().time() - began >= 0.5
    assert (park.port, (await sender.report())["mode"]) == (port, "ok")


async def test_vanish_can_be_ended_early_and_breaks_a_hanging_request(park: Park, sender: Sender) -> None:
    await sender.control(mode="slow", delay_s=30)
    async with asyncio.TaskGroup() as group:
        request = group.create_task(_error_of(sender, segment(1)))
        async with asyncio.timeout(5):
            while park.report()["messages"] == 0:  # noqa: ASYNC110 - the park counts, it does not signal
                await asyncio.sleep(0.01)
        await sender.control(mode="vanish", seconds=0)
    assert isinstance(request.result(), aiohttp.ClientError)
    await sender.control(mode="ok")
    await sender.send(segment(1))


async def _error_of(sender: Sender, body: dict[str, Any]) -> Exception | None:
    try:
        await sender.send(body)
    except aiohttp.ClientError as error:
        return error
    return None


async def test_reject_names_the_keys_and_takes_the_rest(sender: Sender) -> None:
    await sender.control(mode="reject", devices=["press-9"], keys=["samples/7/2"])
    answer = await sender.send(segment(1), segment(2), events=(event(1), event(2, source="press-9.pressure")))
    assert answer["acknowledged"] == ["samples/7/1", "event/7/1"]
    assert set(answer["rejected"]) == {"samples/7/2", "event/7/2"}
    await sender.control(mode="reject", devices=["press-1"])
    assert (await sender.send(segment(3), schemas={}))["acknowledged"] == []
    assert (await sender.report())["rejected"] == 3


async def test_poison_refuses_the_whole_message_until_the_item_is_alone(sender: Sender) -> None:
    await sender.control(mode="poison", keys=["samples/7/2"])
    assert (await sender.post(message(segment(1), segment(2))))[0] == 400
    assert (await sender.send(segment(1)))["acknowledged"] == ["samples/7/1"]
    assert (await sender.post(message(segment(2))))[0] == 400
    await sender.control(mode="poison", devices=["press-1"])
    assert (await sender.post(message(segment(5), schemas={})))[0] == 400
    assert (await sender.report())["segments"] == 1


async def test_413_above_a_number_of_segments(sender: Sender) -> None:
    await sender.control(mode="413", max_segments=2)
    assert (await sender.post(message(segment(1), segment(2), segment(3))))[0] == 413
    assert len((await sender.send(segment(1), segment(2)))["acknowledged"]) == 2


async def test_times_returns_to_ok(sender: Sender) -> None:
    await sender.control(mode="500", times=2)
    assert [(await sender.post(message(segment(1))))[0] for _ in range(3)] == [500, 500, 200]
    assert (await sender.report())["mode"] == "ok"


@pytest.mark.parametrize(
    "order", [{"mode": "sulk"}, {"mode": "999"}, {"mode": "ok", "speed": 3}, {"mode": "slow", "delay_s": "x"}]
)
async def test_senseless_orders_are_refused(sender: Sender, order: dict[str, Any]) -> None:
    status, answer = await sender.control(**order)
    assert status == 400
    assert answer["error"]
    assert (await sender.report())["mode"] == "ok"


async def test_the_store_is_on_disk_before_the_answer_and_is_read_back(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    store = tmp_path / "park.jsonl"
    park = Park(store=store)
    await park.start()
    sender = Sender(park, http)
    await sender.send(segment(1), events=(event(1),))
    stored = [json.loads(line) for line in store.read_text(encoding="utf-8").splitlines()]
    assert [item["key"] for item in stored[0]["segments"] + stored[0]["events"]] == [
        "samples/7/1",
        "event/7/1",
    ]
    await sender.send(segment(1), schemas={})  # a duplicate writes nothing
    assert len(store.read_text(encoding="utf-8").splitlines()) == 1
    await park.close()
    with store.open("ab") as file:
        file.write(b'{"torn": ')
    again = Park(store=store)
    await again.start()
    sender = Sender(again, http)
    assert (await sender.send(segment(1), segment(2), schemas={}))["acknowledged"] == [
        "samples/7/2",
        "samples/7/1",
    ]
    report = await sender.report()
    assert (report["segments"], report["duplicates"], report["conflicts"]) == (2, 1, 0)
    assert report["events"] == {"excursion_begin": 1}
    await again.close()
    assert [json.loads(line)["agent"] for line in store.read_text(encoding="utf-8").splitlines()] == [
        AGENT
    ] * 2


async def test_what_cannot_be_stored_is_not_acknowledged(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    park = Park(store=folder / "park.jsonl")
    await park.start()
    folder.rmdir()
    sender = Sender(park, http)
    assert (await sender.post(message(segment(1))))[0] == 503
    assert (await sender.report())["segments"] == 0
    folder.mkdir()
    assert (await sender.send(segment(1)))["acknowledged"] == ["samples/7/1"]
    assert (await sender.report())["duplicates"] == 0
    await park.close()


async def test_discard_counts_and_echoes(http: aiohttp.ClientSession) -> None:
    park = Park(discard=True)
    await park.start()
    sender = Sender(park, http)
    packed = gzip.compress(json.dumps(message(segment(1), segment(2), events=(event(1),))).encode())
    _, answer = await sender.post(packed, **{"Content-Encoding": "gzip"})
    assert answer["acknowledged"] == ["samples/7/1", "samples/7/2", "event/7/1"]
    report = await sender.report()
    assert (report["segments"], report["samples"], report["mode"]) == (2, 12, "discard")
    await park.close()


async def test_plain_counts_any_body(park: Park, http: aiohttp.ClientSession, sender: Sender) -> None:
    for _ in range(3):
        async with http.post(f"http://127.0.0.1:{park.port}/plain", json={"any": ["thing"]}) as response:
            assert (response.status, await response.json()) == (200, {})
    assert (await sender.report())["plain"] == 3


@pytest.mark.parametrize("reset", [False, True])
async def test_what_came_while_it_hung_is_not_stored_after_the_client_has_gone(
    park: Park, sender: Sender, reset: bool
) -> None:
    """Its process had no time to look while it hung, and the mood has changed since: the request lies in the
    socket, whole, with the end of the connection behind it."""
    await park.set_mood(Mood("hang"))
    body = json.dumps(message(segment(1))).encode()
    with socket.create_connection(("127.0.0.1", park.port)) as client:
        client.sendall(
            b"POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    park.mood = Mood("ok")

    async def arrived() -> bool:
        return bool((await sender.report())["messages"])

    async with asyncio.timeout(5):
        while not await arrived():
            pass
    report = await sender.report()
    assert (report["messages"], report["abandoned"], report["stored"]) == (1, 1, 0)
    assert (await sender.send(segment(1)))["acknowledged"] == ["samples/7/1"]
    assert (await sender.report())["duplicates"] == 0


async def test_what_came_while_it_hung_is_not_stored_although_the_client_still_waits(
    park: Park, sender: Sender
) -> None:
    """The same request, with some of the client's patience left: its answer could come too late."""
    await park.set_mood(Mood("hang"))
    body = json.dumps(message(segment(1))).encode()
    head = b"POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", park.port)) as client:
        client.sendall(head + body)
        await park.set_mood(Mood("ok"))
        client.setblocking(False)
        async with asyncio.timeout(5):
            with pytest.raises(ConnectionError):
                assert await asyncio.get_running_loop().sock_recv(client, 1) != b""
    assert (await sender.report())["stored"] == 0
    assert (await sender.send(segment(1)))["acknowledged"] == ["samples/7/1"]
    assert (await sender.report())["duplicates"] == 0
