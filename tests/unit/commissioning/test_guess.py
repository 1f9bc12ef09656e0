"""A value that somebody planted among random registers, found again."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence
from typing import Any

import pytest

from drivers.modbus.probe import ModbusProber
from drivers.s7.probe import S7Prober
from edge_agent.commissioning import (
    Candidate,
    NotANumber,
    Reading,
    Search,
    guess,
    readings,
    runs,
    shown,
)
from edge_agent.settings import Record

SETTINGS = Record({"forbidden": (), "station": 1, "byte_order": "ABCD", "link": "tcp://127.0.0.1:502"})
S7_SETTINGS = Record({"encoding": "gbk"})
PROBER = ModbusProber()
CELLS = PROBER.cells(SETTINGS, "hr:0", 0, 199)
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
SEED = 20261122


def found_in(memory: Sequence[int]) -> list[Reading]:
    return readings(PROBER, SETTINGS, runs(PROBER, SETTINGS, CELLS[: len(memory)], list(memory)))


def noise(rng: random.Random) -> list[int]:
    return [rng.randrange(65536) for _ in CELLS]


def put_float(memory: list[int], at: int, value: float, order: str) -> float:
    packed = struct.pack(">f", value)
    memory[at : at + 2] = struct.unpack(">HH", bytes(packed["ABCD".index(letter)] for letter in order))
    return float(struct.unpack(">f", packed)[0])


def digits(value: float, count: int) -> str:
    return f"{value:.{max(0, count - 1 - math.floor(math.log10(value)))}f}"


def rank(candidates: Sequence[Candidate], at: int, types: Sequence[str], order: str, divisor: int) -> int:
    for position, candidate in enumerate(candidates):
        reading = candidate.reading
        right = reading.place == at and reading.type in types and reading.order == order
        if right and candidate.divisor == divisor:
            return position
    return 99


def float_ranks(seed: int, cases: int, count: int) -> list[int]:
    rng, ranks = random.Random(seed), []
    for _ in range(cases):
        memory, order, at = noise(rng), rng.choice(ORDERS), rng.randrange(199)
        value = put_float(memory, at, 10 ** rng.uniform(0, 3.9), order)
        one = guess(found_in(memory), [shown(digits(value, count))])[0]
        ranks.append(rank(one.candidates, at, ["float32"], order, 1))
    return ranks


def test_a_float_of_which_five_digits_are_shown_is_first() -> None:
    ranks = float_ranks(SEED, 100, 5)
    share = ranks.count(0) / len(ranks)
    print(f"seed {SEED}: float32, 5 digits: first in {share:.1%} of {len(ranks)}")
    assert share > 0.95


def test_of_four_digits_it_is_among_the_first_two() -> None:
    """First in about 95 %: in the rest the neighbouring address in reversed word order shows the same."""
    ranks = float_ranks(SEED, 100, 4)
    print(f"seed {SEED}: float32, 4 digits: first in {ranks.count(0) / len(ranks):.0%}")
    assert sum(position < 2 for position in ranks) / len(ranks) > 0.98


def test_of_three_digits_it_is_among_the_first_two() -> None:
    """The low word makes no difference there: reversed words from the neighbouring address read the same."""
    ranks = float_ranks(SEED + 1, 40, 3)
    print(f"seed {SEED + 1}: float32, 3 digits: first in {ranks.count(0) / len(ranks):.0%}")
    assert sum(position < 2 for position in ranks) / len(ranks) > 0.95


def test_a_scaled_integer_is_in_the_first_three() -> None:
    rng, ranks = random.Random(SEED + 2), []
    for _ in range(100):
        memory, at, decimals = noise(rng), rng.randrange(200), rng.choice([0, 1, 2])
        memory[at] = raw = rng.randrange(20, 10_000)
        text = f"{raw / 10**decimals:.{decimals}f}"
        one = guess(found_in(memory), [shown(text)])[0]
        ranks.append(rank(one.candidates, at, ["int16"], "ABCD", 10**decimals))
    first, three = ranks.count(0) / 100, sum(position < 3 for position in ranks) / 100
    print(f"seed {SEED + 2}: int16 with scale: first {first:.1%}, in the first three {three:.1%}")
    assert three > 0.95


def test_a_second_look_leaves_what_follows() -> None:
    rng = random.Random(SEED + 3)
    for _ in range(8):
        memory, at = noise(rng), rng.randrange(200)
        memory[at], other = 237, (at + 7) % 200
        memory[other] = 237  # a set-point that shows the same
        first = found_in(memory)
        assert len(guess(first, [shown("23.7")])[0].candidates) >= 2
        memory[at] = 241
        later = {reading.key: reading for reading in found_in(memory)}
        one = guess(first, [shown("23.7")], Search(later=later, after=[shown("24.1")]))[0]
        assert rank(one.candidates, at, ["int16"], "ABCD", 10) == 0
        assert rank(one.candidates, other, ["int16"], "ABCD", 10) == 99


def test_two_values_support_each_other() -> None:
    memory = [7] * 40
    put_float(memory, 10, 415.3, "CDAB")
    put_float(memory, 20, 23.7, "CDAB")
    alone = guess(found_in(memory), [shown("23.7")])[0].candidates[0]
    together = guess(found_in(memory), [shown("23.7"), shown("415.3")])
    assert [one.candidates[0].reading.order for one in together] == ["CDAB", "CDAB"]
    assert together[0].candidates[0].score > alone.score
    assert any("another value" in reason.en for reason in together[0].candidates[0].reasons)


@pytest.mark.parametrize(
    ("named", "word"), [(11, "counts from 1"), (9, "counts from 0"), (10, "exactly where")]
)
def test_a_mistaken_base_is_named(named: int, word: str) -> None:
    memory = [7] * 40
    put_float(memory, 10, 23.71, "ABCD")
    best = guess(found_in(memory), [shown("23.71")], Search(near=("hr", named)))[0].candidates[0]
    assert (best.reading.address, best.reading.order) == ("400011", "ABCD")
    assert any(word in reason.en for reason in best.reasons)


def test_zero_proves_nothing() -> None:
    one = guess(found_in([0] * 50), [shown("0.0")])[0]
    assert max(candidate.likely for candidate in one.candidates) < 0.5


def test_what_is_not_there_has_no_candidates() -> None:
    assert guess(found_in([7] * 50), [shown("23.7")])[0].candidates == []


def second_look(before: Sequence[int], after: Sequence[int], *texts: str) -> list[Candidate]:
    later = {reading.key: reading for reading in found_in(after)}
    search = Search(later=later, after=[shown(texts[1])])
    return guess(found_in(before), [shown(texts[0])], search)[0].candidates


def test_what_stood_still_while_the_display_moved_is_no_candidate() -> None:
    assert second_look([7, 400, 9], [7, 400, 9], "0.4", "0.41") == []
    (one,) = second_look([7, 400, 9], [7, 409, 9], "0.4", "0.41")
    assert (one.reading.value, one.value) == (409, 0.409), "as it reads now"


def test_what_cannot_show_so_small_a_change_stays() -> None:
    later = {reading.key: reading for reading in found_in([7, 23, 9])}
    search = Search(later=later, after=[shown("23.4", 1.0)])
    candidates = guess(found_in([7, 23, 9]), [shown("23.2", 1.0)], search)[0].candidates
    assert [(c.reading.value, c.divisor) for c in candidates] == [(23, 1)]
    assert any("so small a change" in reason.en for reason in candidates[0].reasons)


def test_a_display_that_did_not_change_drops_nothing() -> None:
    first = guess(found_in([7, 237, 9]), [shown("23.7")])[0].candidates
    again = second_look([7, 237, 9], [7, 237, 9], "23.7", "23.7")
    assert [c.likely for c in again] == [c.likely for c in first], "and proves nothing"


def test_int16_and_uint16_are_one_candidate() -> None:
    one = guess(found_in([7, 237, 9]), [shown("23.7")])[0]
    assert [(c.reading.type, c.also) for c in one.candidates] == [("int16", ("uint16 ABCD",))]


@pytest.mark.parametrize(
    ("data", "text", "type_name", "divisor"),
    [
        (struct.pack(">f", 23.7), "23.7", "real", 1),
        (struct.pack(">h", -237), "-23.7", "int", 10),
        (struct.pack(">i", 1_234_567), "1234.567", "dint", 1000),
        (bytes.fromhex("1123"), "12.3", "s5time", 1000),
        (bytes.fromhex("0415"), "415", "bcd16", 1),
    ],
)
def test_s7_types(data: bytes, text: str, type_name: str, divisor: int) -> None:
    prober = S7Prober()
    memory = bytes([1] * 6) + data + bytes([1] * 7)
    cells = prober.cells(S7_SETTINGS, "DB5", 0, len(memory) - 1)
    found = readings(prober, S7_SETTINGS, runs(prober, S7_SETTINGS, cells, list(memory)))
    candidates = guess(found, [shown(text)])[0].candidates
    wanted = [c for c in candidates if (c.reading.type, c.divisor) == (type_name, divisor)]
    assert [c.reading.place for c in wanted] == [6]
    assert candidates.index(wanted[0]) < 2


def test_a_gap_separates() -> None:
    values: list[Any] = [1, 2, None, 4]
    found = runs(PROBER, SETTINGS, CELLS[:4], values)
    assert [(run.start, run.data.hex()) for run in found] == [(0, "00010002"), (3, "0004")]
    assert not [r for r in readings(PROBER, SETTINGS, found) if r.size == 4 and r.place != 0]


@pytest.mark.parametrize(
    ("text", "value", "decimals"),
    [("23.7", 23.7, 1), ("-415", -415, 0), ("２３．７0", 0, 0), ("23．70", 23.7, 2)],
)
def test_what_a_display_shows(text: str, value: float, decimals: int) -> None:
    if not value:
        with pytest.raises(NotANumber):
            shown(text)
        return
    assert (shown(text).value, shown(text).decimals) == (value, decimals)


@pytest.mark.parametrize("text", ["", "abc", "1e5", "nan", "1.2.3", "--5"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(NotANumber):
        shown(text)
