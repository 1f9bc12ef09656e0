"""One broker: a connection, and the messages that go over it. ``README.md`` tells the choices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from edge_agent import __version__
from edge_agent.clock import Clock
from edge_agent.errors import Denied, LinesideError, TooLarge, Unacceptable, Unreachable, UplinkError
from edge_agent.uplink import ACKNOWLEDGED, PENDING, Envelope, Host, Verdict
from edge_agent.uplinks.http import message, tls
from edge_agent.uplinks.http.answer import Confirmation
from edge_agent.uplinks.http.deadline import deadline
from edge_agent.uplinks.mqtt import acks, address, codes, topics
from edge_agent.uplinks.mqtt.closings import SHORT_LIFE_S, Closings
from edge_agent.uplinks.mqtt.commands import Commands
from edge_agent.uplinks.mqtt.delivery import Delivery
from edge_agent.uplinks.mqtt.dial import dial
from edge_agent.uplinks.mqtt.drafting import Draft, Form, Letter, OwnForm, Sender, Templated
from edge_agent.uplinks.mqtt.link import Call, Link, Loss, Message, Over, Receipt, Why
from edge_agent.uplinks.templates import Template

if TYPE_CHECKING:
    from edge_agent.uplinks.mqtt.settings import MqttSettings

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
        self._took = False  # this connection has brought something to the broker
        self._closings = Closings()
        self._to_keep = False
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
        self._closings = Closings(await self._host.recall(CLOSINGS))
        if self._closings.too_many(self._clock.mono_ns()):
            raise Denied(
                f"{self._asked.endpoint}: the broker closes each connection soon after it has taken it, "
                f"without a word: is another client connected with the client id {self._asked.client_id} (a "
                "copied agent)? Does the broker allow these topics?"
            )
        if address.secure(self._settings):
            self._context = await asyncio.to_thread(tls.make_context, self._settings)
        async with self._deadline():
            await self._open()

    async def send(self, items: Sequence[Envelope]) -> Sequence[Verdict]:
        """One PUBLISH per topic. With ``ack_topic`` units are PENDING when the broker has them."""
        self._sending = True
        try:
            async with self._deadline():
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
        if self._to_keep:
            self._to_keep = False
            with contextlib.suppress(LinesideError, TimeoutError):
                async with asyncio.timeout(KEEP_LIMIT_S):
                    await self._host.keep(CLOSINGS, self._closings.text)

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
        self._opened_ns, self._took = 0, False
        self._refusal = None
        sock = await self._dialled()
        link = self._link = Link(self._call(), self._hear, self._over)
        try:
            greeting = await link.open(sock)
            if greeting.code != 0:
                raise codes.refused(greeting, self._asked)
            denied = codes.limits(
                greeting, self._asked, retained=bool(self._status_topic or self._schema_topic)
            )
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

    async def _dialled(self) -> socket.socket:
        settings = self._settings
        try:
            return await dial(address.host_name(settings), address.port(settings), self._context)
        except UplinkError as error:
            raise type(error)(f"{self._asked.endpoint}: {error}") from error

    def _call(self) -> Call:
        settings = self._settings
        secret, token = settings.password, settings.token
        return Call(
            self._asked.client_id,
            settings.version,
            int(settings.keepalive),
            settings.username if token is None else token.get_secret_value().strip(),
            None if secret is None else secret.get_secret_value().strip("\r\n"),
            (self._status_topic, self._status("offline")) if self._status_topic else None,
            largest=settings.max_packet,
            clean=not self._ack_topic or bool(self._command_topic),
        )

    async def _introduce(self, link: Link) -> None:
        if self._command_topic and self._commands is None:
            self._commands = Commands(self._host, self._command_topic, self._tell)
        if self._commands is not None and self._commanding is None:
            self._commanding = asyncio.create_task(self._commands.run(), name="mqtt commands")
        for topic, key in ((self._ack_topic, "ack_topic"), (self._command_topic, "command_topic")):
            if topic and (await link.subscribe(topic)).code >= FAILED:
                raise codes.not_allowed("subscribe to", topic, key, self._asked)
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
        raise Unacceptable(
            f"{self._asked.endpoint}: twice in a row the connection ended on this message of {len(items)} "
            f"unit(s) ({codes.why(loss)}). Too large (`max_packet`), not acceptable, or not allowed (`topic`)"
        )

    def _usable(self) -> Link:
        if self._refusal is not None:
            raise self._refusal
        if self._link is None:
            raise Unreachable(f"{self._asked.endpoint}: not connected")
        if self._link.loss is not None:
            raise codes.ended(self._link.loss, self._asked)
        return self._link

    async def _delivered(self, link: Link, draft: Draft, items: Sequence[Envelope]) -> Sequence[Verdict]:
        """Raises Over, and what ``codes.judged`` raises; what the broker had taken by then is settled."""
        delivery = Delivery(link, draft, self._user(), self._judged)
        if self._ack_topic:
            for unit in {unit for letter in draft.letters for unit in letter.units}:
                schema = items[unit].schema
                self._waiting[str(items[unit].key)] = "" if schema is None else schema.digest
        try:
            await self._announce(link, draft)
            await delivery.run()
        except (Over, UplinkError):
            if not self._ack_topic:
                self._host.acknowledged([items[unit].key for unit in delivery.taken])
            raise
        self._known |= draft.schemas.keys()
        self._took = self._took or bool(delivery.taken)
        taken = PENDING if self._ack_topic else ACKNOWLEDGED
        return [delivery.verdict(unit, taken) for unit in range(len(items))]

    async def _announce(self, link: Link, draft: Draft) -> None:
        """Schemas that are new on this connection: retained, so that a receiver may come later."""
        if not self._schema_topic:
            return
        for digest, schema in draft.schemas.items():
            if digest not in self._known:
                topic = topics.filled(self._schema_topic, {"schema": digest})
                head = message.encode_head(self._host.agent, self._host.line)
                text = message.encode_message(
                    head, self._clock.time_ns() // 1000, [self._texts.of(schema)], [], []
                )
                link.check_size(topic, text, user=self._user())
                receipt = await link.publish(topic, text, retain=True, user=self._user())
                self._must_be_taken(receipt, topic, "schema_topic")

    def _judged(self, receipt: Receipt, letter: Letter) -> Verdict:
        needs_subscriber = self._settings.require_subscriber and not self._ack_topic
        return codes.judged(receipt, letter.topic, self._asked, needs_subscriber=needs_subscriber)

    def _must_be_taken(self, receipt: Receipt, topic: str, key: str) -> None:
        """Of a message that is no data: without it nothing else goes."""
        if receipt.code >= FAILED:
            raise codes.not_taken(receipt, topic, key, self._asked)

    def _user(self) -> tuple[tuple[str, str], ...]:
        form = (("format", message.FORMAT),) if self._settings.body is None else ()
        return (*form, ("agent", self._host.agent), ("line", self._host.line))

    def _lost_while_sending(self, loss: Loss, units: int) -> UplinkError:
        if loss.why is Why.SAID and loss.code == codes.TOO_LARGE:
            return TooLarge(codes.why(loss))
        return codes.ended(loss, self._asked)

    # What comes in

    def _hear(self, heard: Message) -> None:
        if heard.topic == self._ack_topic:
            said = acks.read_ack(
                heard.payload, self._host.agent, must_name="{agent}" not in self._settings.ack_topic
            )
            if said is not None:
                self._settle(said)
        elif heard.topic == self._command_topic and self._commands is not None:
            self._commands.put(heard)

    def _settle(self, said: Confirmation) -> None:
        """A refusal outweighs a confirmation of the same key, but not while the platform lacked the schema:
        that is our omission. Such a unit goes again when its time for a confirmation is over."""
        self._known -= said.unknown_schemas
        refused = said.rejected or {}
        for text, reason in refused.items():
            key = acks.key_of(text)
            if key is not None and self._waiting.get(text) not in said.unknown_schemas:
                self._waiting.pop(text, None)
                self._host.rejected([key], reason)
        confirmed = [text for text in said.acknowledged if text not in refused]
        for text in confirmed:
            self._waiting.pop(text, None)
        self._host.acknowledged([key for key in map(acks.key_of, confirmed) if key is not None])

    async def _tell(self, answer: bytes) -> None:
        if self._link is not None:
            with contextlib.suppress(Over, TimeoutError):
                async with asyncio.timeout(self._settings.timeout):
                    await self._link.publish(f"{self._command_topic}/result", answer)

    def _over(self, loss: Loss) -> None:
        """The connection ended. While a message is out its sender knows; otherwise forwarding is told, unless
        nothing but a person's doing could help: reconnecting at once would then be a war of two clients."""
        if self._sending or not self._opened_ns:
            return
        error = codes.ended(loss, self._asked)
        if isinstance(error, Denied):
            self._refusal = error
            return
        now_ns = self._clock.mono_ns()
        short = now_ns - self._opened_ns < SHORT_LIFE_S * 1e9
        if loss.why is Why.CLOSED and short and not self._restarted():
            self._closings.add(now_ns)
            self._to_keep = True
        self._host.lost(str(error))

    def _restarted(self) -> bool:
        """A broker of MQTT 5 has a word for a rival (0x8E): one that took data and then closes without any is
        being restarted. It may be back before the next try, so that no failed try tells."""
        return self._took and self._settings.version == "5"

    @contextlib.asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with deadline(self._settings.timeout):
                yield
        except TimeoutError as error:
            raise Unreachable(
                f"{self._asked.endpoint}: no answer within {self._settings.timeout:g} s"
            ) from error


def _or(value: str | None, default: str) -> str:
    return default if value is None else value
