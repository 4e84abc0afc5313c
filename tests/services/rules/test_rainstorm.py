"""The judgement of rainstorms: levels by published thresholds, the highest only, calm on the way down."""

import itertools
import random
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.catalogue import load
from services.rules.rainstorm import RainstormJudge, SiteRain
from tongluo.finding import Finding, Level
from tongluo.quality import Flag
from tongluo.reading import Reading

[RULE] = load()
START = datetime(2026, 7, 1, tzinfo=UTC)
H = 60  # minutes


def reading(minute: float, mm: float, station: str = "R-1", flags: int = 0) -> Reading:
    return Reading(station, "rain", START + timedelta(minutes=minute), mm, "S-1", "G-1", flags)


def judged(*readings: Reading) -> list[Finding]:
    judge = RainstormJudge(RULE)
    site = judge.new_site()
    return [finding for item in readings for finding in judge.judge(site, item)]


def levels(*readings: Reading) -> list[Level | None]:
    return [finding.level for finding in judged(*readings)]


def dry(begin: int, end: int, every: int = 10) -> list[Reading]:
    return [reading(minute, 0.0) for minute in range(begin, end, every)]


@pytest.mark.parametrize(
    ("window_h", "mm", "level"),
    [(12, 50.0, Level.BLUE), (6, 50.0, Level.YELLOW), (3, 50.0, Level.ORANGE), (3, 100.0, Level.RED)],
)
def test_each_threshold_is_reached_exactly(window_h: int, mm: float, level: Level) -> None:
    """Evenly spread over its window in steps of 0.1 mm, which binary fractions cannot add up exactly."""
    steps = round(mm * 10)
    storm = [reading((n + 1) * window_h * H / steps, 0.1) for n in range(steps)]
    assert levels(*storm)[-1] is level
    # A tenth of a millimetre less never gets there.
    assert level not in levels(*storm[:-1])


def test_only_the_highest_level_is_told() -> None:
    """50 mm at once satisfies blue, yellow and orange together."""
    assert levels(reading(0, 50.0)) == [Level.ORANGE]


def test_sixty_millimetres_in_three_hours_and_then_calm() -> None:
    storm = [reading(30 * n, 10.0) for n in range(1, 7)]
    found = judged(*storm, *dry(190, 24 * H))
    assert [finding.level for finding in found] == [Level.ORANGE, Level.YELLOW, Level.BLUE, None]
    assert len({finding.time for finding in found}) == 4


def test_a_single_dry_reading_a_day_later_clears_it_in_one_step() -> None:
    storm = [reading(30 * n, 10.0) for n in range(1, 7)]
    assert levels(*storm, reading(27 * H, 0.0)) == [Level.ORANGE, None]


def test_a_wobble_above_the_lower_level_restarts_the_calm() -> None:
    """40 mm (0.8 of 50) in 3 h holds orange; it takes an unbroken hour below to give it up."""
    start = [reading(0, 45.0), reading(10, 5.0)]
    # At 190 min both have left the window; 30 minutes of calm, then rain that brings the sum back over 40.
    wobble = [*dry(20, 220), reading(220, 41.0)]
    calm = dry(230, 220 + 3 * H + 50)
    found = judged(*start, *wobble, *calm)
    assert [f.level for f in found] == [Level.ORANGE]
    assert judged(*start, *wobble, *calm, *dry(220 + 3 * H + 50, 220 + 3 * H + 70))[-1].level is Level.YELLOW


def test_rain_hovering_at_the_threshold_does_not_flap() -> None:
    storm = [reading(10 * n, 50 / 18 + (0.05 if n % 2 else -0.05)) for n in range(200)]
    assert levels(*storm).count(Level.ORANGE) == 1


def test_what_ran_out_in_a_silence_is_given_up_before_new_rain_is_judged() -> None:
    """After a day without a word, 45 mm is a new storm below the threshold, not the old one still held."""
    found = judged(reading(0, 60.0), reading(24 * H, 45.0))
    assert [f.level for f in found] == [Level.ORANGE, None]
    found = judged(reading(0, 60.0), reading(24 * H, 60.0))
    assert [f.level for f in found] == [Level.ORANGE, None, Level.ORANGE]
    assert found[1].time < found[2].time


def test_silence_alone_lowers_nothing() -> None:
    """Nothing is found while nothing is heard: a dead gauge in a storm is no all-clear."""
    assert levels(reading(0, 60.0)) == [Level.ORANGE]


def test_a_flagged_value_never_raises() -> None:
    assert levels(reading(0, 500.0, flags=Flag.RANGE)) == []


def test_twice_counts_once() -> None:
    assert levels(reading(0, 30.0), reading(0, 30.0)) == []


def test_a_late_reading_within_the_allowed_hour_is_judged() -> None:
    found = judged(reading(0, 30.0), reading(60, 0.0), reading(30, 30.0))
    assert [f.level for f in found] == [Level.ORANGE]


def test_back_fill_of_the_past_raises_nothing() -> None:
    assert levels(reading(0, 0.0), reading(24 * H, 0.0), reading(30, 90.0)) == []


def test_a_site_has_the_level_of_its_worst_gauge() -> None:
    found = judged(reading(0, 60.0, "R-1"), reading(5, 110.0, "R-2"), reading(10, 0.0, "R-1"))
    assert [f.level for f in found] == [Level.ORANGE, Level.RED]
    assert found[1].evidence.station == "R-2"


def test_gauges_whose_clocks_disagree_still_tell_in_order() -> None:
    found = judged(reading(60, 60.0, "R-1"), reading(0, 110.0, "R-2"))
    assert [f.level for f in found] == [Level.ORANGE, Level.RED]
    assert found[0].time < found[1].time


def test_the_evidence_says_why() -> None:
    [found] = judged(reading(0, 20.0), reading(60, 35.0))
    assert found.evidence.indicators_mm == {"1h": 35.0, "3h": 55.0, "6h": 55.0, "12h": 55.0, "24h": 55.0}
    assert found.evidence.criterion is not None
    assert (found.evidence.criterion.window, found.evidence.criterion.reach_mm) == ("3h", 50.0)
    assert found.evidence.rule_version == RULE.version


storms = st.lists(
    st.tuples(st.integers(0, 2 * 24 * 12), st.floats(0, 40)), max_size=80, unique_by=lambda item: item[0]
).map(lambda items: [reading(5 * slot, round(mm, 1)) for slot, mm in sorted(items)])


@given(storms, st.integers(0, 80))
def test_state_survives_a_restart_anywhere(storm: list[Reading], cut: int) -> None:
    judge = RainstormJudge(RULE)
    site = judge.new_site()
    found = [finding for item in storm[:cut] for finding in judge.judge(site, item)]
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(site), type=SiteRain)
    found += [finding for item in storm[cut:] for finding in RainstormJudge(RULE).judge(restored, item)]
    assert found == judged(*storm)


@given(storms)
def test_findings_follow_each_other_and_always_change_the_level(storm: list[Reading]) -> None:
    found = judged(*storm)
    for before, after in itertools.pairwise(found):
        assert before.time < after.time
        assert before.level is not after.level


@given(storms)
def test_the_level_is_never_below_what_the_sums_say(storm: list[Reading]) -> None:
    judge = RainstormJudge(RULE)
    site = judge.new_site()
    taken: list[Reading] = []
    for item in storm:
        judge.judge(site, item)
        taken.append(item)
        reached = [
            c.level
            for c in RULE.criteria
            if round(sum(1000 * r.value for r in taken if item.time - c.span < r.time <= item.time))
            >= 1000 * c.reach_mm
        ]
        if reached:
            assert site.level is not None
            assert site.level >= max(reached)


def test_a_changed_rule_judges_the_rain_already_fallen() -> None:
    judge = RainstormJudge(RULE)
    site = judge.new_site()
    judge.judge(site, reading(0, 45.0))
    stricter = msgspec.structs.replace(
        RULE,
        version="new",
        criteria=tuple(msgspec.structs.replace(c, reach_mm=0.8 * c.reach_mm) for c in RULE.criteria),
    )
    [found] = RainstormJudge(stricter).judge(site, reading(10, 0.0))
    assert found.level is Level.ORANGE


def renamed(version: str) -> RainstormJudge:
    return RainstormJudge(msgspec.structs.replace(RULE, version=version))


def test_a_change_of_rule_is_no_all_clear() -> None:
    judge = RainstormJudge(RULE)
    site = judge.new_site()
    [red] = judge.judge(site, reading(0, 110.0, "R-1"))
    assert red.level is Level.RED
    assert renamed("new").judge(site, reading(5, 0.0, "R-2")) == []
    assert renamed("newer").judge(site, reading(10, 0.0, "R-1")) == []


def test_a_change_of_rule_keeps_what_is_held_between_its_two_lines() -> None:
    judge = RainstormJudge(RULE)
    site = judge.new_site()
    for item in (reading(0, 8.0), reading(10, 42.0), reading(185, 0.0)):
        judge.judge(site, item)
    assert site.level is Level.ORANGE  # 42 mm: below 50, above 40
    assert renamed("new").judge(site, reading(186, 0.0)) == []


def test_many_small_sums_do_not_drift() -> None:
    source = random.Random(1)  # noqa: S311 - a test
    judge = RainstormJudge(RULE)
    site = judge.new_site()
    for n in range(5000):
        judge.judge(site, reading(5 * n, round(source.random(), 1)))
    for n in range(5000, 5000 + 300):
        judge.judge(site, reading(5 * n, 0.0))
    assert site.stations["R-1"].sums.sums == [0] * 5
    assert site.level is None
