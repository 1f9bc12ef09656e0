"""The half of the driver contract that needs no device: settings, ``check``, ``plan``, ``reserve``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from pydantic import ValidationError

from edge_agent.driver import API_VERSION, DeviceSettings, DriverPlugin, Plan, Reserved
from edge_agent.model import Quality, Tag, ValueType
from edge_agent.settings import Text
from edge_agent.testing.driver_checks import assert_served, assert_shape, assert_speaks

MANY = 70_000
"""More elements than most address spaces have."""

_ODD_ADDRESSES = ("", " ", "?", "：１", "-1", "1e9", "\x00", "40001 40002", "9" * 400, "hr:", "DB", "ns=;s=")


class PluginContract:
    """``tags``: good tags of the served device, three at least. ``mistakes``: one tag per kind of mistake;
    their names must differ from each other and from those of ``tags``.

    ``typed``: for a plug-in with ``types``, an address for every one of them. Left empty, those of ``tags``
    that have a ``wire`` stand for them.
    """

    plugin: ClassVar[DriverPlugin]
    tags: ClassVar[tuple[Tag, ...]]
    mistakes: ClassVar[tuple[Tag, ...]]
    typed: ClassVar[Mapping[str, str]] = {}

    def valid_settings(self) -> Mapping[str, Any]:
        """Keys of a device as a technician writes them, without those of the loader. Nothing is connected."""
        raise NotImplementedError("give the suite valid_settings()")

    def settings(self, keys: Mapping[str, Any] | None = None) -> DeviceSettings:
        return self.plugin.settings.model_validate(dict(self.valid_settings() if keys is None else keys))

    def planned(self, settings: DeviceSettings, limits: Any = None) -> Plan:
        return self.plugin.plan(settings, self.tags, limits, None)

    def reserved(self) -> Reserved:
        """What ``prove`` is given on streams without transaction ids: by default what the plug-in reserves
        beside one plan of all tags."""
        if self.plugin.reserve is None:
            return Reserved()
        settings = self.settings()
        return self.plugin.reserve(settings, [self.planned(settings)])

    def identity(self, body: Any, count: int | None = None) -> Any:
        """For a plug-in with ``reserve``: all that a reply shows of its request on a stream without
        transaction ids. ``count``: as if so much was asked."""
        asked = getattr(body, "count", None) if count is None else count
        return getattr(body, "function", None), asked

    # The plug-in itself

    def test_plugin_declares_this_contract(self) -> None:
        plugin = self.plugin
        assert isinstance(plugin, DriverPlugin), f"PLUGIN is a {type(plugin).__name__}, not a DriverPlugin"
        assert plugin.api == API_VERSION, f"made for contract {plugin.api}, this agent has {API_VERSION}"
        assert issubclass(plugin.settings, DeviceSettings), "settings must derive from driver.DeviceSettings"
        missing = plugin.link_options - set(plugin.settings.model_fields)
        assert not missing, f"link_options names keys the settings do not have: {sorted(missing)}"

    def test_equal_settings_have_equal_link_keys(self) -> None:
        first, second = (self.plugin.link_key(self.settings()) for _ in range(2))
        assert isinstance(first, str) and first, f"link_key gave {first!r}, expected a non-empty string"
        assert first == second, f"equal settings gave the link keys {first!r} and {second!r}"

    def test_an_unknown_key_is_refused(self) -> None:
        try:
            self.settings({**self.valid_settings(), "no_such_key": 1})
        except ValidationError:
            return
        pytest.fail(
            "the settings model accepted a key it does not know: a typing mistake would pass silently"
        )

    # check

    def test_check_accepts_the_good_tags(self) -> None:
        found = [p for p in self.plugin.check(self.settings(), self.tags) if not p.warning]
        assert not found, f"check refused good tags: {[(p.path, p.message.en) for p in found]}"

    def test_check_finds_every_mistake_at_once(self) -> None:
        problems = self.plugin.check(self.settings(), [*self.tags, *self.mistakes])
        blamed = {p.path[1] for p in problems if len(p.path) > 1 and p.path[0] == "tags" and not p.warning}
        unseen = [tag.name for tag in self.mistakes if tag.name not in blamed]
        assert not unseen, f"check did not report the mistakes in the tags {unseen}"
        innocent = [tag.name for tag in self.tags if tag.name in blamed]
        assert not innocent, f"check blamed good tags because others are wrong: {innocent}"
        for problem in problems:
            assert_speaks(problem)

    def test_check_never_raises(self) -> None:
        tags = [Tag(f"t{i}", text, kind) for i, text in enumerate(_ODD_ADDRESSES) for kind in ValueType]
        for tag in tags:
            try:
                self.plugin.check(self.settings(), [tag])
            except Exception as error:  # noqa: BLE001 whatever it is, the author must see the address
                pytest.fail(f"check raised {error!r} for the address {tag.address!r} as {tag.type}")

    # plan and decode, without a device

    def test_plan_is_pure(self) -> None:
        before = tuple(self.tags)
        first, second = self.planned(self.settings()), self.planned(self.settings())
        assert first.requests == second.requests, "equal inputs gave different requests"
        assert tuple(self.tags) == before, "plan changed the tags it was given"

    def test_plan_of_nothing_is_empty(self) -> None:
        plan = self.plugin.plan(self.settings(), (), None, None)
        assert plan.requests == (), f"no tags need {len(plan.requests)} requests"
        columns = plan.decode(())
        assert (columns.values, columns.quality) == ((), b""), "no tags, yet decode gave columns"

    def test_every_tag_is_served(self) -> None:
        assert_served(self.planned(self.settings()), self.tags)

    def test_requests_can_be_read_by_people(self) -> None:
        for request in self.planned(self.settings()).requests:
            assert request.text, f"a request for tags {request.tags} has no text for explain and debug output"
            assert request.cost_s >= 0, f"{request.text}: negative cost {request.cost_s}"

    @pytest.mark.parametrize("quality", [Quality.BAD_COMM, Quality.BAD_ADDRESS, Quality.WAITING])
    def test_failed_requests_give_their_quality_and_no_value(self, quality: Quality) -> None:
        plan = self.planned(self.settings())
        columns = plan.decode([quality] * len(plan.requests))
        assert_shape(columns, len(self.tags))
        assert set(columns.values) == {None}, f"values without any reply: {columns.values}"
        wrong = [t.name for t, q in zip(self.tags, columns.quality, strict=True) if q != quality]
        assert not wrong, f"{quality.name} was not passed on to {wrong}"

    # types, elements, reserve, subscribed

    def test_types_are_names_beyond_the_agents_own(self) -> None:
        for name, kind in self.plugin.types.items():
            assert name and name == name.strip().lower(), f"a technician cannot write the type {name!r}"
            assert name not in set(ValueType), f"the type {name} is the agent's own"
            assert isinstance(kind, ValueType), f"the type {name} decodes to {kind!r}, expected a ValueType"

    def test_tags_of_every_type_are_accepted_and_planned(self) -> None:
        tags = [
            Tag(f"typed_{wire}", address, self.plugin.types[wire], wire=wire, length=8)
            for wire, address in self.typed.items()
        ]
        unseen = set(self.plugin.types) - set(self.typed)
        assert not tags or not unseen, f"typed has no address for the types {sorted(unseen)}"
        tags = tags or [tag for tag in self.tags if tag.wire]
        found = [p for p in self.plugin.check(self.settings(), tags) if not p.warning]
        assert not found, f"check refused good tags: {[(p.path, p.message.en) for p in found]}"
        plan = self.plugin.plan(self.settings(), tags, None, None)
        assert_served(plan, tags)
        columns = plan.decode([Quality.BAD_COMM] * len(plan.requests))
        assert_shape(columns, len(tags))

    def test_elements_of_an_array_are_addresses(self) -> None:
        if self.plugin.elements is None:
            return
        arrays = 0
        for tag in self.tags:
            try:
                addresses = list(self.plugin.elements(self.settings(), tag, 3))
            except ValueError:
                continue
            arrays += 1
            assert len(set(addresses)) == 3, f"3 elements from {tag.address} are {addresses}"
            parts = [replace(tag, name=f"{tag.name}[{i}]", address=a) for i, a in enumerate(addresses)]
            found = [p for p in self.plugin.check(self.settings(), parts) if not p.warning]
            assert not found, f"check refused elements of {tag.address}: {[p.message.en for p in found]}"
            assert_served(self.plugin.plan(self.settings(), parts, None, None), parts)
        assert arrays, "none of the tags can be the first element of an array"

    def test_elements_beyond_the_address_space_are_a_value_error(self) -> None:
        for tag in self.tags if self.plugin.elements is not None else ():
            try:
                addresses = self.plugin.elements(self.settings(), tag, MANY)  # type: ignore[misc]
            except ValueError as error:
                assert str(error), f"elements of {tag.address}: a ValueError without a sentence for a person"
                continue
            except Exception as error:  # noqa: BLE001 whatever it is, the author must see the address
                pytest.fail(f"elements raised {error!r} for {MANY} elements from {tag.address!r}")
            assert len(set(addresses)) == MANY, (
                f"{MANY} elements from {tag.address} are not so many addresses"
            )

    def test_reserved_identities_are_in_no_plan(self) -> None:
        if self.plugin.reserve is None:
            return
        settings = self.settings()
        groups = [self.tags[::2], self.tags[1::2]]
        plans = [self.plugin.plan(settings, tags, None, None) for tags in groups]
        reserved = self.plugin.reserve(settings, plans)
        assert reserved == self.plugin.reserve(settings, plans), "reserve is not pure"
        used = {self.identity(request.body) for plan in plans for request in plan.requests}
        assert len(set(reserved.counts)) == len(reserved.counts), f"counts come twice: {reserved.counts}"
        for count in reserved.counts:
            assert count > 0, f"count {count} asks for nothing"
            same = self.identity(reserved.request, count)
            assert same not in used, f"a reply to a probe with count {count} may be that of a poll: {same}"
        assert not self.plugin.reserve(settings, []).counts, (
            "counts of a station that is never asked anything"
        )

    # unwritable

    def test_unwritable_answers_for_every_tag(self) -> None:
        """It never raises, not even for addresses that ``check`` refuses."""
        if self.plugin.unwritable is None:
            return
        odd = [replace(tag, address=address) for tag in self.tags for address in _ODD_ADDRESSES]
        for tag in (*self.tags, *self.mistakes, *odd):
            reason = self.plugin.unwritable(self.settings(), tag)
            assert reason is None or isinstance(reason, Text), f"unwritable gave {reason!r} for {tag.name}"
            assert reason is None or (reason.en and reason.zh), (
                f"{tag.name}: the reason is missing in one language"
            )

    def test_subscribed_names_groups(self) -> None:
        groups = self.plugin.subscribed(self.settings())
        assert isinstance(groups, frozenset), f"subscribed gave {groups!r}, expected a frozenset"
        assert all(isinstance(group, str) and group for group in groups), f"subscribed gave {groups!r}"
