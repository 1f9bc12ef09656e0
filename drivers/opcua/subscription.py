"""One subscription: what was asked, what was given, what its notifications mean. Imports asyncua."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from drivers.opcua.address import NodeAddress
from drivers.opcua.codec import Decoder, lost_samples
from drivers.opcua.facts import SubscriptionFacts, Terms
from drivers.opcua.faults import TooMany, ua
from drivers.opcua.session import Session, node_id
from edge_agent.driver import Sink
from edge_agent.errors import BadReply, LinkLost, Refused, StationError
from edge_agent.model import Quality, Tag

CURRENT_TIME = NodeAddress("i", 2258)
NAMESPACE_ARRAY = NodeAddress("i", 2255)
_WATCHED = (CURRENT_TIME, NAMESPACE_ARRAY)  # client handles 0 and 1; the nodes of the plan follow
_LIFETIME_S = 60.0
_ITEMS_PER_CALL = 500
_NOTIFICATIONS_MAX = 10_000  # per message: some 400 kB
_RETRY_S = 60.0
_SEQUENCE_END = 2**32  # the number after the last is 1: Part 4, 7.7
_MISSING_MAX = 100
_MARGIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the configuration asks for one poll group."""

    tags: tuple[Tag, ...]
    decoder: Decoder
    nodes: tuple[NodeAddress, ...]
    users: tuple[tuple[int, ...], ...]  # of each node, the tags that take their value from it
    sink: Sink
    asked: Terms
    namespaces: tuple[str, ...]
    items_per_call: int | None = None

    def replaces(self, older: Wish) -> bool:
        """Whether the older one is for the same poll group of the same device, before a reconfiguration."""
        names = {(tag.name, tag.group, tag.address) for tag in older.tags}
        return any((tag.name, tag.group, tag.address) in names for tag in self.tags)


class Subscription:
    """Exists on the server under ``id``. ``now`` is a monotonic clock in seconds."""

    def __init__(self, session: Session, wish: Wish, now: Callable[[], float], created: Any) -> None:
        self.wish = wish
        self.id = int(created.SubscriptionId)
        self._session = session
        self._now = now
        publishing_s = created.RevisedPublishingInterval / 1000
        given = replace(
            wish.asked,
            publishing_s=publishing_s,
            keep_alive_s=publishing_s * created.RevisedMaxKeepAliveCount,
            lifetime_s=publishing_s * created.RevisedLifetimeCount,
        )
        self.facts = SubscriptionFacts(wish.tags[0].group if wish.tags else "", wish.asked, given)
        self._awaited: set[int] | None = set()  # nodes whose first value is to come; None: no longer waiting
        self._asked_at_s: float | None = None
        self._rounds: list[list[tuple[tuple[int, ...], Any]]] = []
        self._turns: dict[int, int] = {}
        self._unreported = bytearray((Quality.NOT_REPORTED,)) * len(wish.tags)
        self._refused: set[int] = set()
        self._retry_at_s = 0.0
        self._next_sequence: int | None = None
        self._server_time: Any = None
        self._progress_at_s = now()
        self._clock_s = 0.0  # how often the server looks at its clock for us

    @classmethod
    async def create(cls, session: Session, wish: Wish, now: Callable[[], float]) -> Subscription:
        asked = wish.asked
        request = ua.CreateSubscriptionRequest()
        parameters = request.Parameters
        parameters.RequestedPublishingInterval = asked.publishing_s * 1000
        parameters.RequestedMaxKeepAliveCount = max(1, round(asked.keep_alive_s / asked.publishing_s))
        parameters.RequestedLifetimeCount = max(
            3 * parameters.RequestedMaxKeepAliveCount, ceil(asked.lifetime_s / asked.publishing_s)
        )
        parameters.MaxNotificationsPerPublish = _NOTIFICATIONS_MAX
        parameters.PublishingEnabled = True
        response = await session.call(request, ua.CreateSubscriptionResponse, "subscription")
        created = response.Parameters
        if created.RevisedPublishingInterval <= 0 or created.RevisedMaxKeepAliveCount <= 0:
            raise BadReply("the server gives a subscription without a publishing interval")
        return cls(session, wish, now, created)

    @property
    def liveness_s(self) -> float:
        """Silence for longer than this means that the subscription is dead: two keep-alives missed."""
        return 2 * self.facts.given.keep_alive_s + self.facts.given.publishing_s + _MARGIN_S

    def attention_in_s(self) -> float:
        """When ``check_alive`` or ``retry_refused`` next has something to do."""
        due = [self._progress_at_s + self._patience_s] if self.facts.watches_clock else []
        due += [self._retry_at_s] if self._refused else []
        return min(due, default=self._now() + 3600.0) - self._now()

    async def monitor_all(self) -> None:
        """Asks for every node, and for the server's clock and namespace table. A node that the server will
        not monitor is in ``facts.refused`` and asked for again every minute."""
        await self._monitor(range(len(_WATCHED) + len(self.wish.nodes)))
        self._asked_at_s = self._now()

    async def retry_refused(self) -> None:
        if not self._refused or self._now() < self._retry_at_s:
            return
        self._retry_at_s = self._now() + _RETRY_S
        with contextlib.suppress(StationError):  # what is monitored already goes on
            await self._monitor(sorted(self._refused))

    def missing(self, message: Any) -> Sequence[int]:
        """Sequence numbers that should have come before. Raises LinkLost for an impossible one."""
        sequence, expected = message.SequenceNumber, self._next_sequence
        if expected is None:  # nothing before the first matters: the group is read once after subscribing
            return ()
        if not message.NotificationData and _sequence_after(sequence, 1) == expected:
            return ()  # some servers put the last number into a keep-alive instead of the next
        gap = sequence - expected if sequence >= expected else sequence - expected + _SEQUENCE_END - 1
        if gap > _MISSING_MAX:
            raise LinkLost(
                f"the server numbers a report {sequence} where {expected} is due", reason="mismatch"
            )
        return [_sequence_after(expected, step) for step in range(gap)]

    def take(self, message: Any) -> None:
        """Calls the sink: once per change of a value, or with None where nothing of the group changed.
        Raises LinkLost where the message says that the subscription or its nodes are no longer the same.

        The first values of all nodes are handed on together, however many messages they come in: until then
        nobody could tell a node that is not monitored from one that has not been reported yet."""
        sequence = message.SequenceNumber
        if message.NotificationData:
            self._next_sequence = _sequence_after(sequence, 1)
            self.facts.notifications += 1
        else:
            if self._next_sequence is None:
                self._next_sequence = sequence  # of a keep-alive: the number the next report will have
            self.facts.keep_alives += 1
        changed = self._sort(message.NotificationData or ())
        if not changed:
            self.check_alive()
        if self._awaited is None or self._first_is_over(quiet=not changed):
            self._awaited = None
            self._hand_out()

    def _first_is_over(self, quiet: bool) -> bool:
        """Every node has reported, or one will not: the server has found nothing to say, or had its time."""
        if self._asked_at_s is None:
            return False
        late = self._now() - self._asked_at_s > 3 * self.facts.given.publishing_s + _MARGIN_S
        return quiet or late or not self._awaited

    def _hand_out(self) -> None:
        rounds, self._rounds, turns, self._turns = self._rounds, [], self._turns, {}
        for index in turns:  # from its first report on, silence about a node means that it is unchanged
            for tag in self.wish.users[index]:
                self._unreported[tag] = Quality.UNCHANGED
        for changed in rounds:
            self.wish.sink(self.wish.decoder.changes(bytes(self._unreported), changed))
        if not rounds:
            self.wish.sink(None)

    def check_alive(self) -> None:
        """Raises LinkLost when the server's clock has stood still for three keep-alives."""
        still_s = self._now() - self._progress_at_s
        if self.facts.watches_clock and still_s > self._patience_s:
            raise LinkLost(
                f"the server's own clock has stood still for {still_s:.0f} s: its values cannot be believed",
                reason="timeout",
            )

    @property
    def _patience_s(self) -> float:
        given = self.facts.given
        return 3 * max(given.keep_alive_s, given.publishing_s, self._clock_s) + _MARGIN_S

    def _sort(self, notifications: Sequence[Any]) -> int:
        """Puts changes into rounds, the n-th change of each node into the n-th: columns hold one value per
        tag. Returns how many there were."""
        before = self.facts.values
        for notification in notifications:
            if isinstance(notification, ua.StatusChangeNotification):
                raise LinkLost(f"the server ends the subscription: {notification.Status.name}")
            if not isinstance(notification, ua.DataChangeNotification):
                continue
            for item in notification.MonitoredItems or ():
                index = item.ClientHandle - len(_WATCHED)
                if index < 0:
                    self._watched(item.ClientHandle, item.Value)
                elif index < len(self.wish.nodes):
                    self._changed(index, item.Value)
                else:
                    raise LinkLost("the server reports an item nobody asked for", reason="mismatch")
        return self.facts.values - before

    def _changed(self, index: int, result: Any) -> None:
        self.facts.overflows += lost_samples(result)
        self.facts.values += 1
        self._progress_at_s = self._now()
        if self._awaited is not None:
            self._awaited.discard(index)
        at = self._turns[index] = self._turns.get(index, -1) + 1
        if at == len(self._rounds):
            self._rounds.append([])
        self._rounds[at].append((self.wish.users[index], result))

    def _watched(self, handle: int, result: Any) -> None:
        value = None if result.Value is None else result.Value.Value
        if handle == 1:
            if isinstance(value, list) and tuple(str(uri) for uri in value) != self.wish.namespaces:
                raise LinkLost("the server's namespace table has changed", reason="other")
        elif value != self._server_time:
            self._server_time = value
            self._progress_at_s = self._now()

    async def _monitor(self, handles: Sequence[int]) -> None:
        """CreateMonitoredItems for these, in calls of a size the server takes."""
        most = min(self.wish.items_per_call or _ITEMS_PER_CALL, _ITEMS_PER_CALL)
        rest = list(handles)
        while rest:
            chunk = rest[:most]
            request = ua.CreateMonitoredItemsRequest()
            request.Parameters.SubscriptionId = self.id
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.Parameters.ItemsToCreate = [self._item(handle) for handle in chunk]
            try:
                response = await self._session.call(request, ua.CreateMonitoredItemsResponse, "monitoring")
            except TooMany as error:
                if len(chunk) == 1:
                    raise Refused("the server finds a single item too many for one call") from error
                most = len(chunk) // 2
                continue
            results = response.Results or []
            if len(results) != len(chunk):
                raise BadReply(f"asked to monitor {len(chunk)} items, the server answered {len(results)}")
            for handle, result in zip(chunk, results, strict=True):
                self._settle(handle, result)
            del rest[: len(chunk)]

    def _item(self, handle: int) -> Any:
        asked, watched = self.wish.asked, handle < len(_WATCHED)
        return ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(
                NodeId=node_id(self._node(handle)), AttributeId=ua.AttributeIds.Value
            ),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=ua.MonitoringParameters(
                ClientHandle=handle,
                SamplingInterval=1000 * (asked.keep_alive_s if watched else asked.sampling_s),
                QueueSize=1 if watched else asked.queue_size,
                DiscardOldest=True,
            ),
        )

    def _node(self, handle: int) -> NodeAddress:
        return (*_WATCHED, *self.wish.nodes)[handle] if handle < 2 else self.wish.nodes[handle - 2]

    def _settle(self, handle: int, result: Any) -> None:
        node, facts = str(self._node(handle)), self.facts
        if not result.StatusCode.is_good():
            facts.refused[node] = str(result.StatusCode.name)
            self._refused.add(handle)
            self._retry_at_s = self._now() + _RETRY_S
            return
        facts.refused.pop(node, None)
        self._refused.discard(handle)
        if handle == 0:
            facts.watches_clock = True
            self._clock_s = result.RevisedSamplingInterval / 1000
            self._progress_at_s = self._now()
        if handle < len(_WATCHED):
            return
        if self._awaited is not None and handle - len(_WATCHED) not in self._turns:
            self._awaited.add(handle - len(_WATCHED))
        facts.items += 1
        facts.given = replace(
            facts.given,
            sampling_s=max(facts.given.sampling_s, result.RevisedSamplingInterval / 1000)
            if facts.items > 1
            else result.RevisedSamplingInterval / 1000,
            queue_size=min(facts.given.queue_size, result.RevisedQueueSize)
            if facts.items > 1
            else result.RevisedQueueSize,
        )


def delete_request(subscription_id: int) -> Any:
    request = ua.DeleteSubscriptionsRequest()
    request.Parameters.SubscriptionIds = [subscription_id]
    return request


def terms(period_s: float, sampling_s: float | None, queue_size: int, keep_alive_s: float) -> Terms:
    """What is asked for a poll group of that period."""
    return Terms(
        publishing_s=period_s,
        keep_alive_s=max(keep_alive_s, period_s),
        lifetime_s=max(_LIFETIME_S, 3 * max(keep_alive_s, period_s)),
        sampling_s=period_s if sampling_s is None else sampling_s,
        queue_size=queue_size,
    )


def _sequence_after(sequence: int, steps: int) -> int:
    after = sequence + steps
    return after if after < _SEQUENCE_END else after - _SEQUENCE_END + 1
