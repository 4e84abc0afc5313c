"""Rolling sums against levels: exact, the highest only, calm on the way down, whatever the order and the batches."""

import random
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.stations.judge import StationJudge
from services.rules.stations.state import KEPT, NEXT
from tests.services.rules.stations.made import H, judged, levels, rainstorm, reading
from tests.services.rules.stations.reference import rain_course
from tongluo.finding import Level
from tongluo.quality import Flag
from tongluo.reading import Reading
from tongluo.readings import gathered, microseconds

RULES = rainstorm()
[RULE] = RULES.station_rules
[ITEM] = RULE.items
HOUR = timedelta(hours=1)


def dry(begin: int, end: int, every: int = 10) -> list[Reading]:
    return [reading(minute, 0.0) for minute in range(begin, end, every)]


def course(readings: list[Reading], cuts: tuple[int, ...] = ()) -> list[tuple[int, Level | None]]:
    return [(microseconds(found.time), found.level) for found in judged(RULES, *readings, cuts=cuts)]


@pytest.mark.parametrize(
    ("window_h", "mm", "level"),
    [(12, 50.0, Level.BLUE), (6, 50.0, Level.YELLOW), (3, 50.0, Level.ORANGE), (3, 100.0, Level.RED)],
)
def test_each_threshold_is_reached_exactly(window_h: int, mm: float, level: Level) -> None:
    """Evenly spread over its window in steps of 0.1 mm, which binary fractions cannot add up exactly."""
    steps = round(mm * 10)
    storm = [reading((n + 1) * window_h * H / steps, 0.1) for n in range(steps)]
    assert levels(RULES, *storm)[-1] is level
    # A tenth of a millimetre less never gets there.
    assert level not in levels(RULES, *storm[:-1])


def test_only_the_highest_level_is_told() -> None:
    """50 mm at once satisfies blue, yellow and orange together."""
    assert levels(RULES, reading(0, 50.0)) == [Level.ORANGE]


def test_sixty_millimetres_in_three_hours_and_then_calm() -> None:
    storm = [reading(30 * n, 10.0) for n in range(1, 7)]
    found = judged(RULES, *storm, *dry(190, 24 * H))
    assert [finding.level for finding in found] == [Level.ORANGE, Level.YELLOW, Level.BLUE, None]


def test_levels_fall_at_their_own_moments_however_seldom_the_gauge_speaks() -> None:
    """One dry report a day later tells the same course as a report every ten minutes."""
    storm = [reading(30 * n, 10.0) for n in range(1, 7)]
    assert course([*storm, reading(27 * H, 0.0)]) == course([*storm, *dry(190, 27 * H + 1)])


def test_a_wobble_above_the_lower_level_restarts_the_calm() -> None:
    """40 mm (0.8 of 50) in 3 h holds orange; it takes an unbroken hour below to give it up."""
    start = [reading(0, 45.0), reading(10, 5.0)]
    # At 190 min both have left the window; 30 minutes of calm, then rain that brings the sum back over 40.
    wobble = [*dry(20, 220), reading(220, 41.0)]
    calm = dry(230, 220 + 3 * H + 50)
    assert levels(RULES, *start, *wobble, *calm) == [Level.ORANGE]
    longer = [*start, *wobble, *calm, *dry(220 + 3 * H + 50, 220 + 3 * H + 70)]
    assert levels(RULES, *longer)[-1] is Level.YELLOW


def test_rain_hovering_at_the_threshold_does_not_flap() -> None:
    storm = [reading(10 * n, 50 / 18 + (0.05 if n % 2 else -0.05)) for n in range(200)]
    assert levels(RULES, *storm).count(Level.ORANGE) == 1


def test_what_ran_out_in_a_silence_is_given_up_before_new_rain_is_judged() -> None:
    """After a day without a word, 45 mm is a new storm below the threshold, not the old one still held."""
    assert levels(RULES, reading(0, 60.0), reading(24 * H, 45.0))[-1] is None
    found = judged(RULES, reading(0, 60.0), reading(24 * H, 60.0))
    assert [f.level for f in found][-2:] == [None, Level.ORANGE]
    assert found[-2].time < found[-1].time


def test_silence_alone_lowers_nothing() -> None:
    """Nothing is found while nothing is heard: a dead gauge in a storm is no all-clear."""
    assert levels(RULES, reading(0, 60.0)) == [Level.ORANGE]


def test_a_bad_value_is_not_judged() -> None:
    assert levels(RULES, reading(0, 500.0, flags=Flag.RANGE)) == []


def test_twice_counts_once() -> None:
    assert levels(RULES, reading(0, 30.0), reading(0, 30.0)) == []
    assert levels(RULES, reading(0, 30.0), reading(10, 0.1), reading(0, 30.0)) == []


def test_a_late_reading_within_the_allowed_hour_is_judged_and_told_as_late() -> None:
    [found] = judged(RULES, reading(0, 30.0), reading(60, 0.0), reading(30, 30.0))
    assert (found.level, found.evidence.late) == (Level.ORANGE, True)
    assert found.time == reading(30, 0.0).time


def test_what_a_late_reading_shows_to_have_been_is_told_though_it_is_over() -> None:
    """Red for ten minutes at the line, seen only when the missing report comes."""
    rules = rainstorm(late=timedelta(hours=6))
    before = [reading(0, 60.0), reading(2 * H + 55, 30.0), *dry(3 * H, 4 * H + 50)]
    found = judged(rules, *before, reading(2 * H, 10.0))
    assert (Level.RED, True) in [(f.level, f.evidence.late) for f in found]


def test_back_fill_of_the_past_raises_nothing() -> None:
    assert levels(RULES, reading(0, 0.0), reading(24 * H, 0.0), reading(30, 90.0)) == []
    late = [reading(minute, 20.0, flags=Flag.LATE) for minute in range(0, 300, 30)]
    assert levels(RULES, *late) == []
    assert levels(RULES, *late, reading(40 * H, 0.0)) == []


def test_back_fill_still_in_a_window_raises_now() -> None:
    """The line was cut for two hours of the storm: with what it brings, the sum of now is over the line."""
    [found] = judged(RULES, reading(0, 1.0), reading(150, 1.0), reading(40, 60.0, flags=Flag.LATE))
    assert (found.level, found.evidence.late, found.time) == (Level.ORANGE, True, reading(150, 0.0).time)
    late = [reading(40, 60.0, flags=Flag.LATE), reading(50, 0.0, flags=Flag.LATE)]
    [found] = judged(RULES, *late, reading(60, 0.0))
    assert (found.level, found.time) == (Level.ORANGE, reading(60, 0.0).time)


def test_a_suspect_value_raises_nothing_alone_and_counts_as_far_as_another_gauge_bears_it_out() -> None:
    spike = reading(10, 120.0, "R-1", Flag.SPIKE)
    assert levels(RULES, reading(0, 0.0), spike, reading(20, 0.0)) == []
    found = judged(RULES, reading(0, 0.0), spike, reading(20, 60.0, "R-2"))
    assert [f.level for f in found] == [Level.ORANGE]
    votes = {vote.voter: (vote.level, vote.doubtful) for vote in found[0].evidence.votes}
    assert votes == {"R-1": (Level.RED, True), "R-2": (Level.ORANGE, False)}
    assert levels(RULES, spike, reading(20, 101.0, "R-2", Flag.STUCK)) == [Level.RED]


def test_what_is_trusted_is_judged_without_the_doubts() -> None:
    """A suspect 45 mm and trusted 10 mm make no orange; trusted 50 mm beside them do, and no red."""
    assert levels(RULES, reading(0, 45.0, flags=Flag.RATE), reading(10, 10.0)) == []
    assert levels(RULES, reading(0, 60.0, flags=Flag.RATE), reading(10, 50.0)) == [Level.ORANGE]


def test_a_site_has_the_level_of_its_worst_gauge() -> None:
    found = judged(RULES, reading(0, 60.0, "R-1"), reading(5, 110.0, "R-2"), reading(10, 0.0, "R-1"))
    assert [f.level for f in found] == [Level.ORANGE, Level.RED]
    assert found[1].evidence.station == "R-2"


def test_gauges_whose_clocks_disagree_still_tell_in_order() -> None:
    found = judged(RULES, reading(60, 60.0, "R-1"), reading(0, 110.0, "R-2"))
    assert [f.level for f in found] == [Level.ORANGE, Level.RED]
    assert found[0].time < found[1].time


def test_a_fast_clock_makes_nobody_else_late() -> None:
    ahead = reading(10 * 24 * H, 0.1, "R-2")
    assert levels(RULES, ahead, reading(0, 30.0), reading(10, 30.0)) == [Level.ORANGE]


def test_the_evidence_says_why() -> None:
    [found] = judged(RULES, reading(0, 20.0), reading(60, 35.0))
    evidence = found.evidence
    assert {m.indicator: m.value for m in evidence.measures} == {
        "1h": 35.0, "3h": 55.0, "6h": 55.0, "12h": 55.0, "24h": 55.0,
    }  # fmt: skip
    assert evidence.criterion is not None
    assert (evidence.criterion.indicator, evidence.criterion.reach, evidence.criterion.release) == (
        "3h",
        50.0,
        40.0,
    )
    assert evidence.used is not None
    assert (evidence.used.count, evidence.used.first) == (2, reading(0, 0.0).time)
    assert evidence.sentence.zh == "R-1 截至 7月1日 09:00，3h 55.0 毫米，达到橙色线 50.0 毫米。"
    assert (evidence.rule_version, evidence.source) == ("v", "a source")


# A gauge every five minutes: dry, wet, or not heard; amounts that meet thresholds exactly now and then.
storms = st.lists(
    st.tuples(st.integers(0, 2 * 24 * 12), st.sampled_from([0.0, 0.1, 2.5, 10.0, 12.5, 25.0, 50.0])),
    max_size=60,
    unique_by=lambda one: one[0],
).map(lambda items: [reading(5 * slot, mm) for slot, mm in sorted(items)])


@settings(max_examples=150, deadline=None)
@given(storms, st.sets(st.integers(0, 60)))
def test_it_finds_what_the_reference_finds_however_it_is_cut(storm: list[Reading], cuts: set[int]) -> None:
    places = tuple(cut for cut in cuts if cut <= len(storm))
    assert course(storm, places) == rain_course(ITEM, storm)


def unsettled(storm: list[Reading], source: random.Random) -> list[Reading]:
    """The same readings, each at most an hour behind the newest one before it."""
    waiting, order = list(storm), []
    newest = None
    while waiting:
        soon = [
            r
            for r in waiting
            if r.time - waiting[0].time < HOUR and (newest is None or r.time > newest - HOUR)
        ]
        # Whoever would be too late if any other went first goes now.
        one = source.choice([r for r in soon if all(r.time - HOUR < w.time for w in waiting)])
        waiting.remove(one)
        order.append(one)
        newest = one.time if newest is None else max(newest, one.time)
    return order


@settings(max_examples=150, deadline=None)
@given(storms, st.integers())
def test_the_order_within_lateness_changes_nothing_in_the_end(storm: list[Reading], seed: int) -> None:
    """State and level are those of the right order; nothing that was reached is missed."""
    order = unsettled(storm, random.Random(seed))  # noqa: S311 - a test
    right, shuffled = StationJudge(RULES, None), StationJudge(RULES, None)
    for one in storm:
        right.judge(gathered([one]))
    found = [f for one in order for f in shuffled.judge(gathered([one])).findings]
    table = shuffled._tables["rain"]
    if storm:
        # All but when the last checkpoint was made, and until when nothing has to be looked at.
        states = [np.delete(t._state[0, 0], [KEPT, NEXT]) for t in (table, right._tables["rain"])]
        assert (states[0] == states[1]).all()
        assert (table._told[0] == right._tables["rain"]._told[0]).all()
    reference = rain_course(ITEM, storm)
    assert (found[-1].level if found else None) is (reference[-1][1] if reference else None)
    highest = max((level for _, level in reference if level), default=None)
    assert max((f.level for f in found if f.level), default=None) is highest


@settings(max_examples=60, deadline=None)
@given(storms, st.integers(0, 60))
def test_a_snapshot_anywhere_changes_nothing(storm: list[Reading], at: int) -> None:
    judge = StationJudge(RULES, None)
    found = [f for one in storm[:at] for f in judge.judge(gathered([one])).findings]
    again = StationJudge.unpack(judge.pack(), RULES, None)
    found += [f for one in storm[at:] for f in again.judge(gathered([one])).findings]
    assert found == judged(RULES, *storm)


def test_stations_are_judged_alike_however_many_there_are() -> None:
    source = random.Random(1)  # noqa: S311 - a test
    storm = [
        reading(5 * slot, source.choice([0.0, 0.0, 2.0, 9.0]), f"R-{n}", site=f"S-{n}")
        for slot in range(200)
        for n in range(40)
    ]
    together = judged(RULES, *storm)
    apart = [f for n in range(40) for f in judged(RULES, *(r for r in storm if r.station == f"R-{n}"))]
    assert sorted(together, key=lambda f: (f.site, f.time)) == sorted(apart, key=lambda f: (f.site, f.time))
    assert len(together) > 100
