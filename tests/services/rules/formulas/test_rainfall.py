"""Soil moisture, curves and events against published check values and sums by hand."""

import itertools
import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.catalogue.model import EventCurve, Soil, SoilModel
from services.rules.formulas import rainfall
from services.rules.formulas.rainfall import DAY_US, HOUR_US, Event, WaterIndex, events

MODEL = SoilModel(k=0.9, capacity_mm=100.0, day_starts=timedelta(hours=8))
rain = st.floats(0, 300)


@pytest.mark.parametrize(("hours", "mm_h"), [(1, 14.82), (24, 4.29), (72, 2.80)])
def test_caine_at_its_check_values(hours: float, mm_h: float) -> None:
    assert rainfall.allowed_intensity(rainfall.CAINE_1980, hours) == pytest.approx(mm_h, abs=0.005)


def test_the_other_curves() -> None:
    assert rainfall.allowed_intensity(rainfall.GUZZETTI_2008, 1) == pytest.approx(2.20)
    assert rainfall.allowed_intensity(rainfall.GUZZETTI_2008, 24) == pytest.approx(0.5434, abs=1e-4)
    assert rainfall.allowed_intensity(rainfall.GUZZETTI_2008_SHORT, 10) == pytest.approx(1.4386, abs=1e-4)
    assert rainfall.allowed_intensity(rainfall.GUZZETTI_2008_LONG, 100) == pytest.approx(0.2892, abs=1e-4)
    assert rainfall.allowed_rain(rainfall.INNES_1983, 24) == pytest.approx(4.93 * 24**0.504)
    assert rainfall.allowed_intensity(rainfall.SEATTLE, 1) == pytest.approx(82.728, abs=1e-3)


def test_a_curve_has_its_offset_and_is_held_beyond_its_range() -> None:
    curve = EventCurve(10.0, 0.5, c=2.0, shortest=timedelta(hours=1), longest=timedelta(hours=100))
    assert rainfall.allowed_intensity(curve, 4) == 7.0
    assert rainfall.allowed_rain(curve, 4) == 28.0
    assert rainfall.allowed_intensity(curve, 0.1) == 12.0
    assert rainfall.allowed_rain(curve, 0) == 12.0
    assert rainfall.allowed_rain(curve, 1e6) == 300.0


@given(st.floats(0, 100), rain, st.floats(0.5, 0.99), st.floats(50, 150))
def test_the_soil_dries_without_rain_and_is_never_fuller_than_full(
    pa: float, mm: float, k: float, full: float
) -> None:
    assert rainfall.antecedent(pa, 0.0, k, full) <= pa
    assert rainfall.antecedent(pa, mm, k, full) <= full
    assert rainfall.antecedent(pa, mm, k, full) >= rainfall.antecedent(pa, 0.0, k, full)


def test_antecedent_rainfall_by_hand() -> None:
    eight = 8 * HOUR_US
    times = [eight, eight + 1, DAY_US + eight, 3 * DAY_US + eight + 1]
    mm = [10.0, 20.0, 5.0, 99.0]
    # 08:00 ends a day: 10 on the first, 25 on the second, none on the third.
    first = 0.9 * 10
    second = 0.9 * (first + 25)
    third = 0.9 * second
    fourth = 0.9 * third
    at = [eight + 1, DAY_US + eight + 1, 2 * DAY_US + eight + 1, 3 * DAY_US + eight + 1]
    found = [rainfall.antecedent_at(times, mm, moment, MODEL) for moment in at]
    assert found == pytest.approx([first, second, third, fourth])
    assert rainfall.antecedent_at(times, mm, at[0] - 1, MODEL) == 0.0
    assert rainfall.antecedent_at([], [], at[0], MODEL) == 0.0


def test_days_begin_by_the_county_s_clock() -> None:
    midnight_utc = 20_000 * DAY_US
    assert rainfall.day_of(midnight_utc, 8 * HOUR_US, 8 * HOUR_US) == 19_999
    assert rainfall.day_of(midnight_utc + 1, 8 * HOUR_US, 8 * HOUR_US) == 20_000


@pytest.mark.parametrize(
    ("pa", "soil"), [(49.9, Soil.DRY), (50.0, Soil.NORMAL), (79.9, Soil.NORMAL), (80.0, Soil.WET)]
)
def test_soil_states(pa: float, soil: Soil) -> None:
    assert rainfall.soil_state(pa, MODEL) is soil


def test_effective_antecedent_rain_counts_today_in_full_and_n_days_back() -> None:
    assert rainfall.effective_antecedent([10, 20, 30, 40], a=0.5, days=2) == pytest.approx(10 + 10 + 7.5)


def test_the_water_index_fills_and_drains() -> None:
    model = WaterIndex(evaporation_mm_h=(0.1,) * 12)
    assert rainfall.water_index(-50.0, 5.0, 1.0, model, 1) == pytest.approx(-45.1)
    k = math.exp(-0.01)
    assert rainfall.water_index(20.0, 5.0, 1.0, model, 7) == pytest.approx(20 * k + 4.9 * (1 - k) / 0.01)
    assert rainfall.water_index(-180.0, 0.0, 1.0, model, 7) == -180.0


@given(st.floats(0, 100), st.floats(0, 50), st.integers(2, 12))
def test_above_field_capacity_steps_of_any_length_agree(awi: float, mm: float, parts: int) -> None:
    model, divided = WaterIndex(), awi
    for _ in range(parts):
        divided = rainfall.water_index(divided, mm / parts, 6 / parts, model, 1)
    assert divided == pytest.approx(rainfall.water_index(awi, mm, 6.0, model, 1), abs=1e-9)


def test_events_are_separated_by_enough_dry_hours() -> None:
    mm = [0, 1, 0, 0, 2, 0, 0, 0, 4, 0]
    times = [hour * HOUR_US for hour in range(len(mm))]
    first = Event(0, 4 * HOUR_US, 3.0)
    assert events(times, mm, 3 * HOUR_US, HOUR_US) == [first, Event(7 * HOUR_US, 8 * HOUR_US, 4.0)]
    assert first.hours == 4.0
    assert events(times, mm, 4 * HOUR_US, HOUR_US) == [Event(0, 8 * HOUR_US, 7.0)]


def test_an_event_does_not_start_within_an_outage() -> None:
    times = [0, 10 * HOUR_US, 10 * HOUR_US + 600_000_000]
    assert events(times, [0, 5, 5], 3 * HOUR_US, HOUR_US) == [Event(9 * HOUR_US, times[2], 10.0)]
    assert events([HOUR_US], [5], 3 * HOUR_US, HOUR_US) == [Event(0, HOUR_US, 5.0)]


@given(st.lists(st.tuples(st.integers(1, 400), st.floats(0, 9)), max_size=60), st.integers(1, 500))
def test_events_keep_every_drop_and_stand_apart(found: list[tuple[int, float]], dry: int) -> None:
    times, mm, now = [], [], 0
    for gap, amount in found:
        now += gap
        times.append(now)
        mm.append(amount)
    split = events(times, mm, dry, 60)
    assert math.fsum(event.rain_mm for event in split) == pytest.approx(math.fsum(mm))
    assert all(event.start_us < event.end_us for event in split)
    assert all(b.start_us - a.end_us >= dry for a, b in itertools.pairwise(split))


def test_the_ratio_is_of_the_running_event_alone() -> None:
    curve = EventCurve(10.0, 0.5, dry=timedelta(hours=3))
    event = Event(0, 4 * HOUR_US, 30.0)
    assert rainfall.event_ratio([event], curve, 7 * HOUR_US - 1) == pytest.approx(30 / 20)
    assert rainfall.event_ratio([event], curve, 7 * HOUR_US) == 0.0
    assert rainfall.event_ratio([], curve, 0) == 0.0


def test_three_days_and_the_fifteen_before() -> None:
    at = 1000 * HOUR_US
    hours = [568, 569, 928, 929, 1000, 1001]
    times = [hour * HOUR_US for hour in hours]
    assert rainfall.p3_p15(times, [1, 2, 4, 8, 16, 32], at) == (24.0, 6.0)


def test_the_threshold_of_seattle() -> None:
    assert rainfall.seattle_excess(88.9, 0.0) == pytest.approx(0.0)
    assert rainfall.seattle_excess(60.0, 60.0) == pytest.approx(60 - (88.9 - 40.2))
    assert rainfall.seattle_excess(1.0, 500.0) == 1.0
    assert rainfall.weighted({"p3": 10.0, "p15": 100.0}, (("p3", 1.0), ("p15", 0.67))) == pytest.approx(77.0)
