"""What rain means by how wet the ground is, how long the storm has been going on, and how much fell in the days before."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.catalogue.model import (
    Catalogue,
    EventCurve,
    Function,
    LevelLine,
    Soil,
    SoilModel,
)
from services.rules.catalogue.model import Indicator as OfCatalogue
from services.rules.formulas import rainfall
from tests.services.rules.stations.made import (
    START,
    H,
    catalogue,
    indicator,
    item,
    judged,
    levels,
    line,
    reading,
    rule,
    words,
)
from tongluo.finding import Level
from tongluo.reading import Reading
from tongluo.readings import microseconds

DAY = 24 * H
MODEL = SoilModel(k=0.9, capacity_mm=100.0)
CAINE = EventCurve(a=14.82, b=0.39)


def village() -> Catalogue:
    """双河1组: 40, 35 or 30 mm in an hour, by the state of the ground."""
    lines = [
        LevelLine(Level.RED, "1h", None, 0.8, by_soil={Soil.DRY: 40.0, Soil.NORMAL: 35.0, Soil.WET: 30.0})
    ]
    return catalogue(rule(item([indicator("1h", Function.SUM, timedelta(hours=1))], lines, soil=MODEL)))


def storms_of() -> Catalogue:
    curve = OfCatalogue("id", words("id"), "", Function.EVENT, curve=CAINE)
    return catalogue(rule(item([curve], [line(Level.ORANGE, "id", 1.0)])))


def days_of_rain(mm: float, days: int) -> list[Reading]:
    """At noon of each day, in showers that are no flash flood."""
    return [reading(day * DAY + 4 * H + 65 * n, mm / 4) for day in range(days) for n in range(4)]


@pytest.mark.parametrize(("before_mm", "days", "soil"), [(0.0, 0, 0), (30.0, 3, 1), (60.0, 3, 2)])
def test_the_wetter_the_ground_the_less_rain_it_takes(before_mm: float, days: int, soil: int) -> None:
    """Pa by the reference tells which line holds; a tenth of a millimetre decides."""
    before = days_of_rain(before_mm, days)
    at = days * DAY + 10 * H
    pa = rainfall.antecedent_at(
        [microseconds(r.time) for r in before],
        [r.value for r in before],
        microseconds(reading(at, 0).time),
        MODEL,
    )
    assert [Soil.DRY, Soil.NORMAL, Soil.WET].index(rainfall.soil_state(pa, MODEL)) == soil
    reach = (40.0, 35.0, 30.0)[soil]
    assert levels(village(), *before, reading(at, reach)) == [Level.RED]
    assert levels(village(), *before, reading(at, reach - 0.1)) == []


def test_the_ground_dries() -> None:
    """0.9 a day: from 80 of 100 mm to under 50 in five days."""
    wet = days_of_rain(60.0, 3)
    assert levels(village(), *wet, reading(3 * DAY + 10 * H, 32.0)) == [Level.RED]
    assert levels(village(), *wet, reading(12 * DAY, 32.0)) == []
    assert levels(village(), *wet, reading(900 * DAY, 39.0)) == []


def test_a_storm_above_caines_curve_is_found_at_the_reading_that_crosses_it() -> None:
    """I = 14.82 D^-0.39: 14.82 mm in the first hour, 21.9 in two (two readings an hour apart, the first five minutes)."""
    assert levels(storms_of(), reading(0, 14.8)) == []
    assert levels(storms_of(), reading(0, 14.83)) == [Level.ORANGE]
    two_hours = 14.82 * 2.0**0.61
    start, end = reading(0, 10.0), 115.0
    assert levels(storms_of(), start, reading(end, two_hours - 10.0 - 0.01)) == []
    assert levels(storms_of(), start, reading(end, two_hours - 10.0 + 0.01)) == [Level.ORANGE]


def test_three_dry_hours_end_a_storm_and_calm_gives_it_up() -> None:
    found = judged(storms_of(), reading(0, 30.0), reading(10 * H, 0.0))
    assert [(f.level, (f.time - START) / timedelta(minutes=1)) for f in found] == [
        (Level.ORANGE, 0.0), (None, 4.0 * H + 5),
    ]  # fmt: skip


amounts = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from([0.5, 3.0, 9.0, 20.0])),
    min_size=1,
    max_size=40,
    unique_by=lambda o: o[0],
)


@settings(max_examples=100, deadline=None)
@given(amounts)
def test_the_event_is_that_of_the_reference(rain: list[tuple[int, float]]) -> None:
    """The first crossing, against the formula applied to the events that the series is split into."""
    series = [reading(5 * slot, mm) for slot, mm in sorted(rain)]
    times, mms = [microseconds(r.time) for r in series], [r.value for r in series]
    dry_us, interval_us = microseconds(reading(3 * H, 0).time) - microseconds(START), 300_000_000
    expected = None
    for end in range(1, len(series) + 1):
        found = rainfall.events(times[:end], mms[:end], dry_us, interval_us)
        if rainfall.event_ratio(found, CAINE, times[end - 1]) >= 1.0:
            expected = times[end - 1]
            break
    raised = [microseconds(f.time) for f in judged(storms_of(), *series) if f.level]
    assert (raised[0] if raised else None) == expected


def test_three_days_and_the_fifteen_before() -> None:
    """P3 + 0.67 P15 >= 88.9 mm (3.5 inches), where 15 days before the last three are S432 - S72."""
    windows = [
        indicator("72h", Function.SUM, timedelta(hours=72)),
        indicator("432h", Function.SUM, timedelta(hours=432)),
    ]
    excess = OfCatalogue("p3p15", words("p"), "mm", weights={"72h": 0.33, "432h": 0.67})
    rules = catalogue(rule(item([*windows, excess], [line(Level.YELLOW, "p3p15", 88.9)])))
    before = [reading(day * DAY, 10.0) for day in range(1, 11)]
    at = 14 * DAY
    needed = 88.9 - 0.67 * 100.0
    assert levels(rules, *before, reading(at, round(needed + 0.1, 1))) == [Level.YELLOW]
    assert levels(rules, *before, reading(at, round(needed - 0.1, 1))) == []
    p3, p15 = rainfall.p3_p15(
        [microseconds(r.time) for r in [*before, reading(at, 22.0)]], [10.0] * 10 + [22.0],
        microseconds(reading(at, 0).time),
    )  # fmt: skip
    assert rainfall.seattle_excess(p3, p15) == pytest.approx(p3 + 0.67 * p15 - 88.9, abs=1e-9)
