"""The table of codes says what the program says."""

from __future__ import annotations

import re

import pytest

from tests.docs.doctor_codes import every_code
from tests.docs.markdown import ROOT

ROW = re.compile(r"^\| `(\w+)` \| (.+) \|$", re.MULTILINE)


@pytest.mark.parametrize(("ending", "language"), [("", "en"), (".zh-CN", "zh")])
def test_every_code_of_doctor(ending: str, language: str) -> None:
    text = (ROOT / f"docs/commissioning{ending}.md").read_text(encoding="utf-8")
    table = text.split("<!-- codes of doctor -->")[1].split("\n\n")[0]
    assert dict(ROW.findall(table)) == {code: said.say(language) for code, said in every_code().items()}


def test_every_code_has_both_languages_and_says_whose_it_is() -> None:
    for code, text in every_code().items():
        assert text.en.isascii() and not text.zh.isascii(), code
        assert re.fullmatch(r"(net|link|modbus|serial|s7|opcua|up|agent|no|self)_\w+", code), code
