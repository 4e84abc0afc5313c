"""The storm keeps what it promises, by exact rolling sums, for any seed and any moment it begins at."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.simulator import messages
from sensors.simulator.field import Field, Observation, record_start
from sensors.simulator.scenarios import Calm, parts_of, storm
from sensors.simulator.storm import BURST
from tests.sensors.rainbook import crossings, highest, only_rain, told
from tongluo.region import County

T0 = datetime(2026, 7, 1, 2, 3, 17, tzinfo=UTC)

# The storm's shape depends on the seed through where it breaks out, and on T0 through its place on the grid.
seeds = st.integers(0, 500)
anchors = st.integers(0, 86_400).map(lambda second: T0 + timedelta(seconds=second))


@pytest.fixture(scope="module")
def gauges(qingtian: County) -> County:
    return only_rain(qingtian)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, anchor=anchors)
def test_the_storm_ends_with_four_orange_two_yellow_one_blue_and_never_red(
    gauges: County, seed: int, anchor: datetime
) -> None:
    met = crossings(told(gauges, storm(gauges, seed, anchor), anchor, seed=seed))
    assert Counter(map(highest, met.values())) == {"orange": 4, "yellow": 2, "blue": 1, "none": 10}


@settings(max_examples=25, deadline=None)
@given(seed=seeds, anchor=anchors)
def test_nothing_is_met_before_t0_and_the_worst_hit_gauge_is_first_some_twenty_seconds_after(
    gauges: County, seed: int, anchor: datetime
) -> None:
    met = crossings(told(gauges, storm(gauges, seed, anchor), anchor, seed=seed))
    first = min(time for levels in met.values() for time in levels.values())
    assert timedelta(seconds=19) <= first - anchor <= timedelta(seconds=27)
    focus = parts_of(gauges, seed)[0].id
    assert met[focus]["orange"] == met[focus]["yellow"] == first  # straight to orange, no step in between


@settings(max_examples=25, deadline=None)
@given(seed=seeds, anchor=anchors)
def test_the_hours_before_bring_the_nearest_gauges_close_to_the_threshold(
    gauges: County, seed: int, anchor: datetime
) -> None:
    before = Counter[str]()
    for seen in told(gauges, storm(gauges, seed, anchor), anchor, seed=seed, live_s=0):
        if seen.metric == "rain" and seen.time > anchor - timedelta(hours=3):
            before[seen.station] += round(seen.value * 10)
    worst = sorted(before.values(), reverse=True)
    # Reports are rounded to tenths of a millimetre: in sum a few of them may be missing.
    assert all(375 <= tenths <= 440 for tenths in worst[:4])
    assert all(tenths < 380 for tenths in worst[4:])
    assert worst.count(0) >= 4


def test_the_rain_stops_after_four_minutes(qingtian: County) -> None:
    rain = [s for s in told(qingtian, storm(qingtian, 1, T0), T0, live_s=900) if s.metric == "rain"]
    assert any(s.value > 0 for s in rain if s.time > T0)
    # Five seconds: the report that brings the burst's last drops.
    assert not any(s.value > 0 for s in rain if s.time > T0 + BURST + timedelta(seconds=5))


@pytest.mark.parametrize("seed", range(8))
def test_runs_in_quick_succession_rain_elsewhere_and_never_add_up_to_red(qingtian: County, seed: int) -> None:
    seen: list[Observation] = []
    hit: set[str] = set()
    anchor, after = T0, None
    for run in range(len(parts_of(qingtian, seed))):
        weather = storm(qingtian, seed, anchor, run, after_rain=run == 0)
        part = told(qingtian, weather, anchor, seed=seed, after=after)
        levels = {station: highest(met) for station, met in crossings(part).items()}
        orange = {station for station, level in levels.items() if level == "orange"}
        assert len(orange) == 4
        assert not orange & hit
        hit |= orange
        seen += part
        after, anchor = anchor + timedelta(seconds=300), anchor + timedelta(minutes=7)
    assert "red" not in {highest(met) for met in crossings(seen).values()}


def test_calm_has_no_rain_and_instruments_that_hardly_move(qingtian: County) -> None:
    values: dict[tuple[str, str], list[float]] = {}
    for seen in told(qingtian, Calm(), T0):
        values.setdefault((seen.station, seen.metric), []).append(seen.value)
    spans = {key: max(series) - min(series) for key, series in values.items()}
    allowed = {"rain": 0, "displacement": 0.6, "phreatic_depth": 0.1, "pond_level": 0.05, "dry_beach": 2,
               "seepage": 0.2, "battery": 0.8}  # fmt: skip
    assert all(span <= allowed[metric] for (_, metric), span in spans.items())


def test_rain_lifts_the_phreatic_line_slowly(qingtian: County) -> None:
    pond = next(s for s in qingtian.stations.values() if "phreatic_depth" in s.metrics)
    wet = Field(qingtian, storm(qingtian, 1, T0), 1, T0).record(pond.gateway, record_start(T0))
    depths = [s.value for s in wet if s.metric == "phreatic_depth" and s.station == pond.id]
    assert 0.03 < depths[0] - depths[-1] < 1.0


def test_the_same_seed_says_the_same_bytes_and_another_does_not(qingtian: County) -> None:
    assert said(qingtian, 1) == said(qingtian, 1)
    assert said(qingtian, 1) != said(qingtian, 2)


def test_a_gateway_speaks_in_time_order_on_the_grid_before_t0_and_in_whole_seconds_after(
    qingtian: County,
) -> None:
    field = Field(qingtian, storm(qingtian, 1, T0), 1, T0)
    for gateway in qingtian.gateways:
        record = [seen.time for seen in field.record(gateway, record_start(T0))]
        live = [seen.time for _, seen in zip(range(200), field.live(gateway), strict=False)]
        assert all(a <= b for a, b in pairwise(record + live))
        assert all(time.timestamp() % 300 == 0 for time in record)
        assert record[0] <= T0 - timedelta(hours=6) < record[0] + timedelta(minutes=10)
        assert record[-1] <= T0 < live[0]
        assert all(time.microsecond == 0 for time in live)


def test_every_identity_is_said_once_and_every_registered_metric_is_played(qingtian: County) -> None:
    seen = told(qingtian, storm(qingtian, 1, T0), T0)
    assert len({(s.station, s.metric, s.time) for s in seen}) == len(seen)
    registered = {(s.id, metric) for s in qingtian.stations.values() for metric in s.metrics}
    assert {(s.station, s.metric) for s in seen} == registered


def said(county: County, seed: int) -> bytes:
    return messages.readings(told(county, storm(county, seed, T0), T0, seed=seed, live_s=60), 0)
