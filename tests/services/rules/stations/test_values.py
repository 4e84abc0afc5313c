"""Windows over values: what each function says, confirmation, hold, calm, and lines crossed downward."""

import math
import random
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.catalogue.model import Catalogue, Function, Votes
from services.rules.formulas import creep
from services.rules.stations import values
from services.rules.stations.judge import StationJudge
from tests.services.rules.stations.made import (
    H,
    catalogue,
    confirm,
    indicator,
    item,
    judged,
    levels,
    line,
    reading,
    rule,
)
from tongluo.finding import Level, Side
from tongluo.quality import Flag
from tongluo.reading import Reading
from tongluo.readings import gathered, microseconds

METRIC = "displacement"
SPAN = timedelta(hours=6)


def point(minute: float, mm: float, flags: int = 0, station: str = "D-1") -> Reading:
    return reading(minute, mm, station, flags, METRIC)


def above(reach: float, function: Function = Function.LAST, **more: object) -> Catalogue:
    """One red line over one indicator."""
    more.setdefault("release_after", timedelta(0))
    indicators = [indicator("i", function, SPAN), indicator("last", Function.LAST)]
    one = item(indicators, [line(Level.RED, "i", reach, ratio=1.0)], METRIC, **more)
    return catalogue(rule(one))


series = st.lists(
    st.tuples(st.integers(0, 150), st.floats(-50, 50, width=16)),
    min_size=1,
    max_size=40,
    unique_by=lambda o: o[0],
).map(lambda items: [point(7 * slot, value) for slot, value in sorted(items)])


def expected(function: Function, times: np.ndarray, values: np.ndarray) -> float:  # noqa: PLR0911 - one a function
    """The same with numpy, of the readings in the window."""
    hours = (times - times[0]) / 3.6e9
    match function:
        case Function.LAST:
            return float(values[-1])
        case Function.SUM:
            return float(values.sum())
        case Function.MAX:
            return float(values.max())
        case Function.MEAN:
            return float(values.mean())
        case Function.COUNT:
            return float(len(values))
        case Function.CHANGE:
            return float(values[-1] - values[0])
        case Function.RATE:
            return float((values[-1] - values[0]) / hours[-1]) if len(values) > 1 else math.nan
        case Function.SLOPE:
            return float(np.polyfit(hours, values, 1)[0]) if len(values) > 2 else math.nan
        case Function.SINCE:
            wet = np.flatnonzero(values)
            return float(hours[-1] - hours[wet[-1]]) if len(wet) else math.nan
        case _:
            half = times <= times[-1] - 3 * 3.6e9
            parts = [expected(Function.SLOPE, times[~half], values[~half])]
            parts.append(expected(Function.SLOPE, times[half], values[half]) if half.any() else math.nan)
            return (parts[0] - parts[1]) / 3.0


@pytest.mark.parametrize("function", [f for f in Function if f is not Function.EVENT])
@settings(max_examples=40, deadline=None)
@given(readings=series)
def test_each_function_is_what_numpy_says_of_the_window(function: Function, readings: list[Reading]) -> None:
    judge = StationJudge(above(1e9, function), None)
    judge.judge(gathered(readings))
    table = judge._tables[METRIC]
    found = values.value(table._layout, table._columns(), table._memory.rings, 0, table._state[0, 0], 0)
    times = np.array([microseconds(r.time) for r in readings])
    inside = times > times[-1] - 6 * 3_600_000_000
    wanted = expected(function, times[inside], np.array([r.value for r in readings])[inside])
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-5, nan_ok=True)


def test_three_of_five_readings_confirm() -> None:
    rules = above(10.0, confirm=confirm(3, 5))
    assert levels(rules, *(point(10 * n, v) for n, v in enumerate([11, 0, 11, 0, 11]))) == [Level.RED]
    assert levels(rules, *(point(10 * n, v) for n, v in enumerate([11, 0, 0, 11, 0, 11, 0, 0]))) == []


def test_it_must_hold() -> None:
    rules = above(10.0, confirm=confirm(hold=timedelta(hours=1)))
    assert levels(rules, point(0, 11), point(30, 11), point(59, 11)) == []
    assert levels(rules, point(0, 11), point(30, 9), point(60, 11), point(119, 11)) == []
    [found] = judged(rules, point(0, 11), point(30, 11), point(60, 11))
    assert found.time == point(60, 0).time


def test_calm_beyond_the_release_line_gives_up() -> None:
    one = item([indicator("i", Function.LAST)], [line(Level.RED, "i", 10.0, ratio=0.8)], METRIC)
    rules = catalogue(rule(one))
    course = [(0, 11.0), (10, 9.0), (50, 7.0), (100, 8.5), (110, 7.0), (160, 7.0), (170, 7.0)]
    found = judged(rules, *(point(*value) for value in course))
    assert [(f.level, f.time) for f in found] == [(Level.RED, point(0, 0).time), (None, point(170, 0).time)]


def test_smaller_is_worse_where_the_line_is_below() -> None:
    """Phreatic depth: red at 4 m, orange at 4.4; given up when it is deeper than a fifth more."""
    lines = [line(Level.RED, "i", 4.0, Side.BELOW), line(Level.ORANGE, "i", 4.4, Side.BELOW)]
    rules = catalogue(rule(item([indicator("i", Function.LAST)], lines, METRIC, release_after=timedelta(0))))
    found = judged(rules, *(point(10 * n, m) for n, m in enumerate([6.0, 4.4, 4.0, 4.7, 4.9, 5.4])))
    assert [f.level for f in found] == [Level.ORANGE, Level.RED, Level.ORANGE, None]
    criterion = found[1].evidence.criterion
    assert criterion is not None
    assert (criterion.side, criterion.reach, criterion.release) == (Side.BELOW, 4.0, 4.8)
    assert "已低至红色线" in found[1].evidence.sentence.zh


def test_the_tangent_angle_is_that_of_the_formula() -> None:
    """v = 5.67 V is 80 degrees; without a reviewed uniform rate there is no angle and no level."""
    angle = indicator("angle", Function.SLOPE, SPAN, scale=24.0, divide_by="uniform_rate_mm_d", angle=True)
    rules = catalogue(rule(item([angle], [line(Level.ORANGE, "angle", 80.0)], METRIC)))
    rate = 5.672 * 3.0
    creeping = [point(30 * n, rate * 30 * n / (24 * H)) for n in range(12)]
    assert levels(rules, *creeping) == []
    known = Catalogue("1", rules.station_rules, parameters={"D-1": {"uniform_rate_mm_d": 3.0}})
    [found] = judged(known, *creeping)
    assert found.evidence.measures[0].value == pytest.approx(
        float(creep.tangent_angle_deg(rate, 3.0)), abs=1e-5
    )
    slow = Catalogue("1", rules.station_rules, parameters={"D-1": {"uniform_rate_mm_d": 3.01}})
    assert levels(slow, *creeping) == []


def test_a_suspect_value_confirms_nothing_alone() -> None:
    assert levels(above(10.0), point(0, 0.0), point(10, 50.0, Flag.SPIKE), point(20, 0.0)) == []
    found = levels(above(10.0), point(0, 50.0, Flag.SPIKE), point(10, 11.0, station="D-2"))
    assert found == [Level.RED]


@settings(max_examples=100, deadline=None)
@given(series, st.integers())
def test_the_order_within_lateness_changes_nothing_in_the_end(readings: list[Reading], seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - a test
    rules = catalogue(
        rule(
            item([indicator("i", Function.CHANGE, SPAN)], [line(Level.RED, "i", 30.0), line(Level.BLUE, "i", 10.0)],
                 METRIC, confirm=confirm(2, 3)),
            late=timedelta(days=1),
        )
    )  # fmt: skip
    order = list(readings)
    source.shuffle(order)
    order = [one for one in order if one.time > max(r.time for r in order) - timedelta(days=1)]
    right, shuffled = StationJudge(rules, None), StationJudge(rules, None)
    for one in sorted(order, key=lambda r: r.time):
        right.judge(gathered([one]))
    for one in order:
        shuffled.judge(gathered([one]))
    ours, theirs = (judge._tables[METRIC]._state[0, 0] for judge in (right, shuffled))
    assert (ours[:4] == theirs[:4]).all()
    assert (ours[5:] == theirs[5:]).all()


def test_the_counting_of_gb_39496() -> None:
    """Four blue points make the pond yellow; every vote is in the evidence."""
    one = item(
        [indicator("i", Function.LAST)], [line(Level.BLUE, "i", 1.0), line(Level.RED, "i", 9.0)], METRIC
    )
    rules = catalogue(rule(one, votes=Votes.GB39496))
    points = [point(n, 2.0, station=f"D-{n}") for n in range(4)]
    found = judged(rules, *points)
    assert [f.level for f in found] == [Level.BLUE, Level.YELLOW]
    assert len(found[-1].evidence.votes) == 4
    assert "合计判为黄色" in found[-1].evidence.sentence.zh


def test_k_of_n_stations() -> None:
    one = item([indicator("i", Function.LAST)], [line(Level.ORANGE, "i", 1.0)], METRIC)
    rules = catalogue(rule(one, votes=Votes.K_OF_N, k_of_n={Level.ORANGE: 2, Level.YELLOW: 1}))
    found = judged(rules, point(0, 2.0, station="D-1"), point(1, 2.0, station="D-2"))
    assert [f.level for f in found] == [Level.YELLOW, Level.ORANGE]
