"""A short run of the duel, and a line on which Hypothesis looks for the shortest difference."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.config.model import Alarming, Limit, LimitKind, Output, Plausible, Priority, TagRef, Window
from edge_agent.model import Quality, Scaling, Tag, ValueType
from tests.model import seeded
from tests.model.coverage import missing
from tests.model.run import run
from tests.model.shrink import replay, shrink
from tests.model.story import Clock, Line, Order, Poll, Reload, Restart, Tick, shown

STEPS = 25_000
LIMIT_S = 15.0
SECOND_NS = 1_000_000_000


def test_engine_and_model_tell_the_same_story() -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    for _, failure in run(seed, STEPS, LIMIT_S):
        if failure is not None:
            shortest = shrink(failure, limit_s=20.0)
            told = "\n".join(map(shown, [*shortest.line.windows, *shortest.steps]))
            raise AssertionError(f"seed {seed}, story {failure.seed}:\n{told}\n{shortest.text}")


def test_a_run_that_reaches_nothing_fails() -> None:
    assert {"letter H", "limit rise", "reason frozen", "alarm_realarmed"} <= set(missing({"letter A": 5}))


def test_there_are_faults_to_prove_the_duel_with(tmp_path: Path) -> None:
    """``python -m tests.model --bugs`` seeds them one by one. The engine may move on, but not so far."""
    shutil.copytree(seeded.ROOT / "edge_agent" / "control", tmp_path / "edge_agent" / "control")
    fitting = [name for name in seeded.names() if seeded.apply(name, tmp_path, "--check")]
    print("do not fit any more:", sorted(set(seeded.names()) - set(fitting)))
    assert len(fitting) >= 12


GROUP = ("press-1", "fast")
TAGS = (
    Tag("pressure", "", ValueType.INT16, "fast", scaling=Scaling(0.1, 0.0)),
    Tag("setpoint", "", ValueType.INT16, "fast", scaling=Scaling(0.1, 0.0)),
    Tag("running", "", ValueType.BOOL, "fast"),
)
PRESSURE, SETPOINT, RUNNING = (TagRef("press-1", tag.name) for tag in TAGS)
RISE = Limit(LimitKind.RISE, 0.45, over_s=2.0, alarming=Alarming(ack=False, first_out="trip"))
BAD = Limit(LimitKind.BAD_INPUT, on_delay_s=1.0, alarming=Alarming(Priority.LOW))
FOLLOWING = Window(
    "a", PRESSURE, target=SETPOINT, tolerance=0.3, deadband=0.1, on_delay_s=1.0, off_delay_s=0.5,
    when=RUNNING, grace_s=1.0, further=(RISE, BAD),
    alarming=Alarming(Priority.HIGH, latch=True, realarm_s=2.0, first_out="trip"),
)  # fmt: skip
FIXED = Window(
    "b", PRESSURE, low=0.1, high=0.5, plausible=Plausible(0.0, 0.9, 1.35, 2.0),
    alarming=Alarming(first_out="trip"),
)  # fmt: skip
LINE = Line(
    ((GROUP, TAGS),),
    (FOLLOWING, FIXED),
    (Output(TagRef("press-1", "horn"), Priority.MEDIUM, silence=True),),
)
CHANGED = Line(LINE.groups, (FOLLOWING, Window("b", PRESSURE, high=0.6)), LINE.outputs)

AFTER_NS = st.sampled_from([0, 1, SECOND_NS // 2, SECOND_NS, 2 * SECOND_NS, 4 * SECOND_NS])
QUALITIES = st.sampled_from(
    [
        *[Quality.GOOD] * 6,
        Quality.BAD_COMM,
        Quality.UNCERTAIN,
        Quality.UNCERTAIN_SOURCE_TIME,
        Quality.UNCHANGED,
        Quality.NOT_REPORTED,
    ]
)
POLLS = st.builds(
    lambda after_ns, late_ns, values, quality: Poll(after_ns, GROUP, late_ns, values, bytes(quality)),
    AFTER_NS,
    st.sampled_from([0, 0, 1, SECOND_NS]),
    st.tuples(st.integers(-1, 10), st.integers(2, 4), st.booleans()),
    st.tuples(QUALITIES, QUALITIES, QUALITIES),
)
ORDERS = st.builds(
    Order,
    AFTER_NS,
    st.sampled_from(["ack", "reset", "shelve", "unshelve", "suppress", "unsuppress", "silence"]),
    st.sampled_from(["a.high", "a.low", "a.rise", "a.bad_input", "b.high", "b.low"]),
    comment=st.sampled_from(["repair", ""]),
    duration_s=st.sampled_from([1.0, 5.0, None]),
)
STEP = st.one_of(
    POLLS,
    POLLS,
    POLLS,
    st.builds(Tick, AFTER_NS),
    ORDERS,
    st.builds(Clock, AFTER_NS, st.sampled_from([-60 * SECOND_NS, SECOND_NS])),
    st.builds(
        Restart,
        AFTER_NS,
        st.sampled_from([0, SECOND_NS, -SECOND_NS]),
        st.just(5 * SECOND_NS),
        st.booleans(),
    ),
    st.builds(Reload, AFTER_NS, st.sampled_from([LINE, CHANGED])),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, min_size=5, max_size=40))
def test_no_short_story_tells_them_apart(steps: list[Poll | Tick | Order | Clock | Restart | Reload]) -> None:
    difference, count = replay(LINE, steps)
    assert not difference, f"step {count}: {difference}"
