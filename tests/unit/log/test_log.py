"""Lines as they come out of a real stream."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from edge_agent.log import LogHandler, Once, configure, fields

LOGGER = logging.getLogger("edge_agent.acquisition.worker")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def lines(stream: IO[str]) -> list[str]:
    stream.seek(0)
    return stream.read().split("\n")[:-1]


def test_a_pipe_gets_logfmt() -> None:
    out = io.StringIO()
    configure("info", stream=out, environ={})
    LOGGER.warning(
        "link lost", extra=fields(device="press-1", reason="reset", after_s=1.5, retry=True, why=None)
    )
    (line,) = lines(out)
    time, rest = line.split(" ", 1)
    assert re.fullmatch(r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    assert rest == (
        'level=warning logger=edge_agent.acquisition.worker msg="link lost"'
        " device=press-1 reason=reset after_s=1.5 retry=true why="
    )


@pytest.mark.parametrize(
    "text", ["a\nlevel=error", "\x1b[2J", 'say "no"', "back\\slash", "a=b", "", " ", "a\u2028b\x85c"]
)
def test_a_record_is_one_line_whatever_a_device_sends(text: str) -> None:
    for format_ in ("logfmt", "json", "text"):
        out = io.StringIO()
        configure("info", format_, stream=out, environ={})
        LOGGER.info("%s", text, extra=fields(tag=text, **{"odd key\n=": 1}))
        (line,) = lines(out)
        assert len(line.splitlines()) == 1
        assert line.isprintable()
        if format_ == "json":
            assert json.loads(line)["tag"] == text


def test_logfmt_quotes_so_that_it_can_be_read_back() -> None:
    out = io.StringIO()
    configure("info", "logfmt", stream=out, environ={})
    LOGGER.info("x", extra=fields(a='say "no"', b="back\\slash", c="温度", d="a\nb"))
    (line,) = lines(out)
    assert line.endswith(r'a="say \"no\"" b="back\\slash" c=温度 d="a\nb"')


def test_json() -> None:
    out = io.StringIO()
    configure("info", "json", stream=out, environ={})
    LOGGER.error("bad %s", "thing", extra=fields(level="mine", path=Path("/x")))
    (line,) = lines(out)
    found = json.loads(line)
    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "error", "logger": LOGGER.name, "msg": "bad thing", "level_": "mine", "path": "/x",
    }  # fmt: skip


def test_an_exception_stays_on_the_line_of_its_event() -> None:
    out = io.StringIO()
    configure("info", "logfmt", stream=out, environ={})
    try:
        raise ValueError("no\nnumber")
    except ValueError:
        LOGGER.exception("worker restarts")
    (line,) = lines(out)
    assert r"ValueError: no\nnumber" in line


def test_a_terminal_gets_local_time_with_its_offset() -> None:
    out = Terminal()
    configure("info", stream=out, environ={})
    LOGGER.info("connected", extra=fields(device="press-1"))
    (line,) = lines(out)
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d INFO    connected  device=press-1", line)


def test_the_journal_gets_priorities_and_no_time(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+") as out:
        found = os.fstat(out.fileno())
        configure("debug", stream=out, environ={"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            LOGGER.log(level, "m")
        out.flush()
        assert [line[:9] for line in lines(out)] == [
            "<7>level=", "<6>level=", "<4>level=", "<3>level=", "<2>level=",
        ]  # fmt: skip


def test_an_inherited_journal_stream_is_not_ours(tmp_path: Path) -> None:
    """A child whose stderr goes to a file still has JOURNAL_STREAM in its environment."""
    with (tmp_path / "file").open("w+") as out:
        configure("info", stream=out, environ={"JOURNAL_STREAM": "1:2"})
        LOGGER.info("m")
        out.flush()
        assert lines(out)[0].startswith("time=")


def test_levels_and_libraries() -> None:
    out = io.StringIO()
    configure("info", "logfmt", stream=out, environ={})
    LOGGER.debug("hidden")
    logging.getLogger("library.client").info("hidden chatter")
    logging.getLogger("library.client").warning("heard")
    assert [re.findall(r"msg=(\S+)", line) for line in lines(out)] == [["heard"]]
    configure("debug", "logfmt", stream=out, environ={})
    logging.getLogger("library.client").info("now")
    assert "msg=now" in lines(out)[-1]


def test_configuring_again_replaces_its_own_handler_only() -> None:
    first, second = io.StringIO(), io.StringIO()
    before = len([h for h in logging.getLogger().handlers if not isinstance(h, LogHandler)])
    configure(stream=first, environ={})
    configure(stream=second, environ={})
    LOGGER.warning("once")
    assert (len(lines(first)), len(lines(second))) == (0, 1)
    assert len(logging.getLogger().handlers) == before + 1


@pytest.mark.parametrize(("level", "format_"), [("loud", "auto"), ("info", "xml")])
def test_what_it_does_not_know_it_refuses(level: str, format_: str) -> None:
    with pytest.raises(ValueError, match="no such log level or format"):
        configure(level, format_)


def test_a_real_process_writes_to_stderr_only() -> None:
    program = (
        "import logging; from edge_agent.log import configure; configure();"
        "logging.getLogger('edge_agent').info('hello')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.endswith("level=info logger=edge_agent msg=hello\n")


def test_once_speaks_once_when_it_breaks_and_once_when_it_heals(caplog: pytest.LogCaptureFixture) -> None:
    now = [0]
    once = Once(LOGGER, lambda: now[0])
    with caplog.at_level(logging.DEBUG, LOGGER.name):
        once.healed("link", "was never broken")
        once.broke("link", "link lost", reason="reset")
        once.broke("link", "link lost", reason="timeout")
        once.broke("other", "other lost")
        now[0] = 2_500_000_000
        once.broke("link", "link lost", repeats="mine")
        assert once.broken("link")
        once.healed("link", "link is back", device="press-1")
        once.healed("link", "again")
        once.broke("link", "link lost")
    told = [(r.levelname, r.getMessage(), vars(r)["fields"]) for r in caplog.records]
    assert told == [
        ("WARNING", "link lost", {"reason": "reset"}),
        ("DEBUG", "link lost", {"reason": "timeout", "repeats": 1}),
        ("WARNING", "other lost", {}),
        ("DEBUG", "link lost", {"repeats": 2}),
        ("INFO", "link is back", {"device": "press-1", "lasted_s": 2.5, "repeats": 2}),
        ("WARNING", "link lost", {}),
    ]
    once.forget("link")
    assert not once.broken("link")
