"""A platform with a JSON of its own: bodies from a template, confirmation by a rule.

Such a platform names no keys in its answer, so that what it says holds for all the units of a message. Where
the template makes several messages, they go one after the other; units whose messages have all been taken are
acknowledged even if a later one is not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_agent.clock import Clock
from edge_agent.errors import Unacceptable, Unreachable, UplinkError
from edge_agent.uplink import ACKNOWLEDGED, NOTHING_TO_SEND, Answer, Envelope, Host, Verdict
from edge_agent.uplinks.http import address, answer
from edge_agent.uplinks.http.exchange import MAX_ANSWER_BYTES, Exchange, Reply
from edge_agent.uplinks.http.headers import headers_of
from edge_agent.uplinks.http.uplink import authorization, idempotency_key
from edge_agent.uplinks.templates import About, Filled, Template

if TYPE_CHECKING:
    from edge_agent.uplinks.http.settings import Confirm, HttpSettings

_CURES = answer.Cures(
    "check `token`, `secret`, `headers` or `client_cert`",
    "Nothing is there at this address: check the path in `url`, and `secret` if it stands in it",
)


class ForeignHttpUplink:
    """One POST or PUT per message that the template makes."""

    def __init__(self, settings: HttpSettings, host: Host, clock: Clock) -> None:
        self._settings = settings
        self._host = host
        self._clock = clock
        self._endpoint = address.endpoint(settings)
        self._secret = "" if settings.secret is None else settings.secret.get_secret_value().strip()
        self._hidden = answer.secrets_of(settings)
        self._url = address.filled(settings.url, self._secret)
        self._exchange = Exchange(
            settings,
            clock,
            endpoint=self._endpoint,
            host=address.host_name(settings),
            secure=address.secure(settings),
        )
        self._templates = [Template(settings.body, missing=settings.missing)]
        if settings.event_body is not None:
            self._templates.append(Template(settings.event_body, events=True, missing=settings.missing))

    async def connect(self) -> None:
        """Denied when a certificate file or the token cannot be used."""
        await self._exchange.open(
            {"Content-Type": self._settings.content_type, **authorization(self._settings)}
        )

    async def send(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        """What is in no message, because nothing of it can be sent, is acknowledged without one. Raises as
        ``answer`` decides, unless something has been taken before: then the rest is to be tried again."""
        if not self._exchange.is_open:
            raise Unreachable(f"{self._endpoint}: not connected")
        verdicts: list[Verdict] = [
            NOTHING_TO_SEND if item.event is None or len(self._templates) > 1 else _NO_TEMPLATE
            for item in items
        ]
        about = About(self._host.agent, self._host.line, self._clock.time_ns(), self._secret)
        try:
            messages = await asyncio.to_thread(self._messages, items, about)
        except (ValueError, TypeError) as error:
            reason = f"cannot be written as JSON: {error}"
            if len(items) > 1:
                raise Unacceptable(reason) from error
            return [Verdict(Answer.REJECTED, reason)]
        headers = headers_of(self._settings.headers, about)
        for index, (filled, body) in enumerate(messages):
            try:
                verdict = await self._deliver(filled, body, headers)
            except UplinkError as error:
                if index == 0:
                    raise
                verdict = Verdict(Answer.RETRY, str(error))
            if verdict.answer is not Answer.ACKNOWLEDGED:
                for later, _ in messages[index:]:
                    for number in later.items:
                        verdicts[number] = verdict
                break
            for number in filled.items:
                verdicts[number] = verdict
        return verdicts

    async def close(self) -> None:
        await self._exchange.close()

    def _messages(self, items: Sequence[Envelope], about: About) -> list[tuple[Filled, bytes]]:
        """In a thread: templates walk every sample."""
        return [
            (filled, filled.encoded())
            for template in self._templates
            for filled in template.fill(items, about)
        ]

    async def _deliver(self, filled: Filled, body: bytes, headers: Mapping[str, str]) -> Verdict:
        key = idempotency_key(self._host.agent, filled.name)
        reply = await self._exchange.post(
            self._url, body, {**headers, "Idempotency-Key": key}, method=self._settings.method
        )
        if not 200 <= reply.status < 300:
            return answer.not_taken(
                reply.status, reply.body, reply.retry_after_s, hidden=self._hidden, cures=_CURES
            )
        rule = self._settings.confirm
        return ACKNOWLEDGED if rule == "status" else self._judged(reply, rule, filled)

    def _judged(self, reply: Reply, rule: str | Confirm, filled: Filled) -> Verdict:
        if len(reply.body) > MAX_ANSWER_BYTES:
            return Verdict(Answer.RETRY, "the answer is longer than 1 MB")
        if isinstance(rule, str):
            return _echoed(reply.body, filled)
        try:
            found = _at(json.loads(reply.body), rule.path)
        except (ValueError, RecursionError):
            return Verdict(Answer.RETRY, "no confirmation: the answer is not JSON")
        except LookupError:
            said = answer.told(reply.body, self._hidden)
            return Verdict(Answer.RETRY, f"no confirmation: no `{rule.path}` in the answer: {said}")
        if _same(found, rule.equals):
            return ACKNOWLEDGED
        said = f"`{rule.path}` is {answer.told(json.dumps(found, ensure_ascii=False).encode(), self._hidden)}"
        if any(_same(found, refused) for refused in rule.refused):
            raise Unacceptable(f"{said}: {answer.told(reply.body, self._hidden)}")
        return Verdict(Answer.RETRY, f"no confirmation: {said}, not {json.dumps(rule.equals)}")


_NO_TEMPLATE = Verdict(Answer.REJECTED, "there is no `event_body`: this destination takes no events")


def _echoed(body: bytes, filled: Filled) -> Verdict:
    """``confirm: keys``: the platform repeats the key of every unit of the message."""
    try:
        said = answer.read_confirmation(body)
    except ValueError as error:
        return Verdict(Answer.RETRY, str(error))
    keys = filled.name.split("\n")[: len(filled.items)]
    return ACKNOWLEDGED if said.acknowledged.issuperset(keys) else answer.NOT_ECHOED


def _at(data: Any, path: str) -> Any:
    """LookupError where there is nothing."""
    for part in path.split("."):
        if isinstance(data, list) and part.isdecimal():
            data = data[int(part)]
        elif isinstance(data, dict):
            data = data[part]
        else:
            raise LookupError(part)
    return data


def _same(found: Any, wanted: Any) -> bool:
    """As JSON compares: ``1``, ``true`` and ``"1"`` are three things."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, str) or isinstance(wanted, str):
        return isinstance(found, str) and isinstance(wanted, str) and found == wanted
    return isinstance(found, (int, float)) and bool(found == wanted)
