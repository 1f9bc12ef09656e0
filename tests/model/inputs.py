"""What was said last of each tag, and whether a window can believe it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from edge_agent.config.model import TagRef
from edge_agent.model import Batch, Quality, Scaling, ValueType
from tests.model.status import NOTHING, SECOND_NS, Meant, Said, Status, is_number, meant, ns, written


class Inputs:
    """``now_ns``: the newest monotonic time heard of. ``risen``: conditions that are true, and since when."""

    def __init__(self, mono_ns: int) -> None:
        self.now_ns = mono_ns
        self.said: dict[TagRef, Said] = {}
        self.risen: dict[TagRef, int] = {}
        self.all: dict[str, Status] = {}

    def keep(self, tag: TagRef, batch: Batch, index: int) -> None:
        """What the batch says of the tag, if it says anything and if a window reads it."""
        quality = batch.quality[index]
        if quality == Quality.NOT_REPORTED:
            return
        if quality == Quality.UNCHANGED:
            if tag in self.said:
                self.said[tag] = replace(self.said[tag], mono_ns=batch.mono_ns, batch=batch)
            return
        if any(tag in status.refs for status in self.all.values()):
            type_, scaling = batch.schema.types[index], batch.schema.scaling[index]
            value = meant(batch.values[index], type_, scaling)
            said = Said(quality, batch.values[index], value, batch.mono_ns, scaling, batch)
            self.said[tag] = said
            if said.usable and value is True:
                self.risen.setdefault(tag, said.mono_ns)
            elif said.usable and value is False:
                self.risen.pop(tag, None)

    def interpret(self, tag: TagRef, type_: ValueType, scaling: Scaling | None) -> None:
        """After a reload the raw value that was said may mean something else."""
        said = self.said.get(tag)
        if said is not None and said.scaling != scaling:
            self.said[tag] = replace(said, value=meant(said.raw, type_, scaling), scaling=scaling)

    def hear(self, status: Status) -> None:
        """What the source said last, each statement once."""
        source = self.said.get(status.window.source)
        if source is not None and source.batch is not status.heard_source:
            status.heard_source = source.batch
            self.hear_source(status, source)

    def hear_source(self, status: Status, said: Said) -> None:
        t, plausible = said.mono_ns, status.window.plausible
        if said.scaling != status.source_scaling:  # values before and after cannot be compared
            status.source_scaling = said.scaling
            status.heard, status.trusted, status.raw = [], [], NOTHING
        status.implausible = ""
        if not said.usable:
            status.moved_ns, status.trusted = t, []
            return
        if status.raw is NOTHING or status.raw != said.raw:
            status.moved_ns = t
        status.raw = said.raw
        if not self.fits(status, said.value):
            status.trusted = []
            return
        before = status.heard[-1] if status.heard else None
        if isinstance(said.value, Decimal):
            status.heard.append((t, said.value))
        if plausible is not None:
            status.implausible = self.doubt(status, said, before)
        if status.implausible:
            status.trusted = []
        elif isinstance(said.value, Decimal):
            status.trusted.append((t, said.value))

    def doubt(self, status: Status, said: Said, before: tuple[int, Decimal] | None) -> str:
        plausible = status.window.plausible
        assert plausible is not None
        v, t = said.value, said.mono_ns
        if isinstance(v, Decimal):
            if plausible.low is not None and v < written(plausible.low):
                return "implausible_range"
            if plausible.high is not None and v > written(plausible.high):
                return "implausible_range"
            if plausible.slope is not None and before is not None:
                step, took_ns = abs(v - before[1]), t - before[0]
                if took_ns > 0 and step * SECOND_NS > written(plausible.slope) * took_ns:
                    return "implausible_slope"
        if plausible.frozen_s is not None and t - status.moved_ns >= ns(plausible.frozen_s):
            return "frozen"
        return ""

    def fits(self, status: Status, value: Meant) -> bool:
        if status.discrete_only:
            return value is not None
        return is_number(value)

    # ---- whether it can be believed, and whether the window applies ----------------------------------------

    def trouble(self, ref: TagRef, status: Status) -> str:
        said = self.said.get(ref)
        if said is None:
            return "waiting"
        if not said.usable:
            return Quality(said.quality).name.lower()
        return "stale" if self.now_ns - said.mono_ns > ns(status.window.max_age_s) else ""

    def source_trouble(self, status: Status) -> str:
        source, target = status.window.source, status.window.target
        why = self.trouble(source, status)
        if not why and not self.fits(status, self.said[source].value):
            why = "not_a_number"
        if why or status.implausible:
            return why or status.implausible
        if isinstance(target, TagRef):
            why = self.trouble(target, status)
            if not why and not is_number(self.said[target].value):
                why = "not_a_number"
            if why:
                return f"target {why}"
        return ""

    def when_trouble(self, status: Status) -> str:
        when = status.window.when
        if when is None:
            return ""
        why = self.trouble(when, status)
        if not why and not isinstance(self.said[when].value, bool):
            why = "not_a_boolean"
        return f"when {why}" if why else ""

    def suppressed(self, status: Status) -> bool:
        """The condition is without trouble."""
        when = status.window.when
        if when is None:
            return False
        since_ns = self.risen.get(when)
        graced = since_ns is not None and self.now_ns - since_ns < ns(status.window.grace_s)
        return graced or not self.said[when].value

    def verdict(self, status: Status) -> tuple[str, str]:
        why = self.when_trouble(status)
        if why:
            return "unknown", why
        if self.suppressed(status):
            return "suppressed", "suppressed"
        why = self.source_trouble(status)
        return ("unknown", why) if why else ("", "")
