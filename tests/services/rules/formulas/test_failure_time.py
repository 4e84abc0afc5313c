"""A slope that fails is told when, exactly; one that does not is never told a time at all."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.formulas.creep import DAY_US
from services.rules.formulas.failure_time import Limits, forecast, inverse_velocity, saito
from tongluo.finding import Forecast

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Record = tuple[np.ndarray, np.ndarray]


def us(days: np.ndarray) -> np.ndarray:
    return np.unique(np.round(days * DAY_US).astype(np.int64))


def law(times: np.ndarray, failure_us: float, scale_mm: float) -> np.ndarray:
    """Displacement under 1/v = (tf - t) / scale since time 0."""
    return -scale_mm * np.log1p(-times / failure_us)


def failing(life_days: float, share: float, scale_mm: float, seed: int | None, hours: float = 6.0) -> Record:
    times = us(np.arange(0, share * life_days, hours / 24))
    noise = 0.0 if seed is None else np.random.default_rng(seed).uniform(-0.5, 0.5, len(times))
    return times, law(times, life_days * DAY_US, scale_mm) + noise


def error_days(found: Forecast, life_days: float) -> float:
    assert found.time is not None, found.reason
    return abs((found.time - EPOCH) / timedelta(days=1) - life_days)


# --- exact -----------------------------------------------------------------------------------------------------------


@given(
    rate=st.floats(-4, 2),
    life=st.floats(-1, 3),
    share=st.floats(0.1, 0.999),
    readings=st.integers(12, 150),
    regular=st.booleans(),
    seed=st.integers(0, 2**32),
    start=st.floats(-1000, 1000),
)
@settings(max_examples=150, deadline=None)
def test_without_noise_the_failure_time_is_exact(
    *, rate: float, life: float, share: float, readings: int, regular: bool, seed: int, start: float
) -> None:
    failure = 10**life * DAY_US
    even = np.linspace(0.0, 1.0, readings)
    uneven = np.sort(np.random.default_rng(seed).uniform(0, 1, readings))
    at = (even if regular else (uneven - uneven[0]) / (uneven[-1] - uneven[0])) * share
    times = np.unique(np.round(at * failure).astype(np.int64))
    shift = 1_700_000_000_000_000
    found = forecast(times + shift, start + law(times, failure, 10**-rate))
    assert found.time is not None, found.reason
    off = (found.time - EPOCH) / timedelta(microseconds=1) - shift - failure
    assert abs(off) <= 1e-6 * times[-1] + 1
    assert found.fit == pytest.approx(1.0)


@pytest.mark.parametrize("share", [1 - 10.0**-nth for nth in range(2, 8)])
def test_it_is_exact_up_to_the_last_moment(share: float) -> None:
    times = us(np.linspace(0, share * 100, 50))
    found = forecast(times, law(times, 100.0 * DAY_US, 30.0))
    assert error_days(found, 100.0) < 1e-4 * (1 - share) * 100


def test_the_onset_is_found_after_years_of_steady_creep() -> None:
    times = us(np.arange(0, 895, 0.25))
    since = np.maximum(times - 800 * DAY_US, 0)
    values = 0.3 * np.minimum(times / DAY_US, 800) + law(since, 100 * DAY_US, 30.0)
    assert error_days(forecast(times, values), 900.0) < 1e-4
    noisy = values + np.random.default_rng(3).uniform(-0.5, 0.5, len(times))
    assert error_days(forecast(times, noisy), 900.0) < 2.0


def test_a_long_record_is_thinned_without_moving_the_time() -> None:
    times = us(np.arange(0, 98, 1 / 288))
    assert len(times) > 20_000
    assert error_days(forecast(times, law(times, 100.0 * DAY_US, 30.0)), 100.0) < 1e-4


# --- with noise ------------------------------------------------------------------------------------------------------


def test_with_noise_the_error_shrinks_towards_the_failure() -> None:
    medians = []
    for share in (0.9, 0.95, 0.98, 0.995):
        errors = [error_days(forecast(*failing(100, share, 100.0, seed)), 100) for seed in range(12)]
        assert max(errors) < 0.1 * (1 - share) * 100
        medians.append(np.median(errors))
    assert medians == sorted(medians, reverse=True)
    assert medians[-1] < medians[0] / 5


def test_the_band_holds_the_failure_nineteen_times_in_twenty() -> None:
    held = []
    for seed in range(80):
        found = forecast(*failing(100, 0.95, 50.0, seed))
        assert found.time is not None
        assert found.earliest is not None
        assert found.latest is not None
        assert found.earliest < found.time < found.latest
        held.append(found.earliest <= EPOCH + timedelta(days=100) <= found.latest)
    assert 70 <= sum(held) < 80


def test_noise_that_remembers_widens_the_band() -> None:
    times = us(np.arange(0, 95, 0.25))
    chance = np.random.default_rng(5)
    white, slow = chance.normal(0, 0.3, len(times)), np.zeros(len(times))
    for i in range(1, len(times)):
        slow[i] = 0.8 * slow[i - 1] + 0.6 * white[i]
    widths = []
    for noise in (white, slow):
        found = forecast(times, law(times, 100.0 * DAY_US, 100.0) + noise)
        assert found.latest is not None
        assert found.earliest is not None
        widths.append(found.latest - found.earliest)
    assert widths[1] > 1.5 * widths[0]


# --- slopes that do not fail -----------------------------------------------------------------------------------------


def step(t: np.ndarray, at: float) -> np.ndarray:
    return np.where(t > at * t[-1], 1.0, 0.0)


def wave(t: np.ndarray, period: float, phase: float) -> np.ndarray:
    return np.sin(2 * np.pi * (t / period + phase))


INNOCENT: dict[str, Callable[[np.ndarray, float, float], np.ndarray]] = {
    "steady": lambda t, a, p: 0 * t,
    "yearly": lambda t, a, p: a * wave(t, 365.25, p),
    "daily": lambda t, a, p: a * wave(t, 1.0, p),
    "yearly and daily": lambda t, a, p: a * wave(t, 365.25, p) + 0.2 * a * wave(t, 1.0, 3 * p),
    "sine of any period": lambda t, a, p: a * wave(t, t[-1] * math.exp(4 * p - 2.5), 7 * p),
    "step": lambda t, a, p: a * step(t, p),
    "step and yearly": lambda t, a, p: a * step(t, p) + a * wave(t, 365.25, 5 * p),
    "two steps": lambda t, a, p: a * step(t, p) + 0.6 * a * step(t, (3 * p) % 1),
    "change of rate": lambda t, a, p: a * np.maximum(t / t[-1] - p, 0),
    "ramp": lambda t, a, p: a * np.clip((t / t[-1] - p) / 0.2, 0, 1),
    "relaxing after rain": lambda t, a, p: a * (1 - np.exp(-np.maximum(t / t[-1] - p, 0) / 0.1)),
    "surge": lambda t, a, p: a / (1 + np.exp(-np.clip((t / t[-1] - p) / 0.05, -50, 50))),
    "constant acceleration": lambda t, a, p: a * (t / t[-1]) ** 2,
}


@pytest.mark.parametrize("kind", INNOCENT)
@given(
    readings=st.integers(40, 250),
    gap_d=st.sampled_from([1 / 24, 0.25, 1.0, 5.0]),
    regular=st.booleans(),
    rate=st.floats(0, 5),
    amplitude=st.sampled_from([0.3, 3.0, 30.0, 300.0]),
    place=st.floats(0, 1),
    noise=st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=15, deadline=None)
def test_a_slope_that_does_not_fail_is_never_told_a_time(
    *,
    kind: str,
    readings: int,
    gap_d: float,
    regular: bool,
    rate: float,
    amplitude: float,
    place: float,
    noise: float,
    seed: int,
) -> None:
    chance = np.random.default_rng(seed)
    times = us(np.cumsum(np.full(readings, gap_d) if regular else chance.exponential(gap_d, readings)))
    t = times / DAY_US
    values = rate * t + INNOCENT[kind](t, amplitude, place) + chance.uniform(-noise, noise, len(t))
    for known in sorted({12, 13, *range(15, len(t), 11), len(t)}):
        found = forecast(times[:known], values[:known])
        assert found.time is None, f"after {known} readings"
        assert found.reason is not None


@given(st.integers(0, 2**32), st.integers(60, 200))
@settings(max_examples=25, deadline=None)
def test_noise_that_remembers_is_no_failure(seed: int, readings: int) -> None:
    chance = np.random.default_rng(seed)
    times = us(np.arange(readings) * 0.25)
    for values in (chance.normal(0, 0.3, readings).cumsum(), chance.integers(0, 3, readings).cumsum() * 0.1):
        for known in range(12, readings, 13):
            assert forecast(times[:known], values[:known]).time is None


def test_a_last_reading_that_is_wrong_is_no_failure() -> None:
    times = us(np.arange(0, 200, 1.0))
    chance = np.random.default_rng(1)
    for base in (0.2 * times / DAY_US, 40 * wave(times / DAY_US, 365.25, 0.6)):
        for wrong in (5.0, 50.0, 500.0):
            values = base + chance.uniform(-0.5, 0.5, len(times))
            values[-1] += wrong
            assert forecast(times, values).time is None


# --- withheld, and why -----------------------------------------------------------------------------------------------


def reason(found: Forecast) -> str:
    assert found.time is None
    assert found.earliest is None
    assert found.reason is not None
    assert found.reason.zh
    return found.reason.en


def test_too_few_readings() -> None:
    times = us(np.linspace(0, 90, 9))
    assert "fewer than 10" in reason(forecast(times, law(times, 100.0 * DAY_US, 5.0)))
    assert "fewer than 10" in reason(forecast(np.array([], np.int64), np.array([])))
    ten = us(np.linspace(0, 90, 10))
    assert forecast(ten, law(ten, 100.0 * DAY_US, 5.0)).time is not None


def test_a_steady_or_still_slope_does_not_accelerate() -> None:
    times = us(np.arange(0, 90, 1.0))
    for values in (times / DAY_US, 0.0 * times, -times / DAY_US, np.sqrt(times / DAY_US)):
        assert "does not rise" in reason(forecast(times, values))


def test_seasons_explain_as_well() -> None:
    times = us(np.arange(0, 75, 1.0))
    values = 100 - 100 * np.cos(2 * np.pi * times / DAY_US / 365.25)
    assert "seasonal" in reason(forecast(times, values))


def test_limits_are_kept() -> None:
    record = failing(100, 0.95, 50.0, 1)
    assert "fit" in reason(forecast(*record, limits=Limits(least_fit=0.99999)))
    assert "further off" in reason(forecast(*record, limits=Limits(furthest=0.04)))
    assert "seasonal" in reason(forecast(*record, limits=Limits(least_advantage=500.0)))
    assert "does not rise" in reason(forecast(*record, limits=Limits(least_advantage=1500.0)))


def test_a_time_that_has_passed_is_no_forecast() -> None:
    times, values = failing(100, 0.95, 50.0, None)
    assert forecast(times, values, now_us=100 * DAY_US - 1000).time is not None
    assert "passed" in reason(forecast(times, values, now_us=100 * DAY_US + 1000))


def test_a_broken_record_is_refused() -> None:
    with pytest.raises(ValueError, match="ascend"):
        forecast(np.array([2, 1]), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="finite"):
        forecast(np.array([1, 2]), np.array([1.0, math.inf]))


def test_a_forecast_travels() -> None:
    for found in (forecast(*failing(100, 0.95, 50.0, 1)), forecast(*failing(100, 0.2, 5.0, 1))):
        assert msgspec.json.decode(msgspec.json.encode(found), type=Forecast) == found


# --- the classical constructions -------------------------------------------------------------------------------------


@given(st.floats(1e-3, 1e3), st.floats(1, 1000), st.floats(0.05, 0.99))
def test_the_line_through_inverse_velocities_ends_at_the_failure(
    scale: float, life: float, share: float
) -> None:
    times = us(np.linspace(0, share * life, 20))
    found = inverse_velocity(times, scale / (life - times / DAY_US))
    assert found is not None
    assert found[0] / DAY_US == pytest.approx(life, rel=1e-6)
    assert found[1] == pytest.approx(1.0)


def test_a_line_that_does_not_fall_has_no_end() -> None:
    times = us(np.arange(10.0))
    assert inverse_velocity(times, np.linspace(9, 1, 10)) is None
    assert inverse_velocity(times, np.ones(10)) is None
    with pytest.raises(ValueError, match="above 0"):
        inverse_velocity(times, np.zeros(10))


@given(st.floats(0.1, 10), st.floats(1, 1000), st.floats(0.1, 5))
def test_saito_is_exact_under_the_law(scale: float, life: float, steps: float) -> None:
    t1, t2, t3 = (life * (1 - math.exp(-nth * steps / scale / 10)) for nth in (1, 2, 3))
    if not t3 - t2 < t2 - t1 or t2 - t1 < 1e-3 * life:
        return
    assert saito(t1, t2, t3) == pytest.approx(life, rel=1e-6)


def test_saito_by_hand() -> None:
    assert saito(0.0, 4.0, 6.0) == pytest.approx(8.0)
    with pytest.raises(ValueError, match="shorter"):
        saito(0.0, 4.0, 8.0)
