"""What click says by itself, in the language of the command line."""

from __future__ import annotations

import re

import click
import pytest

from edge_agent.cli import main
from edge_agent.cli.root import VERBS
from edge_agent.cli.wording import in_chinese

ENGLISH = re.compile(
    r"Usage|Options|Commands|Error|Try |default:|Show this|OPTIONS|ARGS|No such|Missing|Invalid"
)


@pytest.mark.parametrize("words", [[], *([verb] for verb in VERBS)])
def test_no_word_of_click_is_left_in_a_chinese_help(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--lang", "zh", *words, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("用法：edge-agent") and "\n选项：\n" in text
    assert not ENGLISH.search(text), ENGLISH.search(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--nope"], "错误：没有选项 --nope。"),
        (["read", "x", "--jsn"], "错误：没有选项 --jsn。是否想写 '--json'？"),
        (["nope"], "错误：没有命令 'nope'。"),
        (["read"], "错误：缺少参数 DEVICE。"),
        (["check", "a", "b"], "错误：多余的参数：a b"),
        (["run", "--log-format", "xml"], "'xml' 不在可选值之中：'auto', 'text', 'logfmt', 'json'。"),
        (["demo", "--seconds", "soon"], "'soon' 不是有效的数值。"),
        (["demo", "--seconds", "-1"], "-1.0 不在范围 x>0 之内。"),
        (["run", "--config"], "选项 --config 需要一个值。"),
        (["check", "--json=1"], "选项 --json 不带值。"),
        (["support", "--log", "nofile.csv"], "'--log' 的值无效：'nofile.csv' 不存在。"),
        (["tags", "import", "/", "x"], "'FILE' 的值无效：'/' 是目录，不是文件。"),
        (["completion"], "错误：缺少参数 {bash|zsh|fish}。可选：bash, zsh, fish。"),
        (["chek"], "错误：没有命令 'chek'。是否想写 'check'？"),
    ],
)
def test_a_wrong_command_line_in_chinese(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--lang", "zh", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.rstrip().endswith(said)
    assert shown.err.startswith(("用法：edge-agent", "错误："))
    assert not ENGLISH.search(shown.err), shown.err


def test_the_same_in_english_is_click_s_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lang", "en", "run", "--nope"]) == 2
    assert "Usage: edge-agent run [OPTIONS]" in (shown := capsys.readouterr().err)
    assert "No such option" in shown


def test_what_is_not_known_stays_as_it_is() -> None:
    assert in_chinese("Something new.") == "Something new."
    assert in_chinese("Invalid value for '--x': Something new.") == "'--x' 的值无效：Something new."


@pytest.mark.parametrize(
    "sentence", ["No such option '--x'.", "Missing command.", "Option '-x' requires an argument."]
)
def test_the_sentences_are_still_those_of_click(sentence: str) -> None:
    """A new release of the library may word them anew; then the list wants a look."""
    import inspect

    words = re.sub(r" '\S+'", "", sentence).rstrip(".").split()
    modules = (click.core, click.exceptions, click.parser)
    source = " ".join(inspect.getsource(module) for module in modules)
    assert all(word in source for word in words)
