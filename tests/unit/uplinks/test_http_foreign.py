"""A platform with a JSON of its own: what is sent, what counts as its confirmation, what stays secret."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from aiohttp import web
from pydantic import ValidationError

from edge_agent.errors import Denied, TooLarge, Unacceptable, Unreachable
from edge_agent.model import Event
from edge_agent.testing.destination import START_NS, RecordingHost, incident, segment
from edge_agent.uplink import NOTHING_TO_SEND, Answer, Envelope, Key, Lane
from edge_agent.uplinks.http import PLUGIN
from edge_agent.uplinks.http.settings import HttpSettings

BODY: Any = [{"$each": "batch", "ts": "{{time_ms}}", "values": {"{{tag}}": "{{value}}"}}]
PER_BATCH: Any = {"ts": "{{time_ms}}", "values": {"{{tag}}": "{{value}}"}}
EVENTS: Any = [{"$each": "event", "kind": "{{kind}}", "detail": "{{detail}}"}]
ITEMS = [segment(1), segment(2)]
SECRET = "A1+/tb=令"


class Platform:
    """Answers with ``replies`` in turn, the last for ever; keeps what it was asked."""

    def __init__(self, *replies: tuple[int, Any]) -> None:
        self.replies = list(replies)
        self.seen: list[tuple[str, str, dict[str, str], Any]] = []
        self.port = 0

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.seen.append((request.method, request.raw_path, dict(request.headers), body))
        status, said = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(said, bytes):
            return web.Response(status=status, body=said)
        return web.json_response(said, status=status)


@asynccontextmanager
async def serving(*replies: tuple[int, Any], **keys: Any) -> AsyncIterator[tuple[Platform, Any]]:
    platform = Platform(*replies)
    runner = web.ServerRunner(web.Server(platform.answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    platform.port = runner.addresses[0][1]
    url = f"http://127.0.0.1:{platform.port}{keys.pop('path', '/api')}"
    settings = HttpSettings.model_validate(
        {"url": url, "timeout": "5s", "body": BODY, "confirm": "status", **keys}
    )
    uplink = PLUGIN.open(settings, RecordingHost())
    await uplink.connect()
    try:
        yield platform, uplink
    finally:
        await uplink.close()
        await runner.cleanup()


async def answers(uplink: Any, items: Any = ITEMS) -> list[Answer]:
    return [verdict.answer for verdict in await uplink.send(items)]


async def test_one_message_for_all_units() -> None:
    async with serving((200, {})) as (platform, uplink):
        assert await answers(uplink) == [Answer.ACKNOWLEDGED] * 2
        await answers(uplink)
    (method, path, headers, body), again = platform.seen
    assert (method, path, headers["Content-Type"]) == ("POST", "/api", "application/json")
    assert len(body) == 6
    assert body[0]["ts"] == START_NS // 10**6 + 1000
    assert body[0]["values"]["t_uint16"] == 65535 * 0.1 - 40.0, "engineering values"
    assert headers["Idempotency-Key"] == again[2]["Idempotency-Key"]


async def test_one_message_per_reading_and_a_refusal_after_the_first_unit() -> None:
    replies = [(200, {})] * 4 + [(500, "busy")]
    async with serving(*replies, body=PER_BATCH) as (platform, uplink):
        verdicts = await uplink.send([*ITEMS, segment(3)])
        assert [v.answer for v in verdicts] == [Answer.ACKNOWLEDGED, Answer.RETRY, Answer.RETRY]
        assert "HTTP 500" in verdicts[1].reason
    assert len(platform.seen) == 5, "after a failure nothing more is sent"
    assert len({headers["Idempotency-Key"] for _, _, headers, _ in platform.seen}) == 5


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Unacceptable), (422, Unacceptable), (413, TooLarge), (401, Denied), (403, Denied), (404, Denied)],
)
async def test_the_first_message_decides_by_the_same_table(status: int, error: type[Exception]) -> None:
    async with serving((status, {"error": "?"})) as (_, uplink):
        with pytest.raises(error, match=f"HTTP {status}"):
            await uplink.send(ITEMS)


@pytest.mark.parametrize("status", [400, 401, 413])
async def test_a_later_refusal_leaves_the_confirmed_ones_confirmed(status: int) -> None:
    async with serving((200, {}), (200, {}), (200, {}), (status, {}), body=PER_BATCH) as (_, uplink):
        assert await answers(uplink) == [Answer.ACKNOWLEDGED, Answer.RETRY]


RULE = {"json": "result.code", "equals": 0, "refused": [4001, "bad"]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"result": {"code": 0}}, None),
        ({"result": {"code": 0.0}}, None),
        ({"result": {"code": False}}, "is false, not 0"),
        ({"result": {"code": "0"}}, 'is "0", not 0'),
        ({"result": {"code": 500, "msg": "busy"}}, "is 500, not 0"),
        ({"result": {"code": None}}, "is null, not 0"),
        ({"result": {}}, "no `result.code`"),
        ({"result": [0]}, "no `result.code`"),
        ([], "no `result.code`"),
        (b"OK", "not JSON"),
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
async def test_confirmation_by_a_place_in_the_answer(body: Any, said: str | None) -> None:
    async with serving((200, body), confirm=RULE) as (_, uplink):
        verdicts = await uplink.send(ITEMS)
    if said is None:
        assert {v.answer for v in verdicts} == {Answer.ACKNOWLEDGED}
    else:
        assert {v.answer for v in verdicts} == {Answer.RETRY}
        assert said in verdicts[0].reason


@pytest.mark.parametrize("code", [4001, "bad"])
async def test_a_200_that_says_refused_is_a_refusal(code: Any) -> None:
    async with serving((200, {"result": {"code": code}}), confirm=RULE) as (_, uplink):
        with pytest.raises(Unacceptable, match=r"`result\.code` is"):
            await uplink.send(ITEMS)


async def test_an_index_in_the_path() -> None:
    rule = {"json": "0.ok", "equals": True}
    async with serving((200, [{"ok": True}]), confirm=rule) as (_, uplink):
        assert await answers(uplink) == [Answer.ACKNOWLEDGED] * 2


async def test_confirmation_by_keys_needs_every_key_of_the_message() -> None:
    body = {"rows": [{"$each": "batch", "id": "{{key}}", "v": {"{{tag}}": "{{value}}"}}]}
    said = {"acknowledged": ["samples/7/1"]}
    both = {"acknowledged": ["samples/7/1", "samples/7/2"]}
    async with serving((200, said), (200, both), (200, {}), body=body, confirm="keys") as (platform, uplink):
        assert await answers(uplink) == [Answer.RETRY] * 2
        assert await answers(uplink) == [Answer.ACKNOWLEDGED] * 2
        assert await answers(uplink) == [Answer.RETRY] * 2
    assert platform.seen[0][3]["rows"][0]["id"] == "samples/7/1"


async def test_events_have_a_template_of_their_own() -> None:
    async with serving((200, {}), event_body=EVENTS) as (platform, uplink):
        assert await answers(uplink, [segment(1), incident(2), incident(3)]) == [Answer.ACKNOWLEDGED] * 3
    assert [row["kind"] for row in platform.seen[1][3]] == ["excursion_begin"] * 2


async def test_without_one_an_event_is_set_aside_and_never_passed_off_as_sent() -> None:
    async with serving((200, {})) as (platform, uplink):
        assert await answers(uplink, [incident(1), segment(2)]) == [Answer.REJECTED, Answer.ACKNOWLEDGED]
    assert len(platform.seen) == 1


async def test_what_json_cannot_carry_is_bisected_and_then_rejected() -> None:
    bad = Envelope(
        Key("event", 7, 9), Lane.LIVE, event=Event("x", "w", START_NS, 0, "v", {"a": float("nan")})
    )
    async with serving((200, {}), event_body=EVENTS) as (platform, uplink):
        with pytest.raises(Unacceptable, match="JSON"):
            await uplink.send([segment(1), bad])
        assert await answers(uplink, [bad]) == [Answer.REJECTED]
    assert platform.seen == []


async def test_nothing_to_send_is_settled_without_a_message() -> None:
    empty = Envelope(Key("samples", 7, 1), Lane.LIVE, 0, segment(1).schema, ())
    none = segment(2, ((None,) * 9,))
    async with serving((500, {})) as (platform, uplink):
        assert await uplink.send([empty, none]) == [NOTHING_TO_SEND] * 2
    assert platform.seen == []


async def test_a_put_with_another_content_type_and_headers() -> None:
    headers = {"X-Api-Key": "k {{secret}}", "X-Line": "{{line}}", "Authorization": "Sign {{agent}}"}
    keys = {"method": "PUT", "content_type": "application/vnd.x+json; charset=utf-8", "secret": "s3cret"}
    async with serving((204, b""), headers=headers, **keys) as (platform, uplink):
        assert await answers(uplink) == [Answer.ACKNOWLEDGED] * 2
    method, _, sent, _ = platform.seen[0]
    assert (method, sent["Content-Type"]) == ("PUT", "application/vnd.x+json; charset=utf-8")
    assert (sent["X-Api-Key"], sent["X-Line"]) == ("k s3cret", "press-line-1")
    assert sent["Authorization"] == f"Sign {'0f3c' * 8}"


async def test_headers_go_with_our_own_format_as_well() -> None:
    keys = {"body": None, "confirm": None, "headers": {"X-Key": "{{secret}}"}, "secret": "s3cret"}
    platform = Platform((200, {"acknowledged": ["samples/7/1"]}))
    runner = web.ServerRunner(web.Server(platform.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/{{{{secret}}}}/in"
    given = {key: value for key, value in keys.items() if value is not None}
    uplink = PLUGIN.open(HttpSettings.model_validate({"url": url, **given}), RecordingHost())
    try:
        await uplink.connect()
        assert (await uplink.send(ITEMS[:1]))[0].answer is Answer.ACKNOWLEDGED
    finally:
        await uplink.close()
        await runner.cleanup()
    assert platform.seen[0][1] == "/s3cret/in"
    assert platform.seen[0][2]["X-Key"] == "s3cret"


# the secret in the address


async def test_the_secret_goes_into_the_path_and_nowhere_else() -> None:
    path = "/api/v1/{{secret}}/telemetry?key={{secret}}"
    async with serving((200, {}), path=path, secret=SECRET) as (platform, uplink):
        assert await answers(uplink) == [Answer.ACKNOWLEDGED] * 2
        asked = urlsplit(platform.seen[0][1])
        assert asked.path.count("/") == 4
        assert unquote(asked.path) == f"/api/v1/{SECRET}/telemetry"
        assert parse_qs(asked.query) == {"key": [SECRET]}
        settings = HttpSettings.model_validate(
            {"url": f"http://h{path}", "secret": SECRET, "body": BODY, "confirm": "status"}
        )
        assert PLUGIN.endpoint(settings) == "http://h/api/v1/{{secret}}/telemetry"
        assert "A1" not in repr(settings)
        assert "A1" not in json.dumps(platform.seen[0][3])


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500])
@pytest.mark.parametrize("form", [SECRET, "A1%2B%2Ftb%3D%E4%BB%A4", "A1%2B/tb%3D%E4%BB%A4"])
async def test_a_platform_that_repeats_the_address_does_not_give_the_secret_away(
    status: int, form: str
) -> None:
    said = {"status": status, "path": f"/api/v1/{form}/telemetry"}
    async with serving((status, said), path="/api/v1/{{secret}}/telemetry", secret=SECRET) as (_, uplink):
        try:
            told = (await uplink.send(ITEMS))[0].reason
        except (Denied, Unacceptable, TooLarge) as error:
            told = str(error)
    assert "***" in told
    assert not any(part in told for part in ("A1+", "A1%2B", "tb"))


async def test_nobody_listens_and_the_secret_stays_untold() -> None:
    async with serving((200, {}), path="/{{secret}}", secret=SECRET) as (_, uplink):
        await uplink.close()
        with pytest.raises(Unreachable) as caught:
            await uplink.send(ITEMS)
    keys = {"url": "http://127.0.0.1:1/{{secret}}", "secret": SECRET, "body": BODY, "confirm": "status"}
    uplink = PLUGIN.open(HttpSettings.model_validate(keys), RecordingHost())
    await uplink.connect()
    with pytest.raises(Unreachable) as caught:
        await uplink.send(ITEMS)
    await uplink.close()
    assert "A1" not in str(caught.value)


async def test_a_header_that_http_cannot_carry_is_denied_without_showing_it() -> None:
    async with serving((200, {}), headers={"X-Key": "{{secret}}"}, secret="令牌") as (_, uplink):
        with pytest.raises(Denied, match="header X-Key") as caught:
            await uplink.send(ITEMS)
    assert "令" not in str(caught.value)


# settings


@pytest.mark.parametrize(
    ("keys", "path", "said"),
    [
        ({"body": {"v": "{{valu}}"}, "confirm": "status"}, ("body", "v"), "{{valu}}"),
        ({"body": {"{{x}}": "{{value}}"}, "confirm": "status"}, ("body", "{{x}}", "[key]"), "{{x}}"),
        (
            {"body": BODY, "confirm": "status", "event_body": {"v": "{{value}}"}},
            ("event_body", "v"),
            "{{value}}",
        ),
        ({"body": BODY}, (), "without 'confirm'"),
        ({"confirm": "status"}, (), "no effect without 'body'"),
        ({"method": "PUT"}, (), "no effect without 'body'"),
        ({"body": BODY, "confirm": "maybe"}, ("confirm",), "keys, status"),
        ({"body": BODY, "confirm": {"json": "code"}}, ("confirm", "equals"), "required"),
        ({"body": BODY, "confirm": {"json": "code", "equals": 0, "not": 1}}, ("confirm", "not"), "Extra"),
        ({"body": BODY, "confirm": "status", "method": "GET"}, ("method",), "POST"),
        ({"body": BODY, "confirm": "status", "content_type": "json"}, ("content_type",), "pattern"),
        ({"url": "http://h/{{secret}}"}, (), "there is no 'secret'"),
        ({"url": "http://h/{{token}}", "secret": "s"}, ("url",), "only placeholder"),
        ({"url": "http://{{secret}}/x", "secret": "s"}, ("url",), "only placeholder"),
        ({"headers": {"X": "{{secret}}"}}, (), "there is no 'secret'"),
        ({"headers": {"X": "{{device}}"}}, ("headers", "X"), "{{device}}"),
        ({"headers": {"X Y": "1"}}, ("headers", "X Y", "[key]"), "cannot be set"),
        ({"headers": {"Content-Length": "1"}}, ("headers", "Content-Length", "[key]"), "cannot be set"),
        ({"headers": {"X": "a\r\nY: b"}}, ("headers", "X"), "printable ASCII"),
        ({"headers": {"X": "压"}}, ("headers", "X"), "printable ASCII"),
    ],
)  # fmt: skip
def test_wrong_keys_are_refused_at_their_place(
    keys: dict[str, Any], path: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        HttpSettings.model_validate({"url": "https://park/in", **keys})
    (error,) = caught.value.errors(include_url=False)
    assert error["loc"] == path
    assert said in error["msg"]
