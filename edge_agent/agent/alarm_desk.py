"""What people ask about alarms over the console, and what they may do to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from edge_agent.control.alarms import AlarmCommand, CommandRefused, Verb
from edge_agent.control.excursion import Moment
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.clock import Clock
    from edge_agent.console import Handler
    from edge_agent.control.alarms import AlarmBook
    from edge_agent.model import Event

MAX_EVENTS = 2_000  # in one answer; who wants more asks again
MAX_ROWS = 1_000  # the most urgent; nobody reads more
MAX_COMMENT = 500
HISTORY_KINDS = frozenset(
    {
        "alarm_raised", "alarm_returned", "alarm_acknowledged", "alarm_reset", "alarm_shelved",
        "alarm_unshelved", "alarm_suppressed", "alarm_unsuppressed", "alarm_out_of_service",
        "alarm_in_service", "alarm_realarmed", "alarm_removed", "excursion_begin", "excursion_end",
        "window_unknown", "window_known", "window_suppressed", "window_unsuppressed",
    }
)  # fmt: skip


class Controlling(Protocol):
    """Of ``Control``, what the desk needs."""

    @property
    def alarms(self) -> AlarmBook: ...

    def command(self, command: AlarmCommand, *, mono_ns: int, time_ns: int) -> Sequence[Event]: ...


class History(Protocol):
    """Stored events of these kinds with ``start_ns <= time_ns < end_ns``, oldest first; of more than
    ``limit`` the newest."""

    def __call__(
        self, start_ns: int, end_ns: int, kinds: frozenset[str], limit: int
    ) -> Awaitable[Sequence[Event]]: ...


def alarm_handlers(
    control: Controlling, clock: Clock, announce: Callable[[Sequence[Event]], None], history: History
) -> dict[str, Handler]:
    """The console's verbs ``alarms.*``. ``announce`` takes the events of a command at once, in the same step
    of the loop, so that nothing comes between the act and its record."""
    desk = _Desk(control, clock, announce, history)
    handlers: dict[str, Handler] = {f"alarms.{verb}": desk.does(verb) for verb in Verb}
    return handlers | {
        "alarms.list": desk.list,
        "alarms.show": desk.show,
        "alarms.history": desk.history,
    }


class _Desk:
    def __init__(
        self,
        control: Controlling,
        clock: Clock,
        announce: Callable[[Sequence[Event]], None],
        history: History,
    ) -> None:
        self._control = control
        self._clock = clock
        self._announce = announce
        self._history = history

    def does(self, verb: Verb) -> Handler:
        async def handler(user: str, args: Mapping[str, Any]) -> Any:
            return self._do(verb, user, args)

        return handler

    def _do(self, verb: Verb, user: str, args: Mapping[str, Any]) -> Any:
        """Never waits: the command is carried out and its events are announced in one step."""
        name = _text(args, "name", "" if verb is not Verb.SILENCE else "*", longest=1000)
        command = AlarmCommand(verb, name, user, _text(args, "comment"), _number(args, "duration_s"))
        clock = self._clock
        events = self._control.command(command, mono_ns=clock.mono_ns(), time_ns=clock.time_ns())
        if events:
            self._announce(events)
        return {
            "alarms": [
                {
                    "name": event.source,
                    "kind": event.kind,
                    "before": event.detail.get("before"),
                    "after": event.detail.get("after"),
                    "until_ns": event.detail.get("until_ns"),
                }
                for event in events
            ]
        }

    async def list(self, _user: str, args: Mapping[str, Any]) -> Any:
        at = self._now()
        book = self._control.alarms
        names = list(book.names()) if args.get("all") is True else []
        rows = book.rows(at)
        return {
            "alarms": list(rows[:MAX_ROWS]),
            "count": len(rows),
            "kpi": book.kpi(at),
            "time_ns": at.time_ns,
            "names": names,
        }

    async def show(self, _user: str, args: Mapping[str, Any]) -> Any:
        name = _text(args, "name", longest=1000)
        row = self._control.alarms.get(name, self._now())
        if row is None:
            raise _refused(
                f"there is no alarm {name!r}; `edge-agent alarms list --all` names them",
                f"没有报警 {name!r}；可用 `edge-agent alarms list --all` 查看",
            )
        return row

    async def history(self, _user: str, args: Mapping[str, Any]) -> Any:
        """``complete`` is False when there may be more, older than these."""
        start_ns, end_ns = _whole(args, "start_ns", 0), _whole(args, "end_ns", 1 << 62)
        limit = min(max(_whole(args, "limit", MAX_EVENTS), 1), MAX_EVENTS)
        found = await self._history(start_ns, end_ns, HISTORY_KINDS, limit)
        rows = [
            {
                "time_ns": event.time_ns,
                "kind": event.kind,
                "source": event.source,
                "config_version": event.config_version,
                "detail": dict(event.detail),
            }
            for event in found
        ]
        return {"events": rows, "complete": len(rows) < limit}

    def _now(self) -> Moment:
        mono_ns = self._clock.mono_ns()
        return Moment(mono_ns, self._clock.time_ns(), mono_ns)


def _text(args: Mapping[str, Any], key: str, default: str = "", *, longest: int = MAX_COMMENT) -> str:
    value = args.get(key, default)
    if not isinstance(value, str) or len(value) > longest:
        raise _refused(
            f"{key} must be text of at most {longest} characters",
            f"{key} 必须是不超过 {longest} 个字符的文字",
        )
    return value.strip()


def _number(args: Mapping[str, Any], key: str) -> float | None:
    value = args.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _refused(f"{key} must be a number", f"{key} 必须是数字")
    return float(value)


def _whole(args: Mapping[str, Any], key: str, default: int) -> int:
    value = args.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise _refused(f"{key} must be a whole number", f"{key} 必须是整数")
    return value


def _refused(en: str, zh: str) -> CommandRefused:
    return CommandRefused(Text(en, zh))
