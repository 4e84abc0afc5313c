"""Flags are those of one reading after the other, however the readings are cut into batches."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.places import Places
from services.ingest.quality.inspector import Inspector
from services.ingest.quality.memory import RECENT, Batch
from services.ingest.quality.steps import STEPS, neighbour_disagreement
from tests.services.ingest.quality.reference import LATE_AFTER, Slow
from tongluo.quality import Flag, Limits, Quality, quality
from tongluo.readings import Readings, microseconds
from tongluo.region import County, Gateway, Purpose, Site, SiteKind, Station, StationKind

START_US = microseconds(datetime(2026, 7, 1, tzinfo=UTC))
MINUTE_US = 60_000_000
Row = tuple[int, float, float]  # number of the series, minutes after START, value


def station(name: str, *metrics: str, km_north: float = 0.0, **limits: Limits) -> Station:
    return Station(
        name,
        name,
        StationKind.RAIN_GAUGE,
        "S-1",
        "G-1",
        28.0 + km_north / 111.2,
        120.0,
        metrics,
        limits=limits,
    )


def places(*stations: Station) -> Places:
    site = Site("S-1", "S", SiteKind.CATCHMENT, "331121", 28.0, 120.0)
    return Places(
        County(
            "331121",
            "",
            "",
            "",
            {},
            {},
            {"G-1": Gateway("G-1", "G")},
            {"S-1": site},
            {s.id: s for s in stations},
        )
    )


HERE = places(
    station("A", "rain", "battery"),
    station("B", "water_level", "battery", water_level=Limits(stuck_after_s=1800, highest=50.0)),
    station("C", "displacement"),
)  # fmt: skip


def batch(rows: Sequence[Row], delay_min: float = 0.0) -> Batch:
    which = np.array([row[0] for row in rows], np.int64)
    time = np.array([START_US + round(row[1] * MINUTE_US) for row in rows], np.int64)
    value = np.array([row[2] for row in rows], np.float64)
    return Batch(which, time, value, time + round(delay_min * MINUTE_US))


def flags(rows: Sequence[Row], here: Places = HERE, delay_min: float = 0.0) -> list[Flag]:
    inspector = Inspector(here, LATE_AFTER)
    return [flag for row in rows for flag in inspected(inspector, batch([row], delay_min))]


def inspected(inspector: Inspector, one: Batch) -> list[Flag]:
    found = inspector.inspect(one)
    inspector.learn(found)
    return [Flag(int(flag)) for flag in found.flags]


ROWS = st.tuples(
    st.integers(0, 4),
    st.integers(0, 40).map(lambda n: n * 2.5),
    st.sampled_from([0.0, 0.2, 5.0, 10.9, 12.1, 30.0, 49.0, 120.0, 600.0, -9999.0]),
    st.sampled_from([-5.0, 0.0, 90.0]),
)


@given(st.lists(ROWS, max_size=60), st.data())
def test_flags_are_those_of_one_reading_after_the_other(
    rows: list[tuple[int, float, float, float]], data: st.DataObject
) -> None:
    """Up to as many times of a series as are remembered, so that a repetition is known wherever the batch is cut."""
    kept: dict[int, set[float]] = {}
    rows = [r for r in rows if r[1] in kept.setdefault(r[0], set()) or (
        len(kept[r[0]]) < RECENT and not kept[r[0]].add(r[1]))]  # fmt: skip
    slow, fast = (
        Slow(HERE),
        Inspector(HERE, LATE_AFTER, [s for s in STEPS if s is not neighbour_disagreement]),
    )
    expected = []
    for number, minutes, value, delay in rows:
        time = START_US + round(minutes * MINUTE_US)
        expected.append(slow.flags(number, time, value, time + round(delay * MINUTE_US)))
    got: list[Flag] = []
    while len(got) < len(rows):
        cut = data.draw(st.integers(1, len(rows) - len(got)))
        part = rows[len(got) : len(got) + cut]
        one = batch([(n, m, v) for n, m, v, _ in part])
        late = np.array([round(d * MINUTE_US) for *_, d in part], np.int64)
        got += inspected(fast, Batch(one.which, one.time_us, one.value, one.time_us + late))
    assert got == expected


@given(st.lists(ROWS, max_size=60), st.data())
def test_what_the_log_holds_teaches_as_much_as_what_was_inspected(
    rows: list[tuple[int, float, float, float]], data: st.DataObject
) -> None:
    one, other = Inspector(HERE, LATE_AFTER), Inspector(HERE, LATE_AFTER)
    cut = data.draw(st.integers(0, len(rows)))
    before, after = batch([row[:3] for row in rows[:cut]]), batch([row[:3] for row in rows[cut:]])
    seen = inspected(one, before)
    names = tuple(reversed(HERE.series))
    turned = (len(names) - 1 - before.which).tolist()
    flags = [int(flag) for flag in seen]
    other.recall(Readings(names, turned, before.time_us.tolist(), before.value.tolist(), flags))
    assert inspected(one, after) == inspected(other, after)


def test_a_value_found_stuck_before_what_is_recalled_stays_stuck() -> None:
    number, metric = 2, "water_level"
    assert HERE.series[number].metric == metric
    for flag in (Flag.STUCK, Flag(0)):
        inspector = Inspector(HERE, LATE_AFTER)
        inspector.recall(Readings((HERE.series[number],), [0], [START_US], [3.0], [int(flag)]))
        assert inspected(inspector, batch([(number, 5.0, 3.0)])) == [flag]
        assert inspected(inspector, batch([(number, 10.0, 3.1)])) == [Flag(0)]


def test_a_spike_is_doubted_and_what_follows_is_not() -> None:
    assert flags([(4, 0, 10.0), (4, 5, 900.0), (4, 10, 11.0)]) == [Flag(0), Flag.SPIKE, Flag(0)]


def test_a_step_that_stays_is_doubted_only_once() -> None:
    assert flags([(4, 0, 10.0), (4, 5, 900.0), (4, 10, 905.0), (4, 15, 906.0)]) == [
        Flag(0), Flag.SPIKE, Flag(0), Flag(0)
    ]  # fmt: skip


def test_a_stuck_value_is_noticed_and_dry_weather_is_not() -> None:
    level = [(2, 10.0 * n, 7.5) for n in range(6)]
    assert flags(level) == [Flag(0)] * 4 + [Flag.STUCK] * 2
    assert flags([(0, 10.0 * n, 0.0) for n in range(40)]) == [Flag(0)] * 40
    # A bucket tips 0.2 mm or nothing; and the same amount on another day is chance.
    assert flags([(0, 10.0 * n, 0.2) for n in range(40)]) == [Flag(0)] * 40
    assert flags([(0, 0.0, 5.0), (0, 1440.0, 5.0), (0, 2880.0, 5.0)]) == [Flag(0)] * 3
    assert flags([(0, 10.0 * n, 5.0) for n in range(20)])[-1] == Flag.STUCK


def test_rain_faster_than_it_can_fall() -> None:
    assert flags([(0, 0, 0.0), (0, 5, 59.0), (0, 10, 61.0)]) == [Flag(0), Flag(0), Flag.RATE]


def test_a_value_out_of_range_is_nothing_to_compare_with() -> None:
    assert flags([(2, 0, 5.0), (2, 5, -9999.0), (2, 10, 5.1)]) == [Flag(0), Flag.RANGE, Flag(0)]
    # The station's own limit, not the metric's.
    assert flags([(2, 0, 51.0)]) == [Flag.RANGE]


def test_a_low_battery_marks_its_station_until_it_is_charged() -> None:
    rows = [(0, 0, 0.0), (1, 1, 10.5), (0, 5, 0.0), (2, 5, 1.0), (1, 6, 12.6), (0, 10, 0.0)]
    low = Flag.BATTERY
    assert flags(rows) == [Flag(0), low, low, Flag(0), Flag(0), Flag(0)]


@pytest.mark.parametrize("delay_min", [-2.0, 30.0, 61.0])
def test_clock_and_back_fill(delay_min: float) -> None:
    expected = {-2.0: Flag.CLOCK, 30.0: Flag(0), 61.0: Flag.LATE}[delay_min]
    assert flags([(4, 0, 1.0)], delay_min=delay_min) == [expected]


def test_replay_has_neither_clock_nor_back_fill() -> None:
    assert Inspector(HERE, None).inspect(batch([(4, 0, 1.0)], delay_min=500.0)).flags.tolist() == [0]


def around(*rain_mm: float, km: float = 3.0) -> list[Flag]:
    """One gauge with 60 mm in the hour, as the gauges around it report theirs first."""
    here = places(
        station("A", "rain"), *(station(f"N{n}", "rain", km_north=km * (n + 1)) for n in range(len(rain_mm)))
    )
    rows = [(n + 1, 30.0, mm) for n, mm in enumerate(rain_mm)]
    return flags([*rows, (0, 5, 30.0), (0, 10, 0.0), (0, 35, 30.0)], here)[-1:]


def test_a_gauge_that_alone_has_much_rain_is_doubted() -> None:
    assert around(0.0, 0.0, 0.0) == [Flag.NEIGHBOUR]
    assert around(0.0, 0.0, 2.0) == [Flag(0)]
    assert around(0.0, 0.0) == [Flag(0)]
    assert around(0.0, 0.0, 0.0, km=6.0) == [Flag(0)]


def test_two_tips_of_a_bucket_within_a_second_are_no_cloudburst() -> None:
    assert flags([(0, 0, 0.2), (0, 0.01, 0.5)]) == [Flag(0), Flag(0)]


def test_a_repetition_is_known_among_the_last_eight() -> None:
    steady = [(4, float(n), 1.0) for n in range(RECENT)]
    assert flags([*steady, steady[0]])[-1] == Flag.DUPLICATE
    assert flags([*steady, (4, float(RECENT), 1.0), steady[0]])[-1] == Flag.ORDER


DRY = places(station("A", "rain"), *(station(f"N{n}", "rain", km_north=n + 1) for n in range(3)))
DRY_AROUND = [(n, 70.0, 0.0) for n in (1, 2, 3)]


def test_the_hour_is_an_hour_and_counts_nothing_twice() -> None:
    # 65 minutes apart stand in the same place of the ring; what came before is no part of this hour.
    assert flags([(0, 5, 30.0), *DRY_AROUND, (0, 70, 30.0), (0, 71, 11.0)], DRY)[-2:] == [Flag(0), Flag(0)]
    assert flags([(0, 30, 30.0), *DRY_AROUND, (0, 70, 30.0)], DRY)[-1] == Flag.NEIGHBOUR
    assert flags([(0, 30, 15.0), (0, 30, 15.0), *DRY_AROUND, (0, 70, 30.0)], DRY)[-1] == Flag(0)


def test_silent_neighbours_testify_to_nothing() -> None:
    here = places(station("A", "rain"), *(station(f"N{n}", "rain", km_north=n + 1) for n in range(4)))
    assert flags([(0, 5, 30.0), (0, 35, 30.0)], here) == [Flag(0), Flag(0)]


def test_an_exercise_and_the_weather_testify_to_nothing_about_each_other() -> None:
    drill = [
        msgspec.structs.replace(station(f"N{n}", "rain", km_north=n + 1), purpose=Purpose.DRILL)
        for n in range(3)
    ]
    wet = [*DRY_AROUND, (0, 70, 55.0)]
    assert flags(wet, DRY)[-1] == Flag.NEIGHBOUR
    assert flags(wet, places(station("A", "rain"), *drill))[-1] == Flag(0)


def test_a_changed_registry_forgets_nothing_that_is_still_there() -> None:
    inspector = Inspector(HERE, LATE_AFTER)
    inspected(inspector, batch([(4, 0, 10.0), (1, 0, 10.0)]))
    after = places(station("NEW", "rain"), station("A", "rain", "battery"), station("C", "displacement"))
    inspector.know(after)
    got = inspected(inspector, batch([(0, 5, 0.0), (1, 5, 0.0), (3, 5, 900.0)]))
    assert got == [Flag(0), Flag.BATTERY, Flag.SPIKE]


def test_what_a_flag_says_about_the_value() -> None:
    assert [quality(f) for f in Flag] == [
        Quality.BAD, Quality.SUSPECT, Quality.SUSPECT, Quality.SUSPECT, Quality.GOOD,
        Quality.GOOD, Quality.GOOD, Quality.SUSPECT, Quality.GOOD, Quality.GOOD,
    ]  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(Limits(spike=3.0))) == {"spike": 3.0}
