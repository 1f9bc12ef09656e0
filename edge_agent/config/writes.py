"""What may be written: ``writes`` and ``heartbeat`` of the devices, ``writing`` and ``annunciation`` of the
agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from edge_agent.config import catalogue as c
from edge_agent.config.devices import Draft
from edge_agent.config.document import Document
from edge_agent.config.explain import quoted
from edge_agent.config.located import Collector, Path
from edge_agent.config.plugins import Keys
from edge_agent.config.process import Priority, TagRef
from edge_agent.config.suggest import NOTHING, hint, listed
from edge_agent.config.table import array_of
from edge_agent.config.writes_checks import check_envelope, check_parts, check_times
from edge_agent.config.writes_place import WritePlace
from edge_agent.config.writes_shapes import NO_TTL, HeartbeatFile, OutputFile, WriteFile, WritingFile
from edge_agent.config.writing import Heartbeat, Output, Writable, WriteLevel, Writing
from edge_agent.model import Tag, ValueType
from edge_agent.settings import Text

M = TypeVar("M", bound=BaseModel)

_LIST = Text("a list ('- ' lines)", "列表（每项以 '- ' 开头）")
_ENTRY = Text("an entry ('tag: ...' and its envelope)", "一项（'tag: ...' 及其允许范围）")
_OUTPUT = Text("an output ('tag: DEVICE.TAG')", "输出（'tag: 设备.点'）")
_BLOCK = Text("a block of 'key: value' lines", "“键: 值”块")
_SOURCES = ("operator", "annunciation")
_COUNTS = 65_535.0
_PER_DAY = 100
_PER_DAY_OUTPUT = 10_000


class WriteReader:
    """``drafts``: every device by name, the virtual one among them. ``complete``: every device file gave one,
    so that an unknown device is really one. ``uplinks``: their names, also of those with a mistake; None
    where they are not known."""

    def __init__(
        self, drafts: Mapping[str, Draft], complete: bool, uplinks: Iterable[str] | None, collector: Collector
    ) -> None:
        self.drafts = drafts
        self.complete = complete
        self.uplinks = None if uplinks is None else tuple(uplinks)
        self.collector = collector
        self._found: dict[TagRef, tuple[Writable, WritePlace]] = {}
        self._named: set[TagRef] = set()  # of sound and unsound entries
        self._beats: dict[TagRef, Heartbeat] = {}

    def read(self, drafts: Iterable[Draft], agent: Document | None, written: WritingFile | None) -> Writing:
        """Everything that is sound; ``written``: ``writing`` of the main file. Devices that are switched off
        are checked and left out."""
        for draft in drafts:
            self._device(draft)
        level = WriteLevel[written.level.upper()] if written else WriteLevel.ALARM
        outputs = self._outputs(agent, level) if agent is not None else ()
        on = {name for name, draft in self.drafts.items() if draft.enabled}
        rest = written or WritingFile()
        return Writing(
            level,
            rest.dry_run,
            float(rest.arm),
            rest.per_day,
            rest.lockout_failures,
            tuple(writable for writable, _ in self._found.values() if writable.tag.device in on),
            tuple(beat for beat in self._beats.values() if beat.tag.device in on),
            tuple(output for output in outputs if output.tag.device in on),
        )

    # --- devices -------------------------------------------------------------------------------------------

    def _device(self, draft: Draft) -> None:
        beat = self._heartbeat(draft)
        for path, item in self._items(draft.document, "writes", _ENTRY):
            model, sound = self._model(draft.document, path, item, WriteFile)
            place = WritePlace(self.collector, self.drafts, self.complete, draft, path)
            if model is not None and sound:
                self._writable(place, model, beat)
                continue
            if isinstance(item.get("tag"), str):
                self._named.add(TagRef(draft.name, item["tag"]))
            if model is not None:
                self._unsound(place, model)

    def _heartbeat(self, draft: Draft) -> TagRef | None:
        """Its tag; also of one with a mistake, so that nobody is told that there is none."""
        data = draft.document.data.get("heartbeat")
        if data is None:
            return None
        path: Path = ("heartbeat",)
        if not isinstance(data, dict):
            self._wrong_type(draft.document, path, data, _BLOCK)
            return TagRef(draft.name, "?")
        named = TagRef(draft.name, str(data.get("tag", "?")))
        model, sound = self._model(draft.document, path, data, HeartbeatFile)
        place = WritePlace(self.collector, self.drafts, self.complete, draft, path)
        tag = place.own(model.tag) if model is not None else None
        if model is None or tag is None:
            return named
        counts = tag.type.is_numeric and not tag.type.is_float and tag.scaling is None
        if not counts and tag.type is not ValueType.BOOL:
            place.add("tag", c.HEARTBEAT_TYPE, tag=tag.name, type=tag.type)
        elif place.writable(tag) and sound:
            ref = TagRef(draft.name, tag.name)
            self._beats[ref] = Heartbeat(ref, float(model.period), model.missed)
            high = 1.0 if tag.type is ValueType.BOOL else _COUNTS
            entry = Writable(
                ref, low=0.0, high=high, min_interval_s=0.0, who=("heartbeat",), verify_within_s=0.0,
                place=place.line("tag"),
            )  # fmt: skip
            self._found[ref] = (entry, place)
        return named

    def _unsound(self, place: WritePlace, written: WriteFile) -> None:
        """What can be said of an entry in which other keys have a mistake."""
        tag = place.own(written.tag)
        if tag is not None:
            place.writable(tag)
        place.references("when", written.when, self._is_bool)
        place.references("inputs", written.inputs, lambda place, key, tag: True)

    def _writable(self, place: WritePlace, written: WriteFile, beat: TagRef | None) -> None:
        ref = TagRef(place.draft.name, written.tag)
        if ref == beat:
            heartbeat = f"{place.source.name}:{place.draft.document.value(('heartbeat', 'tag'))[0]}"
            place.add("tag", c.HEARTBEAT_LISTED, tag=written.tag, other=heartbeat)
            return
        if ref in self._found:
            place.add("tag", c.WRITE_TWICE, tag=written.tag, other=self._found[ref][0].place)
            return
        self._named.add(ref)
        who = self._who(place, written)
        level = _level(written, who)
        tag = place.own(written.tag)
        when = place.references("when", written.when, self._is_bool)
        inputs = place.references("inputs", written.inputs, lambda place, key, tag: True)
        check_parts(place, written, level, who, beat is not None)
        sound = check_times(place, written)
        _warn_of_age(place, written)
        if tag is None or not place.writable(tag) or not check_envelope(place, written, tag) or not sound:
            return
        flag = tag.type is ValueType.BOOL
        verify = written.verify
        self._found[ref] = (
            Writable(
                tag=ref,
                level=level,
                low=_number(written.low, 0.0 if flag else None),
                high=_number(written.high, 1.0 if flag else None),
                max_step=None if flag else written.max_step,
                max_rate=written.max_rate.at / float(written.max_rate.per) if written.max_rate else None,
                min_interval_s=float(written.min_interval),
                when=when,
                inputs=inputs,
                max_age_s=float(written.max_age),
                who=who,
                ttl_s=None if written.ttl in (None, NO_TTL) else float(written.ttl),
                revert=written.revert,
                verify_within_s=float(verify.within) if verify else 2.0,
                verify_tolerance=float(verify.tolerance) if verify else 0.0,
                per_day=_per_day(written),
                approve=written.approve,
                place=place.line("tag"),
            ),
            place,
        )

    def _who(self, place: WritePlace, written: WriteFile) -> tuple[str, ...]:
        known = (*_SOURCES, *(f"uplink:{name}" for name in self.uplinks or ()))
        for number, source in enumerate(written.who):
            if source not in known and not (self.uplinks is None and source.startswith("uplink:")):
                values = {"found": source, "known": listed(known), "hint": hint(source, known)}
                place.add(("who", number), c.WRITE_WHO, **values)
        return tuple(written.who)

    def _is_bool(self, place: WritePlace, key: tuple[str | int, ...], tag: Tag) -> bool:
        if tag.type is ValueType.BOOL:
            return True
        place.add(key, c.WRITE_WHEN, tag=tag.name, type=tag.type)
        return False

    # --- annunciation --------------------------------------------------------------------------------------

    def _outputs(self, agent: Document, level: WriteLevel) -> tuple[Output, ...]:
        found: dict[TagRef, tuple[Output, int]] = {}
        for path, item in self._items(agent, "annunciation", _OUTPUT):
            model, sound = self._model(agent, path, item, OutputFile)
            ref = self._output_tag(agent, path, model.tag, level) if model is not None else None
            if model is None or ref is None or not sound:
                continue
            at = (*path, "tag")
            if ref in found:
                other = f"{agent.source.name}:{found[ref][1]}"
                self.collector.add(agent.source, agent.value(at), c.WRITE_TWICE, at, tag=ref, other=other)
                continue
            output = Output(ref, Priority[model.priority.upper()], model.active, model.silence)
            found[ref] = (output, agent.value(at)[0])
        return tuple(output for output, _ in found.values())

    def _output_tag(self, agent: Document, path: Path, text: str, level: WriteLevel) -> TagRef | None:
        device, dot, name = text.partition(".")
        at = (*path, "tag")

        def add(entry: c.Entry, /, **values: object) -> None:
            self.collector.add(agent.source, agent.value(at), entry, at, **values)

        draft = self.drafts.get(device)
        if not dot or not name:
            add(c.OUTPUT_FORM, found=text)
        elif draft is None:
            if self.complete:
                add(c.UNKNOWN_DEVICE, device=device, hint=hint(device, self.drafts))
        elif name not in draft.tags:
            row = draft.table.named(array_of(name)) if draft.table else None
            file = draft.table.source.name if draft.table and draft.table.usable else draft.listed_in
            if file and row is None and name not in draft.unsound:
                guess = hint(name, draft.tags)
                add(c.UNKNOWN_TAG, device=device, tag=name, file=file, hint=guess)
        elif draft.tags[name].type is not ValueType.BOOL:
            add(c.OUTPUT_TYPE, tag=text, type=draft.tags[name].type)
        else:
            return self._listed_output(add, TagRef(device, name), draft, level)
        return None

    def _listed_output(self, add: Any, ref: TagRef, draft: Draft, level: WriteLevel) -> TagRef | None:
        entry = self._found.get(ref)
        if entry is None:
            if ref not in self._named and "writes" not in draft.bad:
                add(c.OUTPUT_UNLISTED, tag=ref, device=ref.device, name=ref.tag, file=draft.file)
            return None
        writable = entry[0]
        if "annunciation" not in writable.who:
            add(c.OUTPUT_WHO, tag=ref, other=writable.place)
            return None
        if level < writable.level:
            add(c.W_OUTPUT_OFF, level=level.name.lower(), needed=writable.level.name.lower())
        return ref

    # --- reading keys --------------------------------------------------------------------------------------

    def _items(self, document: Document, key: str, wanted: Text) -> Iterable[tuple[Path, dict[str, Any]]]:
        """Each entry by itself, so that a mistake in one hides nothing in the others."""
        items = document.data.get(key)
        if items is None:
            return
        if not isinstance(items, list):
            self._wrong_type(document, (key,), items, _LIST)
            return
        for number, item in enumerate(items):
            if isinstance(item, dict):
                yield (key, number), item
            else:
                self._wrong_type(document, (key, number), item, wanted)

    def _model(
        self, document: Document, path: Path, item: dict[str, Any], model: type[M]
    ) -> tuple[M | None, bool]:
        """The sound keys, if those that are needed are among them; and whether all are."""
        keys = Keys(document, path, item, model, model, self.collector)
        keys.report_unknown()
        found, bad = keys.read(model)
        return found, not bad and not keys.typos

    def _wrong_type(self, document: Document, path: Path, found: Any, wanted: Text) -> None:
        values: dict[str, object] = {"found": quoted(path, found), "wanted": wanted, "hint": NOTHING}
        self.collector.add(document.source, document.value(path), c.WRONG_TYPE, path, key=path[0], **values)


def _level(written: WriteFile, who: tuple[str, ...]) -> WriteLevel:
    """Where it is not said: outputs belong to local alarms, everything else to set-points."""
    if written.level is not None:
        return WriteLevel[written.level.upper()]
    return WriteLevel.ALARM if who == ("annunciation",) else WriteLevel.SETPOINT


def _per_day(written: WriteFile) -> int:
    """An output is written as often as alarms come and go: the default must not silence a horn."""
    if written.per_day is not None:
        return written.per_day
    return _PER_DAY_OUTPUT if "annunciation" in written.who else _PER_DAY


def _warn_of_age(place: WritePlace, written: WriteFile) -> None:
    for key in ("when", "inputs"):
        for number, text in enumerate(getattr(written, key)):
            period_s = place.period_s(text)
            if period_s is not None and float(written.max_age) < period_s:
                values = {"age": f"{float(written.max_age):g}s", "period": f"{period_s:g}s", "tag": text}
                place.add((key, number), c.W_WRITE_AGE, **values)


def _number(value: float | None, default: float | None) -> float:
    """Of a number that is known to be there."""
    found = default if value is None else value
    assert found is not None
    return float(found)
