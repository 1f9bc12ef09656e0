"""The verbs ``counters.list``, ``declare`` and ``withdraw``: what counters stand at, and meters replaced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from edge_agent.errors import LinesideError
from edge_agent.model import Event
from edge_agent.settings import Text

if TYPE_CHECKING:
    from edge_agent.accounting import Accounting, Replacement
    from edge_agent.accounting.counter import Counter
    from edge_agent.clock import Clock

Handler = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
_LONGEST = 500
_AHEAD_NS = 86_400_000_000_000


class DeclarationRefused(LinesideError):
    """A declaration that cannot be understood or names no counter; nothing has changed."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(Text(en, zh))


def counter_handlers(
    accounting: Callable[[], Accounting | None],
    clock: Clock,
    announce: Callable[[Sequence[Event]], None],
) -> Mapping[str, Handler]:
    """Handlers by verb. ``accounting`` gives the present one, None where nothing is counted. ``announce``
    must commit the events in one transaction with ``Accounting.changed``: a declaration is kept like a
    reading."""
    desk = _Desk(accounting, clock, announce)
    return {
        "counters.list": desk.list,
        "counters.declare": desk.declare,
        "counters.withdraw": desk.withdraw,
    }


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
        """One row per counter. Amounts are exact decimals as text, in ``unit``, without trailing zeros."""
        present = self._present()
        return [_row(present, key) for key in present.counters]

    async def declare(self, user: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """``counter`` (its name or DEVICE.TAG), ``old_final`` and ``new_start`` as the displays showed them,
        ``at`` (a date and time; default: now), ``comment``, ``replace`` (true: in place of the one that is
        waiting). The answer's ``outcome``: ``counted``, ``refused`` (with ``reason``) or ``waiting`` for the
        first reading of the new meter; ``withdrawn``: how many it replaced. Raises ``DeclarationRefused``
        where the last reading cannot have led to ``old_final``, or another one is waiting."""
        present = self._present()
        key = self._key(present, _text(args, "counter"))
        comment = _text(args, "comment")
        mono_ns, time_ns = self.clock.mono_ns(), self.clock.time_ns()
        at_ns = self._moment(present, args, time_ns)
        from edge_agent.accounting import Replacement  # with decimals and calendars: only where one counts

        replacement = Replacement(at_ns, _amount(args, "old_final"), _amount(args, "new_start"))
        _fits_the_last_reading(present, key, replacement, time_ns, mono_ns)
        told: Sequence[Event] = ()
        if args.get("replace") is True:
            told = self._withdrawn(present, key, user, comment)
        elif present.counters[key].declared:
            raise _waiting_already(present, key)
        caused = present.declare(key, replacement, mono_ns, time_ns).events
        declared = self._event("counter_declared", present, key, replacement, user, comment)
        self.announce([*told, declared, *caused])
        answer = {"counter": present.names[key], "at_ns": at_ns, **_outcome(caused)}
        return answer | {"withdrawn": len(told)} if told else answer

    async def withdraw(self, user: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Takes back what waits for the first reading of a new meter: ``counter``, ``comment``. What has been
        counted cannot be taken back. The answer's ``withdrawn``: how many."""
        present = self._present()
        key = self._key(present, _text(args, "counter"))
        told = self._withdrawn(present, key, user, _text(args, "comment"))
        name = present.names[key]
        if not told:
            raise DeclarationRefused(
                f"no declaration of '{name}' is waiting: nothing was changed",
                f"'{name}' 没有等待中的换表登记：未作任何更改",
            )
        self.announce(told)
        return {"counter": name, "withdrawn": len(told)}

    def _withdrawn(self, present: Accounting, key: str, user: str, comment: str) -> Sequence[Event]:
        kind = "counter_declaration_withdrawn"
        return [self._event(kind, present, key, one, user, comment) for one in present.withdraw(key)]

    def _event(
        self, kind: str, present: Accounting, key: str, of: Replacement, user: str, comment: str
    ) -> Event:
        counter = present.counters[key]
        detail = {
            "name": present.names[key], "at_ns": of.at_ns, "old_final": str(of.old_final),
            "new_start": str(of.new_start), "unit": counter.spec.unit, "user": user, "comment": comment,
        }  # fmt: skip
        return Event(kind, key, self.clock.time_ns(), self.clock.mono_ns(), counter.config_version, detail)

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


def _fits_the_last_reading(
    present: Accounting, key: str, of: Replacement, time_ns: int, mono_ns: int
) -> None:
    from edge_agent.accounting.decimals import EXACT, shown

    counter = present.counters[key]
    found = counter.old_final_range(of.at_ns, time_ns, mono_ns)
    if found is None or counter.base is None or found[0] <= of.old_final <= found[1]:
        return
    name, unit = present.names[key], counter.spec.unit
    last, final = f"{_display(counter)} {unit}".strip(), f"{shown(of.old_final)} {unit}".strip()
    at = _local(present, counter.base.time_ns)
    most = shown(found[1].quantize(Decimal("0.001"), context=EXACT))
    if of.old_final < found[0]:
        en, zh = f"{final} is below it", f"{final} 低于该读数"
    else:
        en = f"by the nameplate at most {most} can have been reached, and {final} is above that"
        zh = f"按铭牌至多可达 {most}，{final} 超出该值"
    raise DeclarationRefused(
        f"nothing was recorded: the last reading of '{name}' is {last} ({at}); {en}. Write what the display "
        "of the old meter showed last; if it was replaced before that reading, say when (--at)",
        f"未作登记：'{name}' 的最后读数是 {last}（{at}）；{zh}。请填写旧表显示的最后读数；"
        "若换表早于该读数，请填写换表时间（--at）",
    )


def _waiting_already(present: Accounting, key: str) -> DeclarationRefused:
    from edge_agent.accounting.decimals import shown

    name, one = present.names[key], present.counters[key].declared[0]
    old, new, at = shown(one.old_final), shown(one.new_start), _local(present, one.at_ns)
    return DeclarationRefused(
        f"nothing was recorded: a declaration of '{name}' is waiting already (old meter {old}, "
        f"new meter {new}, {at}). Replace it (--replace), or take it back: counters withdraw {name}",
        f"未作登记：'{name}' 已有一条等待中的换表登记（旧表 {old}，新表 {new}，{at}）。"
        f"可用 --replace 取而代之，或先撤回：counters withdraw {name}",
    )


def _local(present: Accounting, time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 1_000_000_000, present.zone).strftime("%Y-%m-%d %H:%M:%S")


def _display(counter: Counter) -> str:
    """The last accepted reading as the meter shows it."""
    from edge_agent.accounting.decimals import EXACT, as_displayed, shown

    assert counter.base is not None
    return shown(EXACT.multiply(as_displayed(counter.base.raw), counter.spec.scale))


def _row(present: Accounting, key: str) -> dict[str, Any]:
    from edge_agent.accounting.decimals import shown

    counter = present.counters[key]
    base, spec = counter.base, counter.spec
    return {
        "name": present.names[key],
        "tag": key,
        "unit": spec.unit,
        "total": shown(counter.total),
        "display": None if base is None else _display(counter),
        "time_ns": None if base is None else base.time_ns,
        "held": counter.is_held,
        "declared": [
            {"at_ns": r.at_ns, "old_final": shown(r.old_final), "new_start": shown(r.new_start)}
            for r in counter.declared
        ],
    }


def _outcome(events: Sequence[Event]) -> dict[str, Any]:
    from edge_agent.accounting.decimals import shown

    for event in events:
        if event.kind == "counter_replaced":
            amount = shown(Decimal(event.detail["amount"]))
            return {"outcome": "counted", "amount": amount, "unit": event.detail["unit"]}
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
