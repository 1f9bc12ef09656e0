"""What can be wrong with a formula: code, cause and cure in both languages. Codes are stable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_agent.settings import Problem, Text


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of mistake. The texts take the placeholders that ``Mistakes.add`` is given."""

    code: str
    message: Text
    cure: Text


@dataclass(frozen=True, slots=True)
class Mistake:
    """``column`` counts characters of the formula from 1; ``length`` of them are concerned."""

    code: str
    column: int
    length: int
    message: Text
    cure: Text

    def problem(self, path: tuple[str | int, ...]) -> Problem:
        """For the loader; ``path`` is where the formula stands."""
        where = Text(f"column {self.column}: {self.message.en}", f"第 {self.column} 列：{self.message.zh}")
        return Problem(self.code, path, where, self.cure)


class Mistakes(list[Mistake]):
    """Collects them; of several that begin at one place only the first is kept: the others follow from it."""

    def add(self, kind: Kind, start: int, end: int, **values: object) -> None:
        if any(m.column == start + 1 for m in self):
            return
        message, cure = _filled(kind.message, values), _filled(kind.cure, values)
        self.append(Mistake(kind.code, start + 1, max(1, end - start), message, cure))


def _filled(text: Text, values: dict[str, object]) -> Text:
    en = {k: v.en if isinstance(v, Text) else v for k, v in values.items()}
    zh = {k: v.zh if isinstance(v, Text) else v for k, v in values.items()}
    return Text(text.en.format_map(en).strip(), text.zh.format_map(zh).strip())


EMPTY: Final = Kind(
    "E-FORMULA-EMPTY",
    Text("the formula is empty", "公式为空"),
    Text(
        "Write what is to be calculated, such as energy / product_mass",
        "请写出计算式，例如 energy / product_mass",
    ),
)
TOO_LONG: Final = Kind(
    "E-FORMULA-LONG",
    Text(
        "the formula has {found} characters, at most {limit} are read",
        "公式有 {found} 个字符，上限为 {limit}",
    ),
    Text("Calculate a part of it as a derived value of its own", "请把其中一部分另设为一个计算点"),
)
TOO_DEEP: Final = Kind(
    "E-FORMULA-DEEP",
    Text("more than {limit} operations lie inside one another here", "此处运算嵌套超过 {limit} 层"),
    Text(
        "Use sum(a, b, ...) for long sums, or calculate a part as a derived value of its own",
        "长的加式请用 sum(a, b, ...)，或把一部分另设为计算点",
    ),
)
CHARACTER: Final = Kind(
    "E-FORMULA-CHARACTER",
    Text("'{found}' has no meaning in a formula", "公式中不能使用 '{found}'"),
    Text("{cure}", "{cure}"),
)
NUMBER: Final = Kind(
    "E-FORMULA-NUMBER",
    Text("'{found}' is not a number", "'{found}' 不是数值"),
    Text("Write numbers such as 12, 0.5 or 1.5e6", "数值写作 12、0.5 或 1.5e6"),
)
EXPECTED: Final = Kind(
    "E-FORMULA-EXPECTED",
    Text("{wanted} is missing before {found}", "{found} 之前缺少{wanted}"),
    Text("Put it there, or take away what stands before it", "请补上，或删去其前面的内容"),
)
UNEXPECTED: Final = Kind(
    "E-FORMULA-UNEXPECTED",
    Text("{found} is not expected here: an operator is missing", "此处不应出现 {found}：缺少运算符"),
    Text("Put an operator such as + - * / before it", "请在其前面写上 + - * / 等运算符"),
)
UNCLOSED: Final = Kind(
    "E-FORMULA-UNCLOSED",
    Text("this '{found}' is never closed", "此处的 '{found}' 没有闭合"),
    Text("Add the missing '{wanted}'", "请补上 '{wanted}'"),
)
CHAINED: Final = Kind(
    "E-FORMULA-CHAINED",
    Text("two comparisons follow one another", "两个比较相连"),
    Text("Write 'a < b and b < c'", "请写成 'a < b and b < c'"),
)
UNKNOWN_NAME: Final = Kind(
    "E-FORMULA-NAME",
    Text("there is no tag '{name}'. {hint}", "没有点 '{name}'。{hint}"),
    Text("Write TAG or DEVICE.TAG as in the tag tables", "请写“点”或“设备.点”，与点表一致"),
)
UNKNOWN_TOTAL: Final = Kind(
    UNKNOWN_NAME.code,
    Text(
        "'{name}' would be a total of a period, and formulas read none",
        "'{name}' 应是周期累计值，公式不能引用累计值",
    ),
    Text(
        "A window may name a total ('tag: {name}'), a figure makes ratios of totals, and delta(COUNTER, 1h) "
        "is what a counter counted up to now",
        "窗口可以引用累计值（'tag: {name}'）；累计值之比请用指标；"
        "delta(计数器, 1h) 是到现在为止一段时间内计入的量",
    ),
)
AMBIGUOUS: Final = Kind(
    "E-FORMULA-AMBIGUOUS",
    Text("'{name}' is a tag, but may also be a subtraction", "'{name}' 既是点名，也可理解为减法"),
    Text(
        "Put blanks around a minus; rename the tag if it is the tag that is meant",
        "减号两侧请加空格；若指的是点，请改点名",
    ),
)
UNKNOWN_FUNCTION: Final = Kind(
    "E-FORMULA-FUNCTION",
    Text("there is no function '{name}'. {hint}", "没有函数 '{name}'。{hint}"),
    Text("Functions: {known}", "可用函数：{known}"),
)
ARGUMENTS: Final = Kind(
    "E-FORMULA-ARGUMENTS",
    Text("{name} takes {wanted}, here are {found}", "{name} 需要{wanted}，此处有 {found} 个参数"),
    Text("Write {usage}", "请写成 {usage}"),
)
NO_TAG: Final = Kind(
    "E-FORMULA-CONSTANT",
    Text("the formula reads no tag: it would never be calculated", "公式没有引用任何点，不会被计算"),
    Text("Name at least one tag", "请至少引用一个点"),
)
TEXT_TAG: Final = Kind(
    "E-FORMULA-TEXT",
    Text(
        "'{name}' is text; a formula needs numbers or on/off values",
        "'{name}' 是文本；公式只能用数值或开关量",
    ),
    Text("Use a numeric or bool tag", "请改用数值点或 bool 点"),
)
NOT_NUMBER: Final = Kind(
    "E-FORMULA-NOT-NUMBER",
    Text("'{part}' is true or false, but {user} needs a number", "'{part}' 是真/假，而 {user} 需要数值"),
    Text("Write if({part}, 1, 0)", "请写成 if({part}, 1, 0)"),
)
NOT_BOOL: Final = Kind(
    "E-FORMULA-NOT-BOOL",
    Text("'{part}' is a number, but {user} needs true or false", "'{part}' 是数值，而 {user} 需要真/假"),
    Text("Compare it: {part} > 0, or {part} != 0", "请写成比较：{part} > 0 或 {part} != 0"),
)
MIXED: Final = Kind(
    "E-FORMULA-MIXED",
    Text(
        "'{left}' (column {left_at}) and '{right}' (column {right_at}): one is a number, one true or false",
        "'{left}'（第 {left_at} 列）与 '{right}'（第 {right_at} 列）一个是数值，一个是真/假",
    ),
    Text("Make both numbers or both comparisons", "请统一为数值或统一为真/假"),
)
UNITS: Final = Kind(
    "E-FORMULA-UNITS",
    Text(
        "{user}: '{left}' (column {left_at}) is {left_unit}, '{right}' (column {right_at}) is {right_unit}",
        "{user}：'{left}'（第 {left_at} 列）的单位是 {left_unit}，"
        "'{right}'（第 {right_at} 列）的单位是 {right_unit}",
    ),
    Text("{cure}", "{cure}"),
)
RESULT_UNIT: Final = Kind(
    "E-FORMULA-RESULT",
    Text(
        "the formula '{part}' gives {found}, but 'unit' says {wanted}",
        "公式 '{part}' 的结果单位是 {found}，而 unit 写的是 {wanted}",
    ),
    Text("Correct the formula or 'unit'", "请更正公式或 unit"),
)
SCALE: Final = Kind(
    "E-FORMULA-SCALE",
    Text(
        "'{part}' is a reading in {unit}, whose zero is not nothing: {user} has no meaning for it",
        "'{part}' 是以 {unit} 表示的读数，其零点不是“无”，不能用于 {user}",
    ),
    Text("Use a difference, such as {part} - 0 {unit}", "请用温差，例如 {part} - 0 {unit}"),
)
EXPONENT: Final = Kind(
    "E-FORMULA-EXPONENT",
    Text("the exponent after ** must be a whole number from -9 to 9", "** 后的指数必须是 -9 到 9 的整数"),
    Text("Write it as a plain number: x ** 2", "请直接写数值：x ** 2"),
)
WINDOW: Final = Kind(
    "E-FORMULA-WINDOW",
    Text("{name} needs a time span as its last argument", "{name} 的最后一个参数必须是时间长度"),
    Text("Write {usage}", "请写成 {usage}"),
)
WINDOW_LENGTH: Final = Kind(
    "E-FORMULA-SPAN",
    Text("a time span must lie between {low} and {high} here", "此处时间长度必须在 {low} 到 {high} 之间"),
    Text("{cure}", "{cure}"),
)
SPAN_UNIT: Final = Kind(
    "E-FORMULA-SPAN-UNIT",
    Text("'{part}' has no unit: a time span needs a time unit", "'{part}' 没有单位：时间长度需要时间单位"),
    Text("Write {name}({tag}, {part}min){value}", "请写成 {name}({tag}, {part}min){value}"),
)
DIVISION: Final = Kind(
    "E-FORMULA-ZERO",
    Text("'{part}' is always 0: nothing can be divided by it", "'{part}' 恒为 0，不能作除数"),
    Text("Correct the divisor: as it stands there will never be a value", "请更正除数：否则永远没有结果"),
)
OVER_TAG: Final = Kind(
    "E-FORMULA-OVER",
    Text(
        "{name} over a time span takes one tag, not '{part}'",
        "{name} 对时间段只能用于一个点，不能用于 '{part}'",
    ),
    Text("Make '{part}' a derived value of its own and name that", "请把 '{part}' 另设为计算点，再引用该点"),
)
COUNTER: Final = Kind(
    "E-FORMULA-COUNTER",
    Text(
        "delta needs a counter, and '{part}' is not declared as one",
        "delta 需要计数器，而 '{part}' 未声明为计数器",
    ),
    Text("{cure}", "{cure}"),
)
SPAN_OF_TOTAL: Final = Kind(
    "E-FORMULA-TOTAL",
    Text(
        "a figure is made of the totals of a period: it has no time span",
        "指标由周期累计值计算，不能带时间长度",
    ),
    Text(
        "Name the counters alone; for time spans use a derived value", "请只写计数器名；需要时间段请用计算点"
    ),
)
CYCLE: Final = Kind(
    "E-FORMULA-CYCLE",
    Text("'{name}' needs itself: {way}", "'{name}' 依赖于自身：{way}"),
    Text("Break the circle: one of them must read tags only", "请打破循环：其中一个只能引用采集点"),
)
