"""Whatever is done to a good set, only ConfigurationError comes out, and every mistake has a real place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge_agent.config import ConfigurationError, places_of
from edge_agent.config.loader import load_files
from edge_agent.config.sources import SnapshotFiles

EXAMPLE = Path(__file__).parents[3] / "config" / "examples" / "first-line"
FILES = {
    name: (EXAMPLE / name).read_bytes()
    for name in ("edge-agent.yaml", "devices.d/press-1.yaml", "tags.d/press-1.csv")
}
SPLICES = st.sampled_from(
    [
        "：", "，", "“", "”", "\t", "\u3000", "\xa0", "\u200b", "- ", ": ", "{", "}", "[", "]", '"', "'", "#",
        "&a ", "*a", "!", "!secret x", "!!map ", "|", ">", "?", "%", "@", "`", "\r", "\n", "\n\n", "\x00",
        "\x85", "\u2028", "---\n", "...\n", "null", "true", ".inf", ".nan", "1e999", "９", "0x", "<<: ",
        ",", ";", "\ufeff", "1E+05", "9" * 5000, "[" * 200, "- " * 200, "{a: " * 60,
    ]
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> Mapping[str, bytes]:
    """The example with one to four cuts, splices, exchanged lines or broken bytes in one or two files."""
    files = dict(FILES)
    for name in draw(st.lists(st.sampled_from(sorted(FILES)), min_size=1, max_size=2, unique=True)):
        text = files[name].decode()
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(text)))
            end = min(len(text), at + draw(st.sampled_from([0, 0, 1, 2, 10, 80])))
            text = text[:at] + draw(st.one_of(SPLICES, st.text(max_size=5), st.just(""))) + text[end:]
        data = text.encode("utf-8", "replace")
        if draw(st.integers(0, 9)) == 0:
            data = draw(
                st.sampled_from(
                    [text.encode("gb18030", "replace"), text.encode("utf-16"), data[:-1] + b"\xff"]
                )
            )
        files[name] = data
    return files


@settings(max_examples=250, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_only_configuration_errors(files: Mapping[str, bytes]) -> None:
    check(files)


@settings(max_examples=80, deadline=None, print_blob=True)
@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300))
@example(b"", b"\x0b", b"")
def test_only_configuration_errors_from_noise(agent: bytes, device: bytes, table: bytes) -> None:
    check(
        {
            "edge-agent.yaml": agent,
            "devices.d/a.yaml": FILES["devices.d/press-1.yaml"] + device,
            "devices.d/b.yaml": device,
            "tags.d/press-1.csv": FILES["tags.d/press-1.csv"] + table,
        }
    )


def check(files: Mapping[str, bytes]) -> None:
    try:
        load_files(SnapshotFiles(Path("/nonexistent"), files), environ={})
    except ConfigurationError as error:
        assert places_of(error)
        for problem in places_of(error):
            assert problem.line >= 1 and problem.column >= 1
            lines = files.get(problem.file, b"").count(b"\n") + files.get(problem.file, b"").count(b"\r") + 1
            assert problem.line <= lines
            assert problem.render("zh") and problem.render("en")
            assert problem.message.en and problem.message.zh and problem.cure.en and problem.cure.zh
