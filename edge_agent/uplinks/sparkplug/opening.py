"""From settings to a connection that is ready for births: names, socket, CONNECT and will, subscriptions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_agent.errors import StorageError, UplinkError
from edge_agent.uplink import Host
from edge_agent.uplinks.http import tls
from edge_agent.uplinks.mqtt import address, codes
from edge_agent.uplinks.mqtt.dial import dial
from edge_agent.uplinks.mqtt.link import Call, Link, Loss, Message, Over
from edge_agent.uplinks.sparkplug import topics
from edge_agent.uplinks.sparkplug.node import Message as Told

if TYPE_CHECKING:
    from edge_agent.uplinks.sparkplug.settings import SparkplugSettings

VERSION = "3.1.1"
BD_SEQ = "bd-seq"  # the name of the note
FAILED = 0x80


def client_id(settings: SparkplugSettings, agent: str) -> str:
    """22 letters and digits, which every broker takes; two agents never have the same."""
    text = f"{agent}/{settings.group}/{settings.node}"
    return settings.client_id or "ls" + hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def asked(settings: SparkplugSettings, agent: str) -> codes.Asked:
    return codes.Asked(address.endpoint(settings), client_id(settings, agent), settings.username, VERSION)


async def next_bd_seq(host: Host) -> int:
    """One more than that of the connection before, after 255 comes 0; kept before it is used, so that no two
    connections in a row have the same. Where nothing can be kept, sending goes before numbering."""
    kept = await host.recall(BD_SEQ)
    number = (int(kept) + 1) % 256 if kept.isascii() and kept.isdigit() else 0
    try:
        await host.keep(BD_SEQ, str(number))
    except StorageError:
        pass
    return number


async def opened(
    settings: SparkplugSettings,
    who: codes.Asked,
    will: Told,
    hear: Callable[[Message], None],
    over: Callable[[Loss], None],
) -> Link:
    """The caller sets the deadline. Nothing is left of a connection that failed. Unreachable or Denied."""
    context = await asyncio.to_thread(tls.make_context, settings) if address.secure(settings) else None
    try:
        sock = await dial(address.host_name(settings), address.port(settings), context)
    except UplinkError as error:
        raise type(error)(f"{who.endpoint}: {error}") from error
    secret = settings.password
    call = Call(
        who.client_id,
        VERSION,
        int(settings.keepalive),
        settings.username,
        None if secret is None else secret.get_secret_value().strip("\r\n"),
        (will.topic, will.payload),
        will_retained=False,
    )
    link = Link(call, hear, over)
    try:
        greeting = await link.open(sock)
        if greeting.code != 0:
            raise codes.refused(greeting, who)
        await _subscribe(link, settings, who)
    except Over as error:
        link.close()
        raise codes.not_greeted(error.loss, who) from error
    except BaseException:
        link.close()
        raise
    return link


async def _subscribe(link: Link, settings: SparkplugSettings, who: codes.Asked) -> None:
    own = topics.Topics(settings.group, settings.node)
    wanted = [(own.of_node("NCMD"), "node"), (own.of_device("DCMD", "+"), "node")]
    if settings.primary_host is not None:
        wanted.append((topics.state(settings.primary_host), "primary_host"))
    for topic, key in wanted:
        if (await link.subscribe(topic)).code >= FAILED:
            raise codes.not_allowed("subscribe to", topic, key, who)
