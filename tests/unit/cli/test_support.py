"""``support``: what it says of what it wrote."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from edge_agent.cli import bundle, main, support


@pytest.mark.parametrize(
    ("language", "words"),
    [("zh", "systemd 服务单元 [本机没有]"), ("en", "as found [there is none on this machine]")],
)
def test_what_is_not_there_is_told_in_the_language_of_the_reader(
    language: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bundle, "_UNIT_PLACES", ())
    monkeypatch.setattr(bundle, "_MAKERS", (bundle._unit,))
    out = tmp_path / "b.tar.gz"
    assert main(["support", "--out", str(out), "--config", str(tmp_path), "--lang", language]) == 0
    assert words in capsys.readouterr().out
    with tarfile.open(out) as archive:
        manifest = json.load(archive.extractfile("b/MANIFEST.json"))  # type: ignore[arg-type]
    assert manifest["parts"][0]["problem"] == "there is none on this machine"


def test_what_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AGENT_LANGUAGE", "zh")
    assert support._why("cut: it has 1,200 bytes") == " [已截断，原有 1,200 字节]"
