"""Every row of the table in ``docs/wire-format.md``, over a real connection where a status decides."""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.errors import Denied, TooLarge, Unacceptable
from edge_agent.testing.destination import incident, segment
from edge_agent.uplink import Answer
from edge_agent.uplinks.http import answer
from edge_agent.uplinks.http.exchange import MAX_ANSWER_BYTES

from .conftest import Opened
from .park import Message, Park, confirm

ITEMS = [segment(1), segment(2), incident(3)]


def saying(status: int = 200, headers: dict[str, str] | None = None, **body: Any) -> Any:
    return lambda message: web.json_response(body, status=status, headers=headers)


async def test_each_unit_gets_its_own_verdict(park: Park, opened: Opened) -> None:
    park.reply = saying(acknowledged=["event/7/3"], rejected={"samples/7/2": "unknown device"})
    async with opened() as uplink:
        verdicts = await uplink.send(ITEMS)
    assert [v.answer for v in verdicts] == [Answer.RETRY, Answer.REJECTED, Answer.ACKNOWLEDGED]
    assert "not echoed" in verdicts[0].reason
    assert verdicts[1].reason == "unknown device"


@pytest.mark.parametrize("status", [200, 201, 202, 207])
async def test_any_2xx_counts_by_its_keys_alone(park: Park, opened: Opened, status: int) -> None:
    park.reply = saying(status, acknowledged=["samples/7/1"])
    async with opened() as uplink:
        assert [v.answer for v in await uplink.send(ITEMS[:2])] == [Answer.ACKNOWLEDGED, Answer.RETRY]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"OK", b"[]", b"null", b"{}", b'{"ok":true}', b'{"acknowledged": "samples/7/1"}',
        b'{"acknowledged": {"samples/7/1": true}}', b'{"acknowledged": [["samples/7/1"], 1, null]}',
        b'{"acknowledged": ["samples/7/9", "samples/8/1", "Samples/7/1"]}', b"\xff\xfe", b"[" * 200_000,
        b'{"acknowledged": ["samples/7/1"]', b"1" * 5000, b'{"rejected": ["samples/7/1"]}',
    ],
)  # fmt: skip
async def test_no_key_of_ours_means_nothing_is_acknowledged(park: Park, opened: Opened, body: bytes) -> None:
    park.reply = lambda message: web.Response(body=body)
    async with opened() as uplink:
        verdicts = await uplink.send(ITEMS)
    assert [v.answer for v in verdicts] == [Answer.RETRY] * 3
    assert all(v.reason for v in verdicts)


async def test_an_answer_longer_than_the_limit_is_not_read_to_its_end(park: Park, opened: Opened) -> None:
    body = json.dumps({"acknowledged": ["samples/7/1"], "x": "y" * (4 * MAX_ANSWER_BYTES)})
    park.reply = lambda message: web.Response(text=body)
    async with opened() as uplink:
        verdicts = await uplink.send(ITEMS)
        assert "longer than 1 MB" in verdicts[0].reason
        park.reply = confirm
        assert {v.answer for v in await uplink.send(ITEMS)} == {Answer.ACKNOWLEDGED}
    assert park.connections == 2, "the rest of the long answer must not be taken for the next one"


async def test_a_compressed_answer_is_not_unfolded(park: Park, opened: Opened) -> None:
    def zipped(message: Message) -> web.Response:
        response = confirm(message)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    park.reply = zipped
    async with opened() as uplink:
        assert {v.answer for v in await uplink.send(ITEMS)} == {Answer.RETRY}
    assert park.seen[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_later_means_all_again(park: Park, opened: Opened, status: int) -> None:
    park.reply = saying(status, {"Retry-After": "17"}, error="busy")
    async with opened() as uplink:
        verdicts = await uplink.send(ITEMS)
    assert [v.answer for v in verdicts] == [Answer.RETRY] * 3
    assert {v.after_s for v in verdicts} == {17.0}
    assert f"HTTP {status}" in verdicts[0].reason


@pytest.mark.parametrize("status", [400, 422])
async def test_poison(park: Park, opened: Opened, status: int) -> None:
    park.reply = saying(status, error="bad value")
    async with opened() as uplink:
        with pytest.raises(Unacceptable, match=f"HTTP {status}.*bad value"):
            await uplink.send(ITEMS)


@pytest.mark.parametrize(
    ("status", "cure"),
    [
        (401, "token"),
        (403, "token"),
        (404, "path"),
        (301, "moved"),
        (307, "moved"),
        (405, "url"),
        (415, "url"),
    ],
)
async def test_refusals_name_the_cure(park: Park, opened: Opened, status: int, cure: str) -> None:
    park.reply = saying(status, {"Location": "http://127.0.0.1:1/elsewhere"})
    async with opened() as uplink:
        with pytest.raises(Denied, match=f"HTTP {status}.*{cure}"):
            await uplink.send(ITEMS)
    assert len(park.seen) == 1, "a redirect must not carry the token elsewhere"


async def test_too_large(park: Park, opened: Opened) -> None:
    park.reply = saying(413)
    async with opened() as uplink:
        with pytest.raises(TooLarge, match="HTTP 413"):
            await uplink.send(ITEMS)


async def test_a_strangers_text_is_cut_and_cleaned(park: Park, opened: Opened) -> None:
    park.reply = lambda message: web.Response(
        status=400, text="a\r\n\x1b[31mlevel=error forged\n" + "x" * 5000
    )
    async with opened() as uplink:
        with pytest.raises(Unacceptable) as caught:
            await uplink.send(ITEMS)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 250


# schemas


async def test_schemas_go_along_until_a_unit_that_uses_them_is_acknowledged(
    park: Park, opened: Opened
) -> None:
    park.reply = saying(503)
    async with opened() as uplink:
        await uplink.send(ITEMS)
        park.reply = saying(acknowledged=["event/7/3"])
        await uplink.send(ITEMS)
        park.reply = saying(acknowledged=["samples/7/2"])
        await uplink.send(ITEMS)
        await uplink.send(ITEMS)
    assert [len(m.body["schemas"]) for m in park.seen] == [1, 1, 1, 0]


async def test_a_destination_may_ask_for_a_schema_again(park: Park, opened: Opened) -> None:
    digest = ITEMS[0].schema.digest if ITEMS[0].schema else ""
    async with opened() as uplink:
        await uplink.send(ITEMS)
        park.reply = saying(
            acknowledged=["event/7/3"],
            rejected={"samples/7/1": "no such schema"},
            unknown_schemas=[digest],
        )
        verdicts = await uplink.send(ITEMS)
        assert [v.answer for v in verdicts] == [Answer.RETRY, Answer.RETRY, Answer.ACKNOWLEDGED]
        assert "schema" in verdicts[0].reason
        park.reply = confirm
        verdicts = await uplink.send(ITEMS)
    assert {v.answer for v in verdicts} == {Answer.ACKNOWLEDGED}
    assert [len(m.body["schemas"]) for m in park.seen] == [1, 0, 1]


async def test_a_rejection_stands_when_the_schema_was_in_the_message(park: Park, opened: Opened) -> None:
    digest = ITEMS[0].schema.digest if ITEMS[0].schema else ""
    park.reply = saying(rejected={"samples/7/1": "column 3"}, unknown_schemas=[digest])
    async with opened() as uplink:
        verdicts = await uplink.send(ITEMS[:2])
    assert [v.answer for v in verdicts] == [Answer.REJECTED, Answer.RETRY]


async def test_a_rejection_outweighs_a_confirmation(park: Park, opened: Opened) -> None:
    park.reply = saying(acknowledged=["samples/7/1"], rejected={"samples/7/1": "?"})
    async with opened() as uplink:
        assert (await uplink.send(ITEMS[:1]))[0].answer is Answer.REJECTED


# Retry-After

NOW_S = 1_795_305_600.0


@pytest.mark.parametrize(
    ("value", "date", "expected"),
    [
        (None, None, 0.0), ("", None, 0.0), ("0", None, 0.0), ("120", None, 120.0), (" 5 ", None, 5.0),
        ("301", None, 300.0), ("9" * 400, None, 300.0), ("-5", None, 0.0), ("1.5", None, 0.0),
        ("soon", None, 0.0),
        ("٣", None, 0.0),
        (formatdate(NOW_S + 90, usegmt=True), None, 90.0),
        (formatdate(NOW_S - 90, usegmt=True), None, 0.0),
        (formatdate(NOW_S + 9999, usegmt=True), None, 300.0),
        (formatdate(30.0, usegmt=True), formatdate(10.0, usegmt=True), 20.0),
        (formatdate(NOW_S + 90, usegmt=True), "yesterday", 90.0),
        ("Sun, 99 Nov 2026 00:00:00 GMT", None, 0.0),
        ("Sun, 06 Nov 99999 00:00:00 GMT", None, 0.0),
    ],
)  # fmt: skip
def test_retry_after(value: str | None, date: str | None, expected: float) -> None:
    assert answer.retry_after_s(value, date, NOW_S) == expected


@given(value=st.text(), date=st.text())
def test_retry_after_of_anything(value: str, date: str) -> None:
    assert 0.0 <= answer.retry_after_s(value, date, NOW_S) <= 300.0


@given(st.binary())
def test_a_confirmation_of_anything_is_read_or_refused(body: bytes) -> None:
    try:
        assert isinstance(answer.read_confirmation(body), answer.Confirmation)
    except ValueError as error:
        assert "no keys" in str(error)
