"""``counters.list`` and ``counters.declare`` of the console: what counters stand at, and meters replaced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from edge_agent.errors import LinesideError
from edge_agent.model import Event
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.accounting import Accounting
    from edge_agent.clock import Clock

Handler = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
_LONGEST = 500
_AHEAD_NS = 86_400_000_000_000


class DeclarationRefused(LinesideError):
    """A declaration that cannot be understood or names no counter; nothing has changed."""

    def __init__(self, en: str, zh: str) -> None:
        self.text = Text(en, zh)
        super().__init__(en)


def counter_handlers(
    accounting: Callable[[], Accounting | None],
    clock: Clock,
    announce: Callable[[Sequence[Event]], None],
) -> Mapping[str, Handler]:
    """Handlers by verb. ``accounting`` gives the present one, None where nothing is counted. ``announce``
    must commit the events in one transaction with ``Accounting.changed``: a declaration is kept like a
    reading."""
    desk = _Desk(accounting, clock, announce)
    return {"counters.list": desk.list, "counters.declare": desk.declare}


class _Desk:
    def __init__(
        self,
        accounting: Callable[[], Accounting | None],
        clock: Clock,
        announce: Callable[[Sequence[Event]], None],
    ) -> None:
        self.accounting = accounting
        self.clock = clock
        self.announce = announce

    async def list(self, user: str, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One row per counter. Amounts are exact decimals as text, in ``unit``."""
        present = self._present()
        return [_row(present, key) for key in present.counters]

    async def declare(self, user: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """``counter`` (its name or DEVICE.TAG), ``old_final`` and ``new_start`` as the displays showed them,
        ``at`` (a date and time; default: now), ``comment``. The answer's ``outcome``: ``counted``,
        ``refused`` (with ``reason``) or ``waiting`` for the first reading of the new meter."""
        present = self._present()
        key = self._key(present, _text(args, "counter"))
        comment = _text(args, "comment")
        mono_ns, time_ns = self.clock.mono_ns(), self.clock.time_ns()
        at_ns = self._moment(present, args, time_ns)
        from edge_agent.accounting import Replacement  # with decimals and calendars: only where one counts

        replacement = Replacement(at_ns, _amount(args, "old_final"), _amount(args, "new_start"))
        caused = present.declare(key, replacement, mono_ns, time_ns).events
        counter = present.counters[key]
        detail = {
            "name": present.names[key], "at_ns": at_ns, "old_final": str(replacement.old_final),
            "new_start": str(replacement.new_start), "unit": counter.spec.unit, "user": user,
            "comment": comment,
        }  # fmt: skip
        version = counter.config_version
        self.announce([Event("counter_declared", key, time_ns, mono_ns, version, detail), *caused])
        return {"counter": present.names[key], "at_ns": at_ns, **_outcome(caused)}

    def _present(self) -> Accounting:
        found = self.accounting()
        if found is None or not found.counters:
            raise DeclarationRefused(
                "no counter is configured: list them under 'counters' in derived.d",
                "没有配置计数器：请在 derived.d 的 counters 下声明",
            )
        return found

    def _key(self, present: Accounting, name: str) -> str:
        for key, own in present.names.items():
            if name in (key, own):
                return key
        known = ", ".join(present.names.values())
        raise DeclarationRefused(
            f"there is no counter '{name}'; counters: {known}", f"没有计数器 '{name}'；现有计数器：{known}"
        )

    def _moment(self, present: Accounting, args: Mapping[str, Any], now_ns: int) -> int:
        if args.get("at") is None:
            return now_ns
        text = _text(args, "at")
        try:
            at = datetime.fromisoformat(text)
            if at.tzinfo is None:
                at = at.replace(tzinfo=present.zone)
            at_ns = int(at.timestamp()) * 1_000_000_000
        except (ValueError, OverflowError):
            raise DeclarationRefused(
                f"'{text}' is no date and time: write 2026-01-31T08:00 or 2026-01-31T08:00+08:00",
                f"'{text}' 不是日期时间：请写成 2026-01-31T08:00 或 2026-01-31T08:00+08:00",
            ) from None
        if at_ns > now_ns + _AHEAD_NS:
            raise DeclarationRefused(
                f"'{text}' is more than a day ahead: declare the replacement when it is made",
                f"'{text}' 在一天以后：请在换表时登记",
            )
        return at_ns


def _row(present: Accounting, key: str) -> dict[str, Any]:
    counter = present.counters[key]
    base, spec = counter.base, counter.spec
    return {
        "name": present.names[key],
        "tag": key,
        "unit": spec.unit,
        "total": str(counter.total),
        "display": None if base is None else str(base.raw * spec.scale),
        "time_ns": None if base is None else base.time_ns,
        "held": counter.is_held,
        "declared": [
            {"at_ns": r.at_ns, "old_final": str(r.old_final), "new_start": str(r.new_start)}
            for r in counter.declared
        ],
    }


def _outcome(events: Sequence[Event]) -> dict[str, Any]:
    for event in events:
        if event.kind == "counter_replaced":
            return {"outcome": "counted", "amount": event.detail["amount"], "unit": event.detail["unit"]}
        if event.kind == "counter_replacement_refused":
            return {"outcome": "refused", "reason": event.detail["reason"]}
    return {"outcome": "waiting"}


def _text(args: Mapping[str, Any], key: str) -> str:
    value = args.get(key)
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise DeclarationRefused(
            f"'{key}' is missing, or longer than {_LONGEST} characters",
            f"缺少 '{key}'，或超过 {_LONGEST} 个字符",
        )
    return value.strip()


def _amount(args: Mapping[str, Any], key: str) -> Decimal:
    text = _text(args, key)
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found < 0 or len(text) > 40 or abs(found.adjusted()) > 30:
        raise DeclarationRefused(
            f"'{key}' is '{text}': write what the display showed, such as 48213.7",
            f"'{key}' 是 '{text}'：请填写表计显示的读数，例如 48213.7",
        )
    return found
