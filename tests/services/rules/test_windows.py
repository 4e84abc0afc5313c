"""Rolling sums against a slow, obvious reference."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.windows import RollingSums

SPANS = (10, 30, 60)
LATE = 20

readings = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 1000)), max_size=120, unique_by=lambda reading: reading[0]
)


def reference(taken: dict[int, int], time: int, span: int) -> int:
    return sum(amount for at, amount in taken.items() if time - span < at <= time)


@given(readings)
def test_in_order_sums_are_exact(found: list[tuple[int, int]]) -> None:
    sums, taken = RollingSums(SPANS, LATE), {}
    for time, amount in sorted(found):
        assert sums.add(time, amount)
        taken[time] = amount
        assert sums.sums == [reference(taken, time, span) for span in SPANS]


@given(readings)
@settings(max_examples=300)
def test_late_readings_count_within_the_allowed_lateness(found: list[tuple[int, int]]) -> None:
    sums, taken, newest = RollingSums(SPANS, LATE), {}, -1
    for time, amount in found:
        in_time = newest < 0 or time >= newest - LATE
        assert sums.add(time, amount) is in_time
        if in_time:
            taken[time] = amount
            newest = max(newest, time)
        assert sums.sums == [reference(taken, newest, span) for span in SPANS]


@given(readings)
def test_twice_counts_once(found: list[tuple[int, int]]) -> None:
    once, twice = RollingSums(SPANS, LATE), RollingSums(SPANS, LATE)
    for time, amount in sorted(found):
        once.add(time, amount)
        twice.add(time, amount)
        assert not twice.add(time, amount + 1)
    assert once.sums == twice.sums


@given(readings, st.integers(1, 2000), st.integers(0, 200))
def test_the_moment_of_falling_below_is_found(found: list[tuple[int, int]], limit: int, beyond: int) -> None:
    sums, taken = RollingSums(SPANS, LATE), dict(sorted(found))
    for time, amount in sorted(found):
        sums.add(time, amount)
    if not taken:
        return
    newest = max(taken)
    for nth, span in enumerate(SPANS):
        if sums.sums[nth] < limit:
            continue
        moments = [t for t in range(newest, newest + beyond + 1) if reference(taken, t, span) < limit]
        assert sums.fell_below(nth, limit, newest + beyond) == (moments[0] if moments else None)


def test_memory_is_bounded() -> None:
    sums = RollingSums(SPANS, LATE)
    for time in range(10_000):
        sums.add(time, 1)
    assert len(sums.times) < 300
    assert sums.sums == list(SPANS)
