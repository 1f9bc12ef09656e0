"""Every page's marked blocks, run in order as a person would: one shell per page, in a copy of the tree."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.markdown import CHINESE, ROOT, Block, Page, pages
from tests.docs.shell import Failed, Shell, has_a_network_of_its_own, matches
from tests.plant.ports import usual_port

RUNNABLE = [p for p in pages() if any(block.mark.startswith("runs") for block in p.blocks)]
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.pyc", "var", "dist", "build", "state")


def _with_its_tools(shown: Page) -> Any:
    run = "".join(block.text for block in shown.blocks if block.mark.startswith("runs"))
    marks = [pytest.mark.tool(name) for name in ("make", "promtool") if re.search(rf"^{name}\b", run, re.M)]
    return pytest.param(shown, id=shown.name, marks=marks)


def copy_of_project(folder: Path) -> Path:
    """What a clone holds, and a virtual environment that is ready: make finds nothing to install."""
    shutil.copytree(ROOT, folder, ignore=_NOT_COPIED)
    environment = folder / ".venv"
    environment.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.suffix != ".stamp":
            (environment / part.name).symlink_to(part)
    for name in ("run.stamp", "dev.stamp"):
        (environment / name).touch()
    return folder


@pytest.fixture
def project() -> Iterator[Path]:
    """In a short place: a local socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="ls-") as place:
        yield copy_of_project(Path(place) / "lineside")


@pytest.fixture
def shell(project: Path, request: pytest.FixtureRequest) -> Iterator[Shell]:
    shown = request.node.callspec.params["page"]
    text = "".join(block.text for block in shown.blocks)
    alone = has_a_network_of_its_own() and "/tmp/" not in text  # nothing that another page may use as well
    with contextlib.nullcontext() if alone else usual_port():
        session = Shell(project, "zh_CN.UTF-8" if shown.name.endswith(CHINESE) else "C.UTF-8")
        yield session
        session.close()


@pytest.mark.timeout(540)  # waits for its turn
@pytest.mark.tool("bash")
@pytest.mark.parametrize("page", [_with_its_tools(found) for found in RUNNABLE])
def test_the_commands_do_what_the_page_shows(page: Page, project: Path, shell: Shell) -> None:
    blocks = iter([block for block in page.blocks if block.mark])
    block = next(blocks, None)
    while block is not None:
        following = next(blocks, None)
        if block.mark.startswith("file "):
            path = project / block.mark.removeprefix("file ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.mark.startswith("runs"):
            output = following if following and following.mark.startswith("prints") else None
            try:
                run(shell, block, output)
            except Failed as error:
                pytest.fail(f"{page.name}:{block.line}: {error}", pytrace=False)
        elif not block.mark.startswith("prints"):
            pytest.fail(f"{page.name}:{block.line}: unknown mark {block.mark!r}")
        block = following


def run(shell: Shell, block: Block, output: Block | None) -> None:
    limit = re.fullmatch(r"runs until it prints, (\d+) s", block.mark)
    code = re.fullmatch(r"runs, exit (\d+)", block.mark)
    if not (limit or code or block.mark == "runs"):
        raise Failed(f"unknown mark {block.mark!r}")
    exit_code = int(code[1]) if code else 0
    end = time.monotonic() + (int(limit[1]) if limit else 0)
    while True:
        try:
            # Not under `set -e` while it may still fail: the shell must live on for the next try.
            printed = shell.run(f"{{\n{block.text}}} || true\n" if limit else block.text, exit_code=exit_code)
            if output is None or matches(output.text, printed, about=output.mark == "prints about"):
                return
            raise Failed(f"the page shows\n{output.text}\nbut it printed\n{printed}")
        except Failed:
            if time.monotonic() > end:
                raise
        time.sleep(0.2)


def test_pages_are_run_in_both_languages() -> None:
    names = {page.name for page in RUNNABLE}
    for name in ("README", "docs/first-device", "docs/operations"):
        assert {f"{name}.md", f"{name}{CHINESE}"} <= names
