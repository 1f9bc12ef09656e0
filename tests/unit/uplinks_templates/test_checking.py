"""Every mistake in a template is found before anything is sent, at its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from edge_agent.testing.destination import ROWS, incident, segment
from edge_agent.uplinks.templates import About, Template, faults
from edge_agent.uplinks.templates.checking import MOST_LEVELS
from edge_agent.uplinks.templates.fields import BodyTemplate
from edge_agent.uplinks.templates.words import EVENTS, SAMPLES, parts


@pytest.mark.parametrize(
    ("structure", "path", "said"),
    [
        ({"v": "{{value}}", "a": {"b": ["{{valu}}"]}}, ("a", "b", 0), "did you mean {{value}}"),
        ({"{{tga}}": "{{value}}"}, ("{{tga}}",), "did you mean {{tag}}"),
        ({"v": "{{value}"}, ("v",), "braces"),
        ({"v": "{value}}"}, ("v",), "braces"),
        ({"v": "{{{{value}}}}"}, ("v",), "braces"),
        ({"v": "{{}}"}, ("v",), "no placeholder"),
        ({"v": "{{value.real}}"}, ("v",), "no placeholder"),
        ({"v": "{{__class__}}"}, ("v",), "no placeholder"),
        ({"v": "{{value}}", "k": "{{kind}}"}, ("k",), "no placeholder"),
        ({"$each": "batch", "v": "{{value}}"}, ("$each",), "outside of a list"),
        ([{"$each": "poll", "v": "{{value}}"}], (0, "$each"), "known: device, batch, sample"),
        ([{"$each": ["batch"], "v": "{{value}}"}], (0, "$each"), "known: device, batch, sample"),
        ([{"$if": "x", "v": "{{value}}"}], (0, "$if"), "means nothing"),
        ([{"$each": "batch", "v": "{{value}}"}], (0, "$each"), "per sample"),
        (
            {"t": "{{time_ms}}", "r": [{"$each": "batch", "{{tag}}": "{{value}}"}]},
            ("r", 0, "$each"),
            "per batch",
        ),
        ({"a": 1}, (), "no {{value}}"),
        ("text", (), "no {{value}}"),
        ({"v": "{{value}}", "n": float("nan")}, ("n",), "cannot stand in a JSON body"),
        ({"v": "{{value}}", "n": object()}, ("n",), "cannot stand in a JSON body"),
    ],
)  # fmt: skip
def test_mistakes(structure: Any, path: tuple[str | int, ...], said: str) -> None:
    (fault,) = faults(structure)
    assert fault.path == path
    assert said in fault.message.en
    assert fault.message.zh and fault.cure.en and fault.cure.zh


def test_all_mistakes_are_told_at_once() -> None:
    assert len(faults({"a": "{{x}}", "{{y}}": ["{{z}}"]})) == 3


def test_a_secret_that_is_not_given_is_a_mistake() -> None:
    structure = {"key": "{{secret}}", "v": "{{value}}"}
    assert faults(structure) == []
    (fault,) = faults(structure, has_secret=False)
    assert "'secret' key" in fault.message.en


def test_nesting_is_bounded() -> None:
    structure: Any = "{{value}}"
    for _ in range(MOST_LEVELS + 2):
        structure = [structure]
    assert "deeply" in faults(structure)[0].message.en


@pytest.mark.parametrize("word", SAMPLES)
def test_every_placeholder_of_samples_can_be_filled(word: str) -> None:
    structure = {"v": "{{value}}", "x": f"{{{{{word}}}}}"}
    assert faults(structure) == []
    for one in Template(structure).fill([segment(1, ROWS)], About("a", "l", 1, "s")):
        assert json.loads(one.encoded())["x"] is not None


@pytest.mark.parametrize("word", EVENTS)
def test_every_placeholder_of_events_can_be_filled(word: str) -> None:
    structure = {"k": "{{kind}}", "x": f"{{{{{word}}}}}"}
    assert faults(structure, events=True) == []
    (one,) = Template(structure, events=True).fill([incident(1)], About("a", "l", 1, "s"))
    assert json.loads(one.encoded())["x"] is not None


_leaf = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)
) | st.sampled_from(
    ["{{value}}", "{{tag}} {{unit}}", "{{time_ms}}", "{{device}}", "{{line}}", "{{", "{{nothing}}"]
)
_key = st.sampled_from(
    ["a", "b", "{{tag}}", "{{device}}", "{{device}}.{{tag}}", "{{time_ms}}", "$each", "$x"]
)
_structures = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_key, inner | st.sampled_from(
        ["device", "batch", "sample"]), max_size=4), max_leaves=12,
)  # fmt: skip


@given(_structures)
def test_a_structure_is_refused_or_can_be_filled(structure: Any) -> None:
    """Nothing that passes the check fails later, but for a name that stands twice."""
    if faults(structure):
        return
    for missing in ("omit", "null"):
        try:
            for one in Template(structure, missing=missing).fill([segment(1, ROWS), incident(2)], About()):
                json.loads(one.encoded())
        except ValueError as error:
            assert "stands twice" in str(error)


@given(st.text(alphabet="{} abc", max_size=30))
def test_text_is_parted_without_loss(text: str) -> None:
    try:
        found = parts(text)
    except ValueError:
        return
    rest = text
    for before, word in found:
        assert rest.startswith(before)
        rest = rest[len(before) :]
        if word:
            rest = rest[rest.index("}}") + 2 :]
    assert rest == ""


# from a file

BODY: Any = TypeAdapter(BodyTemplate)


def read(tmp_path: Path, name: str, text: str) -> Any:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return BODY.validate_python(name, context={"directory": tmp_path})


def refused(tmp_path: Path, name: str, text: str) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        read(tmp_path, name, text)
    return [error["msg"] for error in caught.value.errors(include_url=False)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "b.json.template",
            '[\n\t{"$each": "batch", "ts": "{{time_ms}}", "values": {"{{tag}}": "{{value}}"}}\n]',
        ),
        ("b.json", '\ufeff[{"$each":"batch","ts":"{{time_ms}}","values":{"{{tag}}":"{{value}}"}}]'),
        ("b.yaml", '- $each: batch\n  ts: "{{time_ms}}"\n  values: {"{{tag}}": "{{value}}"}\n'),
    ],
)  # fmt: skip
def test_a_file_holds_json_or_yaml(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, name, text) == [
        {"$each": "batch", "ts": "{{time_ms}}", "values": {"{{tag}}": "{{value}}"}}
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("b.json.template", '{"v": "{{value}}",\n  "t": "{{tme_ms}}"}', "b.json.template:2:8: {{tme_ms}}"),
        ("b.json.template", '{"v": "{{value}}",\n  "{{x}}": 1}', "b.json.template:2:3: {{x}}"),
        ("b.json.template", '{"v": "{{value}}"\n  "t": 1}', "b.json.template:2:3: not JSON"),
        ("b.json.template", '{"v": "{{value}}", "n": NaN}', "b.json.template:1:1: not JSON"),
        ("b.json.template", '{"v": "{{value}}",\n "v": 1}', "b.json.template:2:2: 'v' stands twice"),
        ("b.yaml", 'v: {{value}}\n', "b.yaml:1:5: a key must be text"),
        ("b.yaml", 'v: "{{value}}"\nw: "{{vlue}}"\n', "b.yaml:2:4: {{vlue}}"),
        ("b.yaml", 'v: &a ["{{value}}"]\nw: *a\n', "an alias"),
        ("b.yaml", "", "b.yaml:1:1: the file is empty"),
        ("b.yaml", "v: [\n", "b.yaml:2:1: "),
        ("b.json.template", '{"a": 1}', "b.json.template:1:1: no {{value}}"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_names_line_and_column(tmp_path: Path, name: str, text: str, said: str) -> None:
    (message,) = refused(tmp_path, name, text)
    assert said in message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"absent\.json cannot be read: No such file"):
        BODY.validate_python("absent.json", context={"directory": tmp_path})
    (tmp_path / "gbk.json").write_bytes('{"v": "压力"}'.encode("gbk"))
    with pytest.raises(ValidationError, match="not UTF-8"):
        BODY.validate_python("gbk.json", context={"directory": tmp_path})


def test_the_loader_reads_the_file_so_that_it_is_in_the_snapshot(tmp_path: Path) -> None:
    asked = []

    def read_named(name: str) -> bytes:
        asked.append(name)
        return b'{"v": "{{value}}"}'

    assert BODY.validate_python("b.json", context={"directory": tmp_path, "read": read_named}) == {
        "v": "{{value}}"
    }
    assert asked == ["b.json"]
