"""What a broker's codes mean for us. Pure: a code and what was asked in; an error or a verdict out.

MQTT 3.1.1 has codes for CONNACK only; the codec translates those into the ones of MQTT 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from edge_agent.errors import Denied, TooLarge, Unacceptable, Unreachable, UplinkError
from edge_agent.uplink import ACKNOWLEDGED, Answer, Verdict
from edge_agent.uplinks.http import tls
from edge_agent.uplinks.http.answer import readable
from edge_agent.uplinks.mqtt.link import Greeting, Loss, Receipt, Why

NO_SUBSCRIBER, TAKEN_OVER = 0x10, 0x8E
_FAILED = 0x80
TOO_LARGE = 0x95
_NOT_AUTHORISED, _TOPIC, _CONTENT, _NOT_RETAINED = 0x87, 0x90, 0x99, 0x9A

_NAMES = {
    0x10: "no matching subscribers", 0x80: "unspecified error", 0x81: "malformed packet",
    0x82: "protocol error", 0x83: "implementation specific error", 0x84: "unsupported protocol version",
    0x85: "client identifier not valid", 0x86: "bad user name or password", 0x87: "not authorized",
    0x88: "server unavailable", 0x89: "server busy", 0x8A: "banned", 0x8B: "server shutting down",
    0x8C: "bad authentication method", 0x8D: "keep alive timeout", 0x8E: "session taken over",
    0x8F: "topic filter invalid", 0x90: "topic name invalid", 0x91: "packet identifier in use",
    0x93: "receive maximum exceeded", 0x95: "packet too large", 0x96: "message rate too high",
    0x97: "quota exceeded", 0x98: "administrative action", 0x99: "payload format invalid",
    0x9A: "retain not supported", 0x9B: "QoS not supported", 0x9C: "use another server",
    0x9D: "server moved", 0x9F: "connection rate exceeded",
}  # fmt: skip

_LATER = frozenset({0x80, 0x83, 0x88, 0x89, 0x8B, 0x8D, 0x96, 0x97, 0x9F})
"""As an answer to CONNECT, or in a DISCONNECT: try again, nobody need change anything."""

CLOSES_ON_IT = frozenset({0x81, 0x82, 0x90, 0x91, 0x94, 0x99})
"""In a DISCONNECT while a message is out: the message may be what the broker cannot take."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the sentences below name."""

    endpoint: str
    client_id: str
    username: str | None = None
    version: str = "5"

    @property
    def who(self) -> str:
        return f"user {self.username}" if self.username else f"client {self.client_id}"


def refused(greeting: Greeting, asked: Asked) -> UplinkError:
    """A CONNACK other than 0."""
    said = f"{asked.endpoint}: the broker refuses the connection: {_named(greeting.code, greeting.text)}"
    if greeting.code in _LATER:
        return Unreachable(said)
    return Denied(f"{said}. {_cure(greeting.code, asked, greeting.elsewhere)}")


def limits(greeting: Greeting, asked: Asked, *, retained: bool) -> Denied | None:
    """What the broker says it cannot do, though it took the connection."""
    if not greeting.takes_qos1:
        return Denied(f"{asked.endpoint}: the broker takes QoS 0 only, and confirms nothing: choose another")
    if retained and not greeting.retains:
        return Denied(f"{asked.endpoint}: {_cure(_NOT_RETAINED, asked)}")
    return None


def ended(loss: Loss, asked: Asked) -> UplinkError:
    """The connection was there, and is gone."""
    if loss.why is Why.SAID and loss.code not in _LATER and loss.code != 0:
        return Denied(
            f"{asked.endpoint}: the broker ended the connection: {_named(loss.code, loss.text)}. "
            f"{_cure(loss.code, asked, loss.text)}"
        )
    return Unreachable(f"{asked.endpoint}: {why(loss)}")


def not_greeted(loss: Loss, asked: Asked) -> UplinkError:
    """The connection ended before CONNACK. With TLS 1.3 that is when a server refuses our certificate."""
    trust = tls.tls_error(loss.fault) if loss.fault is not None else None
    if trust is not None:
        host = urlsplit(asked.endpoint).hostname or ""
        return Denied(f"{asked.endpoint}: {tls.explain(trust, host)}. Check `client_cert`")
    if loss.why is Why.GARBLED:
        other = "3.1.1" if asked.version == "5" else "5"
        return Denied(
            f"{asked.endpoint}: what answers there does not speak MQTT {asked.version}: "
            f"check the port, or try `version: {other}`"
        )
    if loss.why is Why.CLOSED:
        return Unreachable(
            f"{asked.endpoint}: the connection was closed instead of an answer: "
            "is it the port of MQTT, and with TLS (mqtts) or without as in `url`?"
        )
    return Unreachable(f"{asked.endpoint}: {why(loss)}")


def why(loss: Loss) -> str:
    """In words, after "the broker" or a name."""
    if loss.why is Why.SAID:
        return f"the broker ended the connection: {_named(loss.code, loss.text)}"
    if loss.why is Why.SILENT:
        return f"the connection is dead: {loss.text}, not even an answer to a ping"
    if loss.why is Why.GARBLED:
        return "the broker sent something that is not MQTT"
    if loss.why is Why.BROKEN:
        return readable(loss.text) or "the connection was lost"
    return "the broker closed the connection without a word"


def judged(receipt: Receipt, topic: str, asked: Asked, *, needs_subscriber: bool) -> Verdict:
    """A PUBACK of a message with data. ACKNOWLEDGED: the broker has it. Raises what concerns all of the
    message: Denied, TooLarge, Unacceptable."""
    code = receipt.code
    said = f"{_named(code, receipt.text)} (topic {topic})"
    if code == NO_SUBSCRIBER and needs_subscriber:
        return Verdict(
            Answer.RETRY,
            f"nobody is subscribed to {topic}: the broker would throw the data away. Subscribe the platform; "
            "if the broker itself uses the data, set `require_subscriber: false`",
        )
    if code < _FAILED:
        return ACKNOWLEDGED
    if code == _NOT_AUTHORISED:
        raise not_allowed("publish to", topic, "topic", asked)
    if code == TOO_LARGE:
        raise TooLarge(said)
    if code in (_TOPIC, _CONTENT):
        raise Unacceptable(said)
    return Verdict(Answer.RETRY, said)


def not_taken(receipt: Receipt, topic: str, key: str, asked: Asked) -> UplinkError:
    """A PUBACK of what is no data: the state, a schema."""
    if receipt.code == _NOT_AUTHORISED:
        return not_allowed("publish to", topic, key, asked)
    said = (
        f"{asked.endpoint}: the broker does not take {topic} (`{key}`): {_named(receipt.code, receipt.text)}"
    )
    return Denied(said) if receipt.code in (_TOPIC, _CONTENT, _NOT_RETAINED) else Unreachable(said)


def not_allowed(what: str, topic: str, key: str, asked: Asked) -> Denied:
    return Denied(
        f"{asked.endpoint}: {asked.who} may not {what} {topic}: allow it in the broker's access rules, "
        f"or correct `{key}`"
    )


def closes_on_it(loss: Loss) -> bool:
    """Whether a message that was out may be why the connection ended. Brokers send codes, too, that the
    standard does not have for a PUBACK: the codec takes those for garbage."""
    return loss.why in (Why.CLOSED, Why.GARBLED) or (loss.why is Why.SAID and loss.code in CLOSES_ON_IT)


def _named(code: int, text: str) -> str:
    name = _NAMES.get(code, "unknown code")
    return f"{name} (0x{code:02X}{': ' + readable(text) if text else ''})"


def _cure(code: int, asked: Asked, elsewhere: str = "") -> str:
    cures = {
        0x84: f"Set `version: {'3.1.1' if asked.version == '5' else '5'}`",
        0x85: f"It does not like {asked.client_id}: set `client_id` as the platform prescribes",
        0x86: "Check `username` and `password`, or `token`",
        _NOT_AUTHORISED: "Check `username`, `password`, `client_cert` and `client_id`",
        0x8A: "Ask who runs the broker why this client is banned",
        TAKEN_OVER: (
            f"Another client has connected with the client id {asked.client_id}: a copied agent, or a second "
            "use of the same `client_id`. Give each its own; reconnecting at once would throw the other out"
        ),
        0x98: "Somebody at the broker has ended it: ask who runs it",
        TOO_LARGE: "Lower `max_segments` or `max_packet`",
        _NOT_RETAINED: (
            "The broker keeps no retained messages: set `status_topic: ''` and `schema_topic: ''`"
        ),
        0x9B: "The broker does not take QoS 1, and confirms nothing without it: choose another",
        0x9C: f"Correct `url`{': ' + readable(elsewhere) if elsewhere else ''}",
        0x9D: f"Correct `url`{': ' + readable(elsewhere) if elsewhere else ''}",
        _TOPIC: "Check `topic`, `status_topic` and `schema_topic`",
        _CONTENT: "Check `status_topic`",
    }
    return cures.get(code, "Check `url`, `version` and `client_id`")
