"""Which relation answers for which bucket, and from when to when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongluo.store.layout import Layout
from tongluo.store.series import FRESH, ORIGIN, Source, Span, ceiling, floor, plan

NOW = datetime(2026, 7, 31, 10, 7, tzinfo=UTC)
MINUTES = [1, 5, 15, 60, 360, 1440]
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
WIDTHS = st.sampled_from([timedelta(minutes=n) for n in MINUTES])


def last_days(days: float) -> Span:
    return Span("R-1", "rain", NOW - timedelta(days), NOW)


@pytest.mark.parametrize(
    ("minutes", "source"),
    [
        (1, Source.READINGS),
        (5, Source.FIVE_MINUTES),
        (15, Source.FIVE_MINUTES),
        (60, Source.HOUR),
        (360, Source.HOUR),
        (1440, Source.DAY),
    ],
)
def test_the_widest_aggregate_a_bucket_is_made_of_answers(minutes: int, source: Source) -> None:
    assert plan(last_days(30), timedelta(minutes=minutes), NOW, Layout.HYPERTABLE).source is source
    assert plan(last_days(30), timedelta(minutes=minutes), NOW, Layout.MONTHS).source is Source.READINGS


def test_the_last_days_and_parts_of_buckets_come_from_the_readings() -> None:
    chosen = plan(last_days(30), timedelta(hours=6), NOW, Layout.HYPERTABLE)
    assert chosen.first == datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert chosen.last == datetime(2026, 7, 29, 6, tzinfo=UTC)
    assert plan(last_days(2), timedelta(hours=1), NOW, Layout.HYPERTABLE).source is Source.READINGS


@given(TIMES, TIMES, TIMES, WIDTHS)
def test_an_aggregate_gives_whole_buckets_of_the_past_only(
    begin: datetime, end: datetime, now: datetime, width: timedelta
) -> None:
    chosen = plan(Span("R-1", "rain", begin, end), width, now, Layout.HYPERTABLE)
    if chosen.source is not Source.READINGS:
        assert begin <= chosen.first < chosen.last <= end
        assert chosen.last <= now - FRESH
        assert not (chosen.first - ORIGIN) % width
        assert not (chosen.last - ORIGIN) % width
        # Nothing that could have come from the aggregate is left out.
        assert chosen.first - begin < width
        assert min(end, now - FRESH) - chosen.last < width


@given(TIMES, WIDTHS)
def test_floor_and_ceiling_enclose_a_time(time: datetime, width: timedelta) -> None:
    low, high = floor(time, width), ceiling(time, width)
    assert low <= time <= high
    assert high - low == (width if (time - ORIGIN) % width else timedelta())
