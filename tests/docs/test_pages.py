"""What the pages say, compared with the program: links, verbs, options, keys, columns, metrics, alerts.
And both languages compared with each other."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import pytest
import yaml

from edge_agent.buffer.ledger import TAKEN_BACK
from edge_agent.cli.root import ROOT as COMMANDS
from edge_agent.config.columns import COLUMNS
from edge_agent.settings import parse_duration, parse_size
from tests.docs.markdown import CHINESE, ROOT, Block, Page, codes, page, pages, pairs

OUR_FOLDERS = ("config", "docs", "drivers", "edge_agent", "hardware_mocks", "systemd", "tests")


def _name(value: Page) -> str:
    return value.name


# Links and names of files


@pytest.mark.parametrize("shown", pages(), ids=_name)
def test_links_lead_somewhere(shown: Page) -> None:
    for line, target in shown.links():
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (shown.path.parent / unquote(name)).resolve() if name else shown.path
        assert path.exists(), f"{shown.name}:{line}: {target} does not exist"
        if anchor and path.suffix == ".md":
            known = page(path).anchors()
            assert unquote(anchor) in known, (
                f"{shown.name}:{line}: no heading for #{anchor}; there are {sorted(known)}"
            )


@pytest.mark.parametrize("shown", pages(), ids=_name)
def test_files_that_are_named_exist(shown: Page) -> None:
    for line, text in shown.code():
        if re.fullmatch(rf"(?:{'|'.join(OUR_FOLDERS)})/[\w./-]+", text) and text == text.lower():
            assert (ROOT / text).exists(), f"{shown.name}:{line}: `{text}` does not exist"


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for _, target in page(index).links()}
    folders = (ROOT, ROOT / "docs", ROOT / "systemd", *(ROOT / "drivers").iterdir())
    wanted = {p.path for p in pages() if p.path.parent in folders and p.path != index}
    assert wanted - linked == set()


@pytest.mark.parametrize("shown", pages(), ids=_name)
def test_nobody_is_sent_to_a_stranger(shown: Page) -> None:
    """The name belongs to somebody else on the public index; this project lives in its repository."""
    assert not re.search(
        r"pip3? install[^\n`]*\bedge[-_]agent\b(?!/)", shown.path.read_text(encoding="utf-8")
    )


# Both languages


@pytest.mark.parametrize(("english", "chinese"), pairs(), ids=_name)
def test_both_languages_have_the_same_sections(english: Page, chinese: Page) -> None:
    assert [level for level, _ in english.headings] == [level for level, _ in chinese.headings]


@pytest.mark.parametrize(("english", "chinese"), pairs(), ids=_name)
def test_both_languages_have_the_same_blocks(english: Page, chinese: Page) -> None:
    """To the letter, but for comments and for what a program prints or a drawing shows."""
    assert [(b.language, b.mark) for b in english.blocks] == [(b.language, b.mark) for b in chinese.blocks]
    for ours, theirs in zip(english.blocks, chinese.blocks, strict=True):
        if ours.language not in ("", "text"):
            place = f"{english.name}:{ours.line}, {chinese.name}:{theirs.line}"
            assert _without_comments(ours) == _without_comments(theirs), place


@pytest.mark.parametrize(("english", "chinese"), pairs(), ids=_name)
def test_both_languages_have_the_same_tables(english: Page, chinese: Page) -> None:
    sizes = [[len(table) for table in shown.tables()] for shown in (english, chinese)]
    assert sizes[0] == sizes[1]


def _without_comments(block: Block) -> list[str]:
    lines = (re.sub(r"(^|\s)#.*", "", line).rstrip() for line in block.text.splitlines())
    return [line for line in lines if line]


# Commands


def _commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield before + name, command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{before}{name} ")


@pytest.mark.parametrize("name", ["README.md", f"README{CHINESE}"])
def test_every_verb_is_in_the_table_of_commands(name: str) -> None:
    first = [codes(row[0]) for table in page(ROOT / name).tables() for row in table]
    shown = {
        re.sub(r" [A-Z\[].*", "", c.removeprefix("edge-agent "))
        for cell in first
        for c in cell[:1]
        if "edge-agent " in c
    }
    assert shown == {words for words, _ in _commands(COMMANDS)}


@pytest.mark.parametrize("shown", pages(), ids=_name)
def test_commands_are_spelt_as_the_program_knows_them(shown: Page) -> None:
    """Also those that are not run: in a sentence, or in a block for root."""
    for line, text in _mentioned(shown):
        try:
            words = shlex.split(text, comments=True)
        except ValueError:  # a quotation mark that is an apostrophe
            continue
        for position, word in enumerate(words):
            if word.rpartition("/")[2] == "edge-agent" and _is_called(words[:position]):
                _check(words[position + 1 :], f"{shown.name}:{line}: {text}")


def _mentioned(shown: Page) -> Iterator[tuple[int, str]]:
    lines = [
        *shown.code(),
        *((b.line + n, x) for b in shown.blocks for n, x in enumerate(b.text.splitlines())),
    ]
    yield from ((number, text) for number, text in lines if "edge-agent " in text)


def _is_called(before: list[str]) -> bool:
    """Not an argument, as in `systemctl reload edge-agent`."""
    return not before or before[-1] in ("&&", "--", "|", ";") or before[0] == "sudo"


def _check(words: list[str], place: str) -> None:
    command: click.Command = COMMANDS
    for word in words:
        if word in ("&&", "|", "&", ";", "...") or re.match(r"\d?>", word):
            return
        if word.startswith("-") and word != "-":
            known = {name for parameter in command.params for name in parameter.opts} | {"--help", "-h"}
            assert word.partition("=")[0] in known, f"{place}: {word} is none of {sorted(known)}"
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z-]+", word):
            found = command.get_command(click.Context(command), word)
            assert found is not None, f"{place}: there is no verb {word!r}"
            command = found


# Keys and columns of the configuration


def _objects() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(what, its properties) for every object of the configuration, from the JSON Schemas."""
    agent = json.loads((ROOT / "config/schema/edge-agent.schema.json").read_text(encoding="utf-8"))
    device = json.loads((ROOT / "config/schema/device.schema.json").read_text(encoding="utf-8"))
    yield "edge-agent.yaml", agent["properties"]
    for name in ("web", "buffer"):
        yield name, _resolved(agent["properties"][name], agent)["properties"]
    items = _resolved(agent["properties"]["uplinks"], agent)["items"]
    for kind in items.get("oneOf") or items.get("anyOf") or [items]:
        found = _resolved(kind, agent)["properties"]
        yield f"uplink, type {found['type'].get('const')}", found
    for kind in device["oneOf"]:
        yield f"device, driver {kind['title']}", kind["properties"]
    yield "window", device["$defs"]["common.WindowFile"]["properties"]


def _resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    for reference in (schema.get("$ref"), *(part.get("$ref") for part in schema.get("anyOf", ()))):
        if reference:
            found: Mapping[str, Any] = whole["$defs"][reference.rpartition("/")[2]]
            return found
    return schema


@pytest.mark.parametrize("ending", [".md", CHINESE])
@pytest.mark.parametrize("what", [what for what, _ in _objects()])
def test_every_key_is_documented_with_its_default(what: str, ending: str) -> None:
    """A table whose first column holds nothing but keys of that object counts; together they hold all."""
    properties = dict(_objects())[what]
    found: dict[str, str] = {}
    own = what.replace(", type ", "-")  # a kind of uplink may have a page of its own
    names = ["configuration", "first-device", *([own] if (ROOT / f"docs/{own}.md").exists() else [])]
    for name in names:
        for table in page(ROOT / "docs" / f"{name}{ending}").tables():
            shown = {key: row[1] for row in table for key in codes(row[0])}
            if shown.keys() <= properties.keys():
                found |= shown
    assert found.keys() == properties.keys()
    wrong = {
        key: cell for key, cell in found.items() if not _is_default(cell, properties[key].get("default"))
    }
    assert not wrong, {key: properties[key].get("default") for key in wrong}


def _is_default(cell: str, default: object) -> bool:
    """Whether the table says so. Nothing to say of a key that has none, or whose default is "nothing"."""
    if default in (None, "", [], {}):
        return True
    for text in codes(cell):
        if text == (str(default).lower() if isinstance(default, bool) else str(default)):
            return True
        for parse in (parse_duration, parse_size, float):
            with contextlib.suppress(ValueError):
                if parse(text) == default:
                    return True
    return False


@pytest.mark.parametrize("ending", [".md", CHINESE])
def test_every_column_is_documented(ending: str) -> None:
    tables = list(page(ROOT / "docs" / f"configuration{ending}").tables())
    found = next(t for t in tables if {"name", "address"} <= {key for row in t for key in codes(row[0])})
    assert {key for row in found for key in codes(row[0])} == set(COLUMNS)
    if ending == CHINESE:
        names = {name for row in found for name in re.split("[、；]", row[1])}
        assert names == {name for others in COLUMNS.values() for name in others}


# Metrics and alerts


@cache
def _exposed() -> dict[str, tuple[str, set[str]]]:
    """Name -> type and labels, as an agent with everything on its board exposes them."""
    found: dict[str, tuple[str, set[str]]] = {}
    for line in (ROOT / "tests/unit/metrics/golden.prom").read_text(encoding="utf-8").splitlines():
        if kind := re.match(r"# TYPE (edgeagent_\S+) (\S+)", line):
            labels: set[str] = set()
            found[kind[1]] = kind[2], labels
        elif found and not line.startswith("#"):
            labels |= set(re.findall(r'[{,](\w+)="', line)) - {"le"}
    return found


@pytest.mark.parametrize("name", ["metrics.md", f"metrics{CHINESE}"])
def test_every_metric_is_documented_with_type_and_labels(name: str) -> None:
    rows = [row for table in page(ROOT / "docs" / name).tables() for row in table]
    assert len({row[0] for row in rows}) == len(rows), "a metric stands in the table twice"
    assert {codes(row[0])[0]: (row[1], set(codes(row[2]))) for row in rows} == _exposed()


@pytest.mark.parametrize("name", ["operations.md", f"operations{CHINESE}"])
def test_every_alert_is_explained(name: str) -> None:
    rules = yaml.safe_load((ROOT / "config/prometheus/edge-agent.rules.yml").read_text(encoding="utf-8"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    cells = [row[0] for table in page(ROOT / "docs" / name).tables() for row in table]
    assert {text for cell in cells for text in codes(cell) if re.fullmatch(r"Edge[A-Z]\w+", text)} == alerts


@pytest.mark.parametrize("name", ["operations.md", f"operations{CHINESE}"])
def test_every_reason_of_the_ledger_is_explained(name: str) -> None:
    golden = (ROOT / "tests/unit/metrics/golden.prom").read_text(encoding="utf-8")
    reasons = set(re.findall(r'^edgeagent_buffer_los\w+{reason="(\w+)"}', golden, re.M))
    tables = [{text for row in t for text in codes(row[0])} for t in page(ROOT / "docs" / name).tables()]
    assert {*reasons, *TAKEN_BACK} in tables


def test_the_targets_of_make_exist() -> None:
    made = set(re.findall(r"^([a-z-]+):", Path(ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for shown in pages():
        for line, text in [*shown.code(), *((b.line, w) for b in shown.blocks for w in b.text.splitlines())]:
            for target in re.findall(r"(?:^|&& )make ([a-z-]+)", text):
                assert target in made, f"{shown.name}:{line}: make {target}"
