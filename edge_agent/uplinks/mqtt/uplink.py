"""One broker: a connection, and the messages that go over it. ``README.md`` tells the choices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from edge_agent import __version__
from edge_agent.clock import Clock
from edge_agent.errors import Denied, LinesideError, TooLarge, Unacceptable, Unreachable, UplinkError
from edge_agent.model import Schema
from edge_agent.uplink import ACKNOWLEDGED, PENDING, Answer, Envelope, Host, Key, Verdict
from edge_agent.uplinks.http import message, tls
from edge_agent.uplinks.http.answer import Confirmation
from edge_agent.uplinks.http.deadline import deadline
from edge_agent.uplinks.mqtt import acks, address, codes, topics
from edge_agent.uplinks.mqtt.closings import SHORT_LIFE_S, Closings
from edge_agent.uplinks.mqtt.commands import Commands
from edge_agent.uplinks.mqtt.dial import dial
from edge_agent.uplinks.mqtt.drafting import Draft, Form, Letter, OwnForm, Sender, Templated
from edge_agent.uplinks.mqtt.link import Call, Link, Loss, Message, Over, Receipt, Why
from edge_agent.uplinks.templates import Template

if TYPE_CHECKING:
    from edge_agent.uplinks.mqtt.settings import MqttSettings

MOST_IN_FLIGHT = 16
FAILED = 0x80
KEEP_LIMIT_S = 1.0
CLOSINGS = "closings"  # the name of the note
STATUS_TOPIC = "lineside/{agent}/status"
SCHEMA_TOPIC = "lineside/{agent}/schema/{schema}"


class MqttUplink:
    """Keeps which schemas the broker has; a new connection starts with none."""

    def __init__(self, settings: MqttSettings, host: Host, clock: Clock) -> None:
        self._settings = settings
        self._host = host
        self._clock = clock
        self._texts = message.SchemaTexts()
        self._context: ssl.SSLContext | None = None
        self._link: Link | None = None
        self._form: Form | None = None
        self._asked = codes.Asked(address.endpoint(settings), "")
        self._known: set[str] = set()
        self._waiting: dict[str, str] = {}  # key -> schema, of what the platform has yet to confirm
        self._refusal: Denied | None = None
        self._sending = False
        self._opened_ns = 0
        self._closings: Closings | None = None
        self._commands: Commands | None = None
        self._commanding: asyncio.Task[None] | None = None
        foreign = settings.body is not None
        self._status_topic = _or(settings.status_topic, "" if foreign else STATUS_TOPIC)
        self._schema_topic = _or(settings.schema_topic, "" if foreign else SCHEMA_TOPIC)
        self._ack_topic = settings.ack_topic
        self._command_topic = settings.command_topic

    async def connect(self) -> None:
        """Denied also when the broker has closed one connection after the other: see ``closings``."""
        await self.close()
        self._settle_names()
        closings = Closings(await self._host.recall(CLOSINGS))
        if closings.too_many(self._clock.mono_ns()):
            raise Denied(
                f"{self._asked.endpoint}: the broker closes each connection soon after it has taken it, without a "
                f"word: is another client connected with the client id {self._asked.client_id} (a copied agent)? "
                "Does the broker allow these topics?"
            )
        if address.secure(self._settings):
            self._context = await asyncio.to_thread(tls.make_context, self._settings)
        async with self._deadline("connecting took"):
            await self._open()

    async def send(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        """One PUBLISH per topic. With ``ack_topic`` units are PENDING when the broker has them."""
        self._sending = True
        try:
            async with self._deadline("no answer within"):
                return await self._sent(items)
        finally:
            self._sending = False

    async def close(self) -> None:
        task, self._commanding = self._commanding, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        link, self._link = self._link, None
        if link is not None:
            link.close((self._status_topic, self._status("offline")) if self._status_topic else None)
        closings, self._closings = self._closings, None
        if closings is not None:
            with contextlib.suppress(LinesideError, TimeoutError):
                async with asyncio.timeout(KEEP_LIMIT_S):
                    await self._host.keep(CLOSINGS, closings.text)

    # Opening

    def _settle_names(self) -> None:
        """The agent's id may be known later than the configuration."""
        settings, agent = self._settings, self._host.agent
        if not agent:
            raise Unreachable("the agent has no id yet: its store could not be opened")
        own = {"agent": agent, "line": self._host.line, "uplink": self._host.name}
        self._asked = codes.Asked(
            address.endpoint(settings),
            topics.filled(settings.client_id, own),
            settings.username,
            settings.version,
        )
        self._status_topic = topics.filled(self._status_topic, own)
        self._schema_topic = topics.filled(self._schema_topic, own)
        self._ack_topic = topics.filled(settings.ack_topic, own)
        self._command_topic = topics.filled(settings.command_topic, own)
        sender = Sender(agent, self._host.line, topics.filled(settings.topic, own))
        if settings.body is None:
            self._form = OwnForm(sender, self._clock, self._texts)
            return
        events = settings.event_body
        self._form = Templated(
            sender,
            self._clock,
            Template(settings.body, missing=settings.missing),
            None if events is None else Template(events, events=True, missing=settings.missing),
        )

    async def _open(self) -> None:
        """A new connection that is ready for use, or what refused it. Nothing is left of one that failed."""
        if self._link is not None:
            self._link.close()
        self._known.clear()
        sock = await self._dialled()
        link = self._link = Link(self._call(), self._hear, self._over)
        try:
            greeting = await link.open(sock)
            if greeting.code != 0:
                raise codes.refused(greeting, self._asked)
            denied = codes.limits(greeting, self._asked, retained=bool(self._status_topic or self._schema_topic))
            if denied is not None:
                raise denied
            self._opened_ns = self._clock.mono_ns()
            await self._introduce(link)
        except Over as over:
            link.close()
            raised = codes.ended if self._opened_ns else codes.not_greeted
            raise raised(over.loss, self._asked) from over
        except BaseException:
            link.close()
            raise

    async def _dialled(self) -> "socket.socket":
        settings = self._settings
        try:
            return await dial(address.host_name(settings), address.port(settings), self._context)
        except UplinkError as error:
            raise type(error)(f"{self._asked.endpoint}: {error}") from error

    def _call(self) -> Call:
        settings, secret = self._settings, self._settings.password
        return Call(
            self._asked.client_id,
            settings.version,
            int(settings.keepalive),
            settings.username,
            None if secret is None else secret.get_secret_value().strip("\r\n"),
            (self._status_topic, self._status("offline")) if self._status_topic else None,
        )

    async def _introduce(self, link: Link) -> None:
        for topic, key in ((self._ack_topic, "ack_topic"), (self._command_topic, "command_topic")):
            if topic and (await link.subscribe(topic)).code >= FAILED:
                raise codes.not_allowed("subscribe to", topic, key, self._asked)
        if self._command_topic and self._commands is None:
            self._commands = Commands(self._host, self._command_topic, self._tell)
        if self._commands is not None and self._commanding is None:
            self._commanding = asyncio.create_task(self._commands.run(), name="mqtt commands")
        if self._status_topic:
            receipt = await link.publish(self._status_topic, self._status("online"), retain=True)
            self._must_be_taken(receipt, self._status_topic, "status_topic")

    def _status(self, state: str) -> bytes:
        said = {"format": message.FORMAT, "agent": self._host.agent, "line": self._host.line}
        said |= {"uplink": self._host.name, "state": state, "version": __version__}
        return json.dumps(said, ensure_ascii=False).encode()

    # Sending

    async def _sent(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        """A message on which the broker closes the connection twice, and which it greets again each time, is
        what it cannot take: too large, or not what it wants. MQTT 3.1.1 has no other way to say so."""
        link = self._usable()
        for _ in range(2):
            assert self._form is not None
            draft = await self._form.draft(items, self._known if self._schema_topic else ())
            try:
                return await self._delivered(link, draft, items)
            except Over as over:
                loss = over.loss
                if not codes.closes_on_it(loss):
                    raise self._lost_while_sending(loss, len(items)) from over
            await self._open()
            link = self._usable()
        said = (
            f"{self._asked.endpoint}: the broker closes the connection on a message of {len(items)} unit(s), twice in "
            f"a row ({codes.why(loss)}): too large, not acceptable, or its topic not allowed"
        )
        raise TooLarge(said) if len(items) > 1 else Unacceptable(said)

    def _usable(self) -> Link:
        if self._refusal is not None:
            raise self._refusal
        if self._link is None:
            raise Unreachable(f"{self._asked.endpoint}: not connected")
        if self._link.loss is not None:
            raise codes.ended(self._link.loss, self._asked)
        return self._link

    async def _delivered(self, link: Link, draft: Draft, items: Sequence[Envelope]) -> Sequence[Verdict]:
        """Raises Over when the connection ended, and what ``codes.judged`` raises; units of messages that were
        taken before are acknowledged then all the same."""
        verdicts: dict[int, Verdict] = {}
        settled = {*draft.settled}
        self._expect(draft, items)
        try:
            await self._announce(link, draft)
            limit = max(1, min(link.greeting.in_flight, MOST_IN_FLIGHT))
            letters = iter(draft.letters)
            while some := list(islice(letters, limit)):
                answers = [(letter, self._post(link, letter)) for letter in some]
                for letter, answer in answers:
                    receipt = await answer
                    if isinstance(receipt, Loss):
                        raise Over(receipt)
                    self._note(verdicts, letter, self._judged(receipt, letter))
        except (Over, UplinkError):
            if not self._ack_topic:
                late = {unit for letter in draft.letters for unit in letter.units if unit not in verdicts}
                done = [n for n, v in verdicts.items() if v is ACKNOWLEDGED and n not in late | settled]
                self._host.acknowledged([items[n].key for n in done])
            raise
        self._known |= draft.schemas.keys()
        taken = PENDING if self._ack_topic else ACKNOWLEDGED
        for number, verdict in verdicts.items():
            verdicts[number] = taken if verdict is ACKNOWLEDGED else verdict
        return [draft.settled.get(n) or verdicts[n] for n in range(len(items))]
