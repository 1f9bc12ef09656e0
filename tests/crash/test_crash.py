"""A few dozen power cuts, and that the enumerator itself sees what it has to see."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from tests.crash.disk import Create, Disk, Operation, Rename, Resize, Said, Sync, Unlink, Write
from tests.crash.enumerator import enumerate_states, spread
from tests.crash.record import Recording, record
from tests.crash.trace import Untraceable, operations
from tests.plant.seeds import fresh_seed

ROOT = "/state"


def states(
    *steps: Operation, lies: int = 0, draws: int = 400
) -> set[frozenset[tuple[str, bytes | int | None]]]:
    disk = Disk(ROOT, lies)
    for step in steps:
        disk.apply(step)
    return {frozenset(disk.draw(Random(seed)).items()) for seed in range(draws)}


def contents(
    found: set[frozenset[tuple[str, bytes | int | None]]], name: str
) -> set[bytes | int | str | None]:
    return {dict(state).get(name, "absent") for state in found}


A, B = f"{ROOT}/a", f"{ROOT}/b"
NEW, OLD = b"n" * 1024, b"o" * 1024


def test_what_was_synced_is_there_and_the_rest_by_sectors() -> None:
    written = (Create(A, False), Write(A, 0, OLD), Sync(A), Sync(ROOT))
    assert states(*written) == {frozenset({("a", OLD)})}
    mixed = contents(states(*written, Write(A, 0, NEW)), "a")
    assert mixed == {OLD, NEW, NEW[:512] + OLD[512:], OLD[:512] + NEW[512:]}
    assert contents(states(*written, Write(A, 1024, b"x")), "a") >= {OLD, OLD + b"x", OLD + b"\0"}


def test_what_is_cut_off_is_not_there_in_part() -> None:
    written = (Create(A, False), Write(A, 0, OLD), Sync(A), Sync(ROOT))
    assert contents(states(*written, Resize(A, 0)), "a") == {OLD, b""}
    again = contents(states(*written, Resize(A, 0), Write(A, 512, NEW[:512])), "a")
    assert OLD in again and bytes(512) + NEW[:512] in again
    assert not any(isinstance(c, bytes) and b"o" in c and b"n" in c for c in again)


def test_names_are_durable_after_a_sync_of_their_directory() -> None:
    made = (Create(A, False), Write(A, 0, NEW), Sync(A))
    assert contents(states(*made), "a") == {NEW, "absent"}, "the loose rule: its name was never synced"
    assert contents(states(*made, Sync(ROOT)), "a") == {NEW}
    both = (*made, Create(B, False), Write(B, 0, OLD), Sync(B), Sync(ROOT))
    renamed = states(*both, Rename(A, B))
    assert contents(renamed, "b") == {OLD, NEW} and contents(renamed, "a") == {NEW, "absent"}
    assert not any(len(state) == 0 for state in renamed)
    assert contents(states(*both, Rename(A, B), Sync(ROOT)), "b") == {NEW}
    assert contents(states(*both, Unlink(A), Sync(ROOT)), "a") == {"absent"}


def test_a_lying_card_forgets_its_last_flushes() -> None:
    steps = (Create(A, False), Sync(ROOT), Write(A, 0, OLD), Sync(A), Write(A, 0, NEW), Sync(A))
    assert contents(states(*steps), "a") == {NEW}
    assert OLD in contents(states(*steps, lies=1), "a")
    assert b"" in contents(states(*steps, lies=2), "a")
    assert "absent" in contents(states(*steps, lies=3), "a")


def test_a_record_is_read_call_by_call() -> None:
    lines = [
        r'7 openat(AT_FDCWD</state>, "\x61", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</state/a>',
        r'7 write(3</state/a>, "\x68\x65\x79", 3) = 2',
        r'7 write(3</state/a>, "\x79", 1) = 1',
        r'8 pwrite64(4</state/b>, "\x7a", 1, 9 <unfinished ...>',
        r'7 write(1</marks>, "\x7b\x7d\x0a", 3) = 3',
        r"8 <... pwrite64 resumed>) = 1",
        r'8 pwrite64(4</state/b>, "\x7a", 1, 9) = -1 ENOSPC (No space left on device)',
        r"8 fdatasync(4</state/b>) = 0",
        r'7 rename("\x2f\x73\x74\x61\x74\x65\x2f\x61", "\x2f\x73\x74\x61\x74\x65\x2f\x62") = 0',
        r'7 write(5</elsewhere/b>, "\x79", 1) = 1',
        r"7 fallocate(6</state/c>, 0, 0, 700) = 0",
    ]
    assert [found for _, found in operations(lines, ROOT, "/marks")] == [
        Create(A, True),
        Write(A, 0, b"he"),
        Write(A, 2, b"y"),
        Said("{}"),
        Write(B, 9, b"z"),
        Sync(B),
        Rename(A, B),
        Resize(f"{ROOT}/c", 700),
    ]
    for line in (
        r'7 pwrite64(4</state/b>, "\x7a"..., 1, 9) = 1',
        r"7 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 4</state/b>, 0) = 0x7f",
        r"7 copy_file_range(3</x>, NULL, 4</state/b>, NULL, 9, 0) = 9",
    ):
        with pytest.raises(Untraceable):
            list(operations([line], ROOT))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return record("first", tmp_path_factory.mktemp("record") / "first", "1")


@pytest.mark.tool("strace")
@pytest.mark.parametrize("lies", [0, 3])
def test_whatever_the_moment_nothing_is_lost_silently(first: Recording, lies: int) -> None:
    seed = str(fresh_seed())
    print(f"seed {seed}")
    cuts = spread([first], 60, lies, seed)
    tried = list(enumerate_states({first.story: first}, cuts, seed, 1))
    assert len(tried) == 60
    assert [(str(cut), finding) for cut, verdict in tried for finding in verdict.findings] == []


@pytest.mark.tool("strace")
def test_a_flush_left_out_is_noticed(first: Recording) -> None:
    """The same record without the flushes of the log: promises then stand on nothing."""
    weaker = tuple(o for o in first.operations if not (isinstance(o, Sync) and o.path.endswith("-wal")))
    recording = Recording(first.story, first.root, weaker, first.left)
    late = [cut for cut in spread([recording], len(weaker), 0, "1") if cut.at > len(weaker) // 2]
    found = itertools.chain.from_iterable(
        verdict.findings for _, verdict in enumerate_states({first.story: recording}, late[:80], "1", 1)
    )
    assert {"lost", "ledger"} & {finding.kind for finding in found}


def test_cuts_are_spread_over_every_moment() -> None:
    recording = Recording("s", ROOT, (Create(A, False), Said("{}"), Sync(A)))
    cuts = spread([recording], 7, 0, "1")
    assert sorted(cut.at for cut in cuts if cut.draw < 2) == [0, 0, 2, 2, 3, 3] and len(set(cuts)) == 7
