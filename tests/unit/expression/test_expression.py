"""The language: every mistake with its column and cure, units, exactness, what is undefined."""

from __future__ import annotations

import math
import pickle
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.expression import (
    Definition,
    Formula,
    Mistake,
    Operand,
    compile_formula,
    compile_together,
)
from edge_agent.expression import mistakes as m
from edge_agent.expression.parser import MAX_LENGTH
from edge_agent.expression.rating import UNDEFINED
from edge_agent.expression.units import unit
from edge_agent.model import Quality, ValueType

FLOAT, INT, BOOL, TEXT = ValueType.FLOAT64, ValueType.INT64, ValueType.BOOL, ValueType.STRING


def operand(name: str, type_: ValueType = FLOAT, unit_: str = "", counter: bool = False) -> Operand:
    return Operand(f"d.{name}", type_, unit_, counter, 1.0)


TAGS = {
    "energy": operand("energy", FLOAT, "kWh", counter=True),
    "mass": operand("mass", INT, "kg", counter=True),
    "water": operand("water", FLOAT, "m³", counter=True),
    "temp": operand("temp", FLOAT, "°C"),
    "temp_f": operand("temp_f", FLOAT, "°F"),
    "p": operand("p", FLOAT, "MPa"),
    "run": operand("run", BOOL),
    "recipe": operand("recipe", TEXT),
    "a": operand("a", INT),
    "b": operand("b", INT),
    "a-b": operand("a-b", INT),
    "press-1.p": operand("press-1.p", FLOAT, "bar"),
    "1号炉温度": operand("1号炉温度", FLOAT, "°C"),
    "quick": Operand("d.quick", FLOAT, "", False, 0.01),
}


def made(text: str, wanted: str | None = None) -> Formula:
    found = compile_formula(text, TAGS, wanted)
    assert isinstance(found, Formula), found
    return found


def wrong(text: str, wanted: str | None = None, *, spans: bool = True) -> list[Mistake]:
    found = compile_formula(text, TAGS, wanted, spans=spans)
    assert isinstance(found, list), found
    return found


def value(text: str, wanted: str | None = None, **values: Any) -> Any:
    formula = made(text, wanted)
    read = [
        values[slot.name.removeprefix("d.").replace("-", "_").replace(".", "_")] for slot in formula.slots
    ]
    found, quality = formula.evaluate(read, [0] * len(read))
    assert (found is None) == (quality == UNDEFINED)
    return found


DEEP = "(" * 33 + "a" + ")" * 33
MISTAKES: list[tuple[str, str | None, m.Kind, int]] = [
    ("", None, m.EMPTY, 1),
    ("  ", None, m.EMPTY, 1),
    ("a+" * MAX_LENGTH + "a", None, m.TOO_LONG, MAX_LENGTH + 1),
    (DEEP, None, m.TOO_DEEP, 33),
    ("-" * 50 + "a", None, m.TOO_DEEP, 33),
    ("not " * 50 + "run", None, m.TOO_DEEP, 129),
    ("+".join(["a"] * 60), None, m.TOO_DEEP, 1),
    ("abs(" * 40 + "a" + ")" * 40, None, m.TOO_DEEP, 132),
    ("a ? b", None, m.CHARACTER, 3),
    ("a = b", None, m.CHARACTER, 3),
    ("a ^ 2", None, m.CHARACTER, 3),
    ("'a'", None, m.CHARACTER, 1),
    ("__import__('os')", None, m.CHARACTER, 12),
    ("a.__class__", None, m.UNKNOWN_NAME, 1),
    ("1.2.3 + a", None, m.NUMBER, 1),
    ("a + 1e999", None, m.NUMBER, 5),
    ("a + . ", None, m.NUMBER, 5),
    ("a +", None, m.EXPECTED, 4),
    ("a * / b", None, m.EXPECTED, 5),
    ("()", None, m.EXPECTED, 2),
    ("a b", None, m.UNEXPECTED, 3),
    ("a)", None, m.UNEXPECTED, 2),
    ("a, b", None, m.UNEXPECTED, 2),
    ("2 (a)", None, m.UNEXPECTED, 3),
    ("(a", None, m.UNCLOSED, 1),
    ("max(a, b", None, m.UNCLOSED, 4),
    ("a * 3 [kg", None, m.UNCLOSED, 7),
    ("a < b < a", None, m.CHAINED, 7),
    ("energi / mass", None, m.UNKNOWN_NAME, 1),
    ("5 m3/t * mass", None, m.UNKNOWN_NAME, 6),
    ("a-b", None, m.AMBIGUOUS, 1),
    ("averag(a, b)", None, m.UNKNOWN_FUNCTION, 1),
    ("if(run, a)", None, m.ARGUMENTS, 1),
    ("clamp(a)", None, m.ARGUMENTS, 1),
    ("delta(energy)", None, m.ARGUMENTS, 1),
    ("max()", None, m.ARGUMENTS, 1),
    ("1 + 2", None, m.NO_TAG, 1),
    ("recipe + 1", None, m.TEXT_TAG, 1),
    ("run * 2", None, m.NOT_NUMBER, 1),
    ("-run", None, m.NOT_NUMBER, 2),
    ("max(run, true)", None, m.NOT_NUMBER, 5),
    ("max(run, 10s)", None, m.NOT_NUMBER, 5),
    ("not a", None, m.NOT_BOOL, 5),
    ("a and run", None, m.NOT_BOOL, 1),
    ("if(a, 1, 2)", None, m.NOT_BOOL, 4),
    ("if(run, a, run)", None, m.MIXED, 1),
    ("run == a", None, m.MIXED, 1),
    ("energy + mass", None, m.UNITS, 1),
    ("temp > 5", None, m.UNITS, 1),
    ("temp == 300 K", None, m.UNITS, 1),
    ("clamp(temp, 0, 100 °C)", None, m.UNITS, 7),
    ("5 - temp", None, m.UNITS, 1),
    ("energy / mass", "kWh/m3", m.RESULT_UNIT, 1),
    ("temp", "K", m.RESULT_UNIT, 1),
    ("temp * 2", None, m.SCALE, 1),
    ("a / temp", None, m.SCALE, 5),
    ("temp + temp", None, m.SCALE, 8),
    ("-temp", None, m.SCALE, 2),
    ("temp ** 2", None, m.SCALE, 1),
    ("sum(temp, temp)", None, m.SCALE, 5),
    ("sum(temp, 10min)", None, m.SCALE, 5),
    ("abs(temp)", None, m.SCALE, 5),
    ("a ** b", None, m.EXPONENT, 6),
    ("a ** 2.5", None, m.EXPONENT, 6),
    ("a ** 10", None, m.EXPONENT, 6),
    ("rate(energy, mass)", None, m.WINDOW, 14),
    ("delta(energy, 5)", None, m.WINDOW, 15),
    ("avg(p, 100ms)", None, m.WINDOW_LENGTH, 8),
    ("delta(energy, 2d)", None, m.WINDOW_LENGTH, 15),
    ("avg(quick, 10min)", None, m.WINDOW_LENGTH, 12),
    ("avg(p, 10)", None, m.SPAN_UNIT, 8),
    ("avg(run, 10)", None, m.SPAN_UNIT, 10),
    ("max(p, 10.5)", None, m.SPAN_UNIT, 8),
    ("min(temp, 5)", None, m.SPAN_UNIT, 11),
    ("a / 0", None, m.DIVISION, 5),
    ("a / (5 - 2 - 3)", None, m.DIVISION, 6),
    ("p / 0 MPa + a / (1 - 1)", None, m.DIVISION, 5),
    ("a + 0 ** -2", None, m.DIVISION, 5),
    ("delta(energy + 1 kWh, 1h)", None, m.OVER_TAG, 7),
    ("delta(p, 1h)", None, m.COUNTER, 7),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted", "kind", "column"), MISTAKES, ids=lambda v: str(v)[:30])
def test_every_mistake_tells_place_cause_and_cure(
    text: str, wanted: str | None, kind: m.Kind, column: int
) -> None:
    found = wrong(text, wanted)
    assert (kind.code, column) in [(f.code, f.column) for f in found]
    for mistake in found:
        for said in (mistake.message.en, mistake.message.zh, mistake.cure.en, mistake.cure.zh):
            assert said.strip() and not re.search(r"[{}]", said.replace("{", "", text.count("{")))
        assert mistake.message.en != mistake.message.zh
        assert mistake.length >= 1 and 1 <= mistake.column <= len(text) + 1
        problem = mistake.problem(("derived", 0, "value"))
        assert (
            f"column {mistake.column}" in problem.message.en
            and f"第 {mistake.column} 列" in problem.message.zh
        )


def test_every_kind_of_mistake_is_tested() -> None:
    kinds = {v.code for v in vars(m).values() if isinstance(v, m.Kind)}
    told_elsewhere = {m.CYCLE.code, m.SPAN_OF_TOTAL.code}
    assert kinds == {kind.code for _, _, kind, _ in MISTAKES} | told_elsewhere


def test_all_mistakes_are_told_at_once() -> None:
    found = wrong("energi + foo(recipe) * temp and (a +")
    assert [f.code for f in found] == [
        "E-FORMULA-NAME", "E-FORMULA-FUNCTION", "E-FORMULA-TEXT", "E-FORMULA-UNCLOSED", "E-FORMULA-EXPECTED",
    ]  # fmt: skip
    assert "Did you mean 'energy'?" in found[0].message.en and "是否想写 'energy'" in found[0].message.zh


def test_a_mismatch_names_both_places_and_units() -> None:
    (found,) = wrong("energy * 2 + mass / 3")
    assert "'energy * 2' (column 1) is kWh" in found.message.en
    assert "'mass / 3' (column 14) is kg" in found.message.en
    assert "第 14 列" in found.message.zh
    (found,) = wrong("p > 0.5")
    assert "0.5 MPa" in found.cure.en and "0.5 MPa" in found.cure.zh
    (found,) = wrong("energy / mass > 3.2")
    assert "3.2 [kWh/kg]" in found.cure.en


@pytest.mark.parametrize(
    ("text", "en", "zh"),
    [
        ("avg(p, 10)", "Write avg(p, 10min)", "请写成 avg(p, 10min)"),
        ("max(p, 10)", "Write max(p, 10min); with a value instead: max(p, 10 MPa)", "max(p, 10 MPa)"),
        ("min(temp, 5)", "with a value instead: min(temp, 5 °C)", "min(temp, 5 °C)"),
        ("avg(p, 100ms)", "Write 1s or more", "1s 或更长"),
        ("avg(p, 2d)", "For longer times use the totals", "日统计值"),
        ("energy.day * 2", "A window may name a total ('tag: energy.day')", "窗口可以引用累计值"),
        ("delta(p, 1h)", "A value in MPa is no meter register: use avg(p, 1h)", "不是表计寄存器"),
        ("delta(a, 1h)", "List it under 'counters'", "在 counters 下"),
    ],
)
def test_the_cure_is_for_what_was_probably_meant(text: str, en: str, zh: str) -> None:
    (found,) = wrong(text)
    assert en in found.cure.en and zh in found.cure.zh
    assert "Did you mean" not in found.message.en


@pytest.mark.parametrize("text", ["x.day", "line.x.day", "x.month.coverage", "delta(x.hour, 1h)"])
def test_totals_are_told_apart_from_tags_that_do_not_exist(text: str) -> None:
    (found,) = wrong(text)
    assert found.code == m.UNKNOWN_NAME.code and "total of a period" in found.message.en


def test_a_misspelt_tag_whose_name_ends_like_a_total_is_no_total() -> None:
    known = {"press.idle.day": Operand("press.idle.day", ValueType.FLOAT64)}
    made = compile_formula("press.idel.day", known)
    assert isinstance(made, list) and "Did you mean 'press.idle.day'" in made[0].message.en


@pytest.mark.parametrize("text", ["max(a, 10)", "min(p, 0)", "sum(a, 2)", "max(p, 10 MPa)", "a / (a - a)"])
def test_what_may_be_meant_is_no_mistake(text: str) -> None:
    assert not isinstance(compile_formula(text, TAGS), list)


@pytest.mark.parametrize("text", ["kWh", "m³", "kg", "t", "", "次", "Nm3", "kvarh", "m", "h", "MJ", "度"])
def test_units_that_a_register_may_have(text: str) -> None:
    assert unit(text).counts_up


@pytest.mark.parametrize("text", ["kW", "MW", "m3/h", "kg/h", "°C", "K", "MPa", "bar", "A", "V", "%", "rpm"])
def test_units_that_no_register_has(text: str) -> None:
    assert not unit(text).counts_up


def test_figures_have_no_time_spans() -> None:
    (found,) = wrong("delta(energy, 1h) / mass", spans=False)
    assert found.code == m.SPAN_OF_TOTAL.code and found.column == 1


@pytest.mark.parametrize(
    ("text", "wanted", "values", "expected"),
    [
        ("energy / mass", "kWh/t", {"energy": 1600.0, "mass": 500}, 3200.0),
        ("energy / mass", None, {"energy": 1600.0, "mass": 500}, 3.2),
        ("energy + 3.6 MJ", None, {"energy": 1.0}, 2.0),
        ("water / mass", "m3/t", {"water": 2.0, "mass": 500}, 4.0),
        ("energy * 0.1229 [kgce/kWh]", "kgce", {"energy": 1600.0}, 196.64),
        ("energy * 0.5306 [kgCO2/kWh]", "tCO2", {"energy": 1600.0}, 0.84896),
        ("p", "bar", {"p": 0.5}, 5.0),
        ("p > 3 bar", None, {"p": 0.31}, True),
        ("p + press-1.p", "kPa", {"p": 0.1, "press_1_p": 1.0}, 200.0),
        ("temp - 20 °C", None, {"temp": 25.5}, 5.5),
        ("temp + 5 K", "°F", {"temp": 95.0}, 212.0),
        ("temp_f", "°C", {"temp_f": 212.0}, 100.0),
        ("max(temp, temp_f)", None, {"temp": 20.0, "temp_f": 212.0}, 100.0),
        ("temp_f - 32 °F", "K", {"temp_f": 212.0}, 100.0),
        ("1号炉温度 > 850 °C", None, {"1号炉温度": 850.1}, True),
        ("（a＋b）×2", None, {"a": 1, "b": 2}, 6),
        ("a≥b", None, {"a": 1, "b": 2}, False),
        ("a - b-1", None, {"a": 5, "b": 2}, 2),
        ("a-1", None, {"a": 5}, 4),
        ("-a ** 2", None, {"a": 3}, -9),
        ("2 - 3 - a", None, {"a": 1}, -2),
        ("a / b / 2", None, {"a": 8, "b": 2}, 2.0),
        ("not run and a > 0", None, {"run": False, "a": 1}, True),
        ("not run == false", None, {"run": False}, False),
        ("if(mass > 0, energy / mass, 0)", None, {"mass": 0, "energy": 5.0}, 0.0),
        ("mass > 0 and energy / mass > 3 [kWh/kg]", None, {"mass": 0, "energy": 5.0}, False),
        ("clamp(a, 0, 10)", None, {"a": 11}, 10),
        ("avg(a, b, 3)", None, {"a": 1, "b": 2}, 2.0),
        ("a + 0.5 * 2", None, {"a": 1}, 2.0),
        ("max(a)", None, {"a": 7}, 7),
    ],
)  # fmt: skip
def test_values(text: str, wanted: str | None, values: dict[str, Any], expected: Any) -> None:
    found = value(text, wanted, **values)
    assert type(found) is type(expected)
    assert found == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("energy / mass", {"energy": 5.0, "mass": 0}),
        ("energy / (mass - 1 kg)", {"energy": 5.0, "mass": 1}),
        ("p / p", {"p": 0.0}),
        ("p ** -1", {"p": 0.0}),
        ("1 / (p * 1e300 * 1e300)", {"p": 1.0}),  # infinity must not come back as 0
        ("min(p * 1e300 * 1e300, 1 MPa)", {"p": 1.0}),
        ("p * 1e300 * 1e300", {"p": 1.0}),
        ("p * 1e300 * 1e300 > 1 MPa", {"p": 1.0}),
        ("a * b", {"a": 2**40, "b": 2**40}),  # more than 64 bits
        ("((a ** 9) ** 9) ** 9", {"a": 2**60}),
        ("((((((a ** 9) ** 9) ** 9) ** 9) ** 9) ** 9) ** 9", {"a": 2**60}),  # at once
        ("clamp(a, b, 0)", {"a": 1, "b": 2}),
    ],
)  # fmt: skip
def test_undefined_is_neither_zero_nor_infinite(text: str, values: dict[str, Any]) -> None:
    assert value(text, **values) is None
    formula = made(text)
    read = [values[slot.name.removeprefix("d.")] for slot in formula.slots]
    uncertain = [int(Quality.UNCERTAIN)] * len(read)
    assert formula.evaluate(read, uncertain) == (None, UNDEFINED)  # the exact path says the same


def test_integers_stay_exact() -> None:
    big = 2**62 + 1
    assert made("a + b - 1").type is INT
    assert value("a + b - 1", a=big, b=-big) == -1
    assert value("max(a, b)", a=big, b=big - 1) == big
    assert value("mass", "g", mass=2**53 + 1) == 1000 * (2**53 + 1)


def test_quality_is_the_worst_of_what_had_a_say() -> None:
    good, uncertain, bad = 0, int(Quality.UNCERTAIN_STOPPED), int(Quality.BAD_COMM)
    both = made("a + b")
    assert both.evaluate([1, 2], [good, uncertain]) == (3, uncertain)
    assert both.evaluate([1, None], [uncertain, bad]) == (None, bad)
    assert both.evaluate([None, None], [bad, 0x95]) == (None, 0x95)
    chosen = made("if(run, a, b)")
    assert chosen.evaluate([True, 1, None], [good, good, bad]) == (1, good)
    assert chosen.evaluate([None, 1, 2], [bad, good, good]) == (None, bad)
    early = made("run and a > 0")
    assert early.evaluate([False, None], [uncertain, bad]) == (False, uncertain)
    assert early.evaluate([True, None], [good, bad]) == (None, bad)


@pytest.mark.parametrize(
    ("left", "right", "factor"),
    [
        ("kWh", "MJ", 3.6), ("kW·h", "kWh", 1), ("m³", "L", 1000), ("m3/h", "L/min", 1000 / 60),
        ("t", "kg", 1000), ("MPa", "bar", 10), ("万kWh", "kWh", 10**4), ("万m3", "m³", 10**4),
        ("吨", "kg", 1000), ("度", "kWh", 1), ("kgCO2/kWh", "tCO2/MWh", 1), ("mg/L", "g/m³", 1),
        ("kJ/(kg·K)", "J/kg/K", 1000), ("rpm", "r/min", 1), ("1/min", "Hz", 1 / 60), ("%", "", 0.01),
        ("s-1", "Hz", 1), ("s^-1", "Hz", 1), ("℃/min", "K/s", 1 / 60), ("㎥", "m3", 1), ("μm", "um", 1),
        ("kWh/次", "Wh/次", 1000),
    ],
)  # fmt: skip
def test_units_convert(left: str, right: str, factor: float) -> None:
    assert unit(left).fits(unit(right))
    assert float(unit(left).to(unit(right))) == pytest.approx(factor)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Nm3", "m3"),
        ("kvarh", "kWh"),
        ("kVA", "kW"),
        ("kgce", "kg"),
        ("°C", "K"),
        ("次", "件"),
        ("Mpa", "MPa"),
        ("", "m"),
    ],
)
def test_units_that_do_not_fit(left: str, right: str) -> None:
    assert not unit(left).fits(unit(right))


@given(st.text(max_size=30))
def test_any_unit_text_is_a_unit(text: str) -> None:
    assert unit(text).fits(unit(text))
    assert str(unit(text)) == str(unit(str(unit(text))))


WORDS = (
    "a b run temp energy ( ) , + - * / ** < == and or not if( max( avg( 1 0.5 10min °C [kWh/kg] true"
    " = ？ a-b % 1e5 ."
).split()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_text_gives_a_formula_or_mistakes(parts: list[str]) -> None:
    for text in (" ".join(parts), "".join(parts)):
        found = compile_formula(text, TAGS)
        if isinstance(found, list):
            assert found and all(1 <= f.column <= max(1, len(text) + 1) for f in found)
        else:
            read: list[Any] = [True if s.name == "d.run" else 3 for s in found.slots]
            result, quality = found.evaluate(read, [0] * len(read))
            exact, rated = found.evaluate(read, [int(Quality.UNCERTAIN)] * len(read))
            assert result == exact and quality in (0, UNDEFINED)
            assert (rated == UNDEFINED) == (quality == UNDEFINED)
            assert not isinstance(result, float) or math.isfinite(result)


def test_formulas_may_read_one_another() -> None:
    definitions = [
        Definition("c", "specific * 2"),
        Definition("specific", "rate(energy, 10min) / rate(mass, 10min)", "kWh/t"),
        Definition("again", "max(derived.c, 5min)"),
    ]
    compiled = compile_together(definitions, TAGS, "derived")
    assert not compiled.mistakes
    assert list(compiled.formulas) == ["specific", "c", "again"]
    assert compiled.formulas["again"].unit == "kWh/t"
    assert compiled.formulas["again"].slots[0].name == "derived.c"


def test_a_circle_is_told_at_each_of_its_members_only() -> None:
    definitions = [
        Definition("x", "y + 1"), Definition("y", "1 - z"), Definition("z", "x"), Definition("free", "x + a"),
        Definition("self", "self + a"), Definition("bad", "energy + mass"), Definition("after", "bad + foo"),
    ]  # fmt: skip
    compiled = compile_together(definitions, TAGS, "derived")
    codes = {name: [f.code for f in found] for name, found in compiled.mistakes.items()}
    circle = ["E-FORMULA-CYCLE"]
    assert codes == {
        "x": circle, "y": circle, "z": circle, "self": circle, "bad": ["E-FORMULA-UNITS"],
        "after": ["E-FORMULA-NAME"],
    }  # fmt: skip
    assert "x -> y -> z -> x" in compiled.mistakes["x"][0].message.en
    assert compiled.mistakes["y"][0].column == 5
    assert not compiled.formulas


def test_elements_of_arrays_are_names_where_they_exist() -> None:
    known = TAGS | {
        "zone[0]": operand("zone[0]", FLOAT, "°C"),
        "d-1.zone[12]": operand("zone[12]", INT, "kg"),
    }
    made = compile_formula("d-1.zone[12] > 3 [kg] and zone［0］ - 3 °C > 4 K", known)
    assert isinstance(made, Formula)
    assert [slot.name for slot in made.slots] == ["d.zone[12]", "d.zone[0]"]
    told = compile_formula("zone[1] + 1", known)
    assert isinstance(told, list) and told[0].column == 1 and "zone[0]" in told[0].message.en


def test_a_pickle_holds_steps_and_makes_the_function_anew() -> None:
    made = compile_formula("if(energy > 3 kWh, mass / 2, clamp(mass, 1 kg, 9 kg)) ** 2", TAGS)
    assert isinstance(made, Formula)
    again = pickle.loads(pickle.dumps(made))
    assert again == made and again.fast is not made.fast
    for values in ([4.0, 6], [2.0, 60], [2.0, 0]):
        for qualities in ([0, 0], [0, 0x40], [0x81, 0]):
            assert again.evaluate(values, qualities) == made.evaluate(values, qualities)
