"""Subscriptions of one session: one loop that keeps Publish requests with the server and hands on what comes.

Every notification is accounted for by its sequence number: one that is missing is asked for again once, and
if the server does not have it any more the link is lost, because a change would be. Every subscription also
watches the server's own clock: keep-alives of a server whose clock stands still prove nothing.

Imports asyncua.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

from drivers.opcua.facts import SubscriptionFacts
from drivers.opcua.faults import MALFORMED, TooMany, ua
from drivers.opcua.session import Session, read_response
from drivers.opcua.subscription import Subscription, Wish, delete_request
from edge_agent.errors import DriverError, LinkLost

_CALL_S = 10.0
_WINDOW_MAX = 8
_Code = ua.StatusCodes
_HARMLESS = frozenset({_Code.BadTimeout, _Code.BadTooManyPublishRequests, _Code.BadNoSubscription})


class Publishing:
    """All subscriptions of a session. ``close`` ends the loop; the rest ends with the session."""

    def __init__(self, session: Session, now: Callable[[], float]) -> None:
        self._session = session
        self._now = now
        self._subscriptions: dict[int, Subscription] = {}
        self._pending: set[asyncio.Future[Any]] = set()
        self._arrived: deque[tuple[Any, asyncio.Future[Any]]] = deque()
        self._acknowledge: list[Any] = []
        self._something = asyncio.Event()
        self._nobody_new = asyncio.Event()  # clear while a subscription is made that may report already
        self._nobody_new.set()
        self._window_max = _WINDOW_MAX
        self._loop: asyncio.Task[None] | None = None

    @property
    def facts(self) -> list[SubscriptionFacts]:
        return [subscription.facts for subscription in self._subscriptions.values()]

    async def subscribe(self, wish: Wish) -> float:
        """Starts one subscription in place of an older one for the same tags. Returns its liveness deadline
        in seconds. Raises as ``Link.exchange``; then the server keeps nothing of it."""
        for old in [known for known in self._subscriptions.values() if wish.replaces(known.wish)]:
            self._drop(old.id)
        self._nobody_new.clear()
        try:
            subscription = await Subscription.create(self._session, wish, self._now)
            self._subscriptions[subscription.id] = subscription
        finally:
            self._nobody_new.set()
        if self._loop is None:
            self._loop = asyncio.create_task(self._run(), name="opcua publishing")
        try:
            await subscription.monitor_all()
        except BaseException:
            self._drop(subscription.id)
            raise
        self._something.set()
        return subscription.liveness_s

    async def close(self) -> None:
        """Never raises."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.cancel()
            await asyncio.wait({loop})
        for future in self._pending:
            future.cancel()

    def _drop(self, subscription_id: int) -> None:
        """Tells the server without waiting for what it says."""
        self._subscriptions.pop(subscription_id, None)
        with contextlib.suppress(DriverError):
            self._session.post(delete_request(subscription_id)).add_done_callback(_forget)

    async def _run(self) -> None:
        try:
            while True:
                self._top_up()
                await self._wait()
                while self._arrived:
                    await self._take(*self._arrived.popleft())
                await self._look_after()
        except LinkLost as error:
            self._session.break_off(error)
        except TimeoutError:
            self._session.break_off(LinkLost("the server left a call unanswered", reason="timeout"))
        except (DriverError, TooMany, OSError, *MALFORMED) as error:
            self._session.break_off(LinkLost(f"the subscription is over: {error!r}", reason="mismatch"))
        except Exception as error:  # noqa: BLE001 outermost: nobody awaits this loop, so the link must say it
            self._session.break_off(LinkLost(f"the subscription's loop failed: {error!r}", reason="other"))

    async def _wait(self) -> None:
        due_s = min(
            [self._session.renewal_in_s] + [s.attention_in_s() for s in self._subscriptions.values()],
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(due_s, 0.0)):
                await self._something.wait()
        self._something.clear()

    async def _look_after(self) -> None:
        """What is due by time: the channel, nodes the server refused, clocks that stand still."""
        async with asyncio.timeout(_CALL_S):
            await self._session.renew_if_due()
        for subscription in list(self._subscriptions.values()):
            subscription.check_alive()
            async with asyncio.timeout(_CALL_S):
                await subscription.retry_refused()

    def _top_up(self) -> None:
        """More Publish requests with the server than subscriptions, so that each can report at any time."""
        if not self._subscriptions:
            return
        window = min(len(self._subscriptions) + 2, self._window_max)
        while len(self._pending) < window:
            request = ua.PublishRequest()
            request.Parameters.SubscriptionAcknowledgements, self._acknowledge = self._acknowledge, []
            future = self._session.post(request)
            self._pending.add(future)
            future.add_done_callback(partial(self._arrive, request))

    def _arrive(self, request: Any, future: asyncio.Future[Any]) -> None:
        self._pending.discard(future)
        if not future.cancelled():
            future.exception()  # seen, even if the loop has ended and nobody takes it any more
            self._arrived.append((request, future))
            self._something.set()

    async def _take(self, request: Any, future: asyncio.Future[Any]) -> None:
        error = future.exception()
        if error is not None:
            raise LinkLost(f"the connection to the server broke: {error}") from error
        result = self._published(request, future.result())
        if result is None:
            return
        message, subscription_id = result.NotificationMessage, result.SubscriptionId
        if subscription_id not in self._subscriptions:
            async with asyncio.timeout(_CALL_S):
                await self._nobody_new.wait()
        subscription = self._subscriptions.get(subscription_id)
        if subscription is None:  # one whose creation was cancelled, or one just replaced
            if message.NotificationData:
                self._acknowledge_one(subscription_id, message.SequenceNumber)
            self._drop(subscription_id)
            return
        for sequence in subscription.missing(message):
            await self._republish(subscription, sequence)
        self._hand_on(subscription, message)

    def _published(self, request: Any, data: Any) -> Any:
        """The result of one Publish; None where the server only gives the request back."""
        fault = _fault(data)
        if fault is None:
            response = read_response(request, ua.PublishResponse, data)
            fault = response.ResponseHeader.ServiceResult
            if fault.is_good():
                return response.Parameters
        if fault.value not in _HARMLESS or (fault.value == _Code.BadNoSubscription and self._subscriptions):
            raise LinkLost(f"the server ends the subscriptions: {fault.name}", reason="other")
        if fault.value == _Code.BadTooManyPublishRequests:
            self._window_max = max(1, min(self._window_max, len(self._pending)))
        return None

    async def _republish(self, subscription: Subscription, sequence: int) -> None:
        request = ua.RepublishRequest()
        request.Parameters.SubscriptionId = subscription.id
        request.Parameters.RetransmitSequenceNumber = sequence
        try:
            async with asyncio.timeout(_CALL_S):
                response = await self._session.call(request, ua.RepublishResponse, "republish")
        except DriverError as error:
            raise LinkLost(f"changes were lost on the way: {error}", reason="mismatch") from error
        message = response.NotificationMessage
        if message.SequenceNumber != sequence or not message.NotificationData:
            raise LinkLost(
                "changes were lost on the way, and the server no longer has them", reason="mismatch"
            )
        subscription.facts.republished += 1
        self._hand_on(subscription, message)

    def _hand_on(self, subscription: Subscription, message: Any) -> None:
        if message.NotificationData:
            self._acknowledge_one(subscription.id, message.SequenceNumber)
        subscription.take(message)

    def _acknowledge_one(self, subscription_id: int, sequence: int) -> None:
        self._acknowledge.append(ua.SubscriptionAcknowledgement(subscription_id, sequence))


def _fault(data: Any) -> Any:
    """The status of a ServiceFault, None for any other answer."""
    rest = data.copy()
    if nodeid_from_binary(rest).Identifier != ua.ObjectIds.ServiceFault_Encoding_DefaultBinary:
        return None
    return struct_from_binary(ua.ResponseHeader, rest).ServiceResult


def _forget(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
