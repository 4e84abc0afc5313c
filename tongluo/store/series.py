"""The readings of one metric of one station over time, as they came or by bucket.

A bucket holds the readings after its start up to and including its end, as a gauge reports what fell before; buckets
are counted from the start of 2000, UTC. With TimescaleDB whole buckets of the past come from the narrowest continuous
aggregate they are made of, everything else from the readings themselves; the answer is the same either way.
"""

import enum
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tongluo.store.layout import Layout

ORIGIN: Final = datetime(2000, 1, 1, tzinfo=UTC)
# What came late in these days is in every answer at once; before them, after the aggregates' next refresh.
FRESH: Final = timedelta(days=2)


class Source(enum.StrEnum):
    """The relations a series is read from."""

    READINGS = "reading"
    FIVE_MINUTES = "reading_5m"
    HOUR = "reading_1h"
    DAY = "reading_1d"


# The widest first.
AGGREGATES: Final = (
    (Source.DAY, timedelta(days=1)),
    (Source.HOUR, timedelta(hours=1)),
    (Source.FIVE_MINUTES, timedelta(minutes=5)),
)


@dataclass(frozen=True)
class Span:
    """begin < time <= end of one metric of one station."""

    station: str
    metric: str
    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Plan:
    """Where a series by bucket comes from: `source` within (first, last], the readings in the rest of the span."""

    source: Source
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Bucket:
    """What fell into the bucket that begins at `start`: of good readings only, and never empty."""

    start: datetime
    sum: float
    count: int

    @property
    def mean(self) -> float:
        return self.sum / self.count


def plan(span: Span, width: timedelta, now: datetime, layout: Layout) -> Plan:
    """The one place that decides which relation answers."""
    first, last = ceiling(span.begin, width), floor(min(span.end, now - FRESH), width)
    if layout is Layout.HYPERTABLE and first < last:
        for source, step in AGGREGATES:
            if not width % step:
                return Plan(source, first, last)
    return Plan(Source.READINGS, span.begin, span.end)


def floor(time: datetime, width: timedelta) -> datetime:
    """The last start of a bucket at or before `time`."""
    return ORIGIN + (time - ORIGIN) // width * width


def ceiling(time: datetime, width: timedelta) -> datetime:
    """The first start of a bucket at or after `time`."""
    return ORIGIN - (ORIGIN - time) // width * width


_RAW: Final = text(
    "SELECT time, value, quality, flags FROM reading WHERE station = :station AND metric = :metric "
    "AND time > :begin AND time <= :end ORDER BY time LIMIT :most"
)

# The smallest step there is before its time, a reading lies in the bucket whose end it may be.
_FROM_READINGS: Final = (
    "SELECT date_bin(CAST(:width AS interval), time - interval '1 microsecond', :origin) AS start, "
    "sum(value) AS total, count(*) AS number FROM reading "
    "WHERE station = :station AND metric = :metric AND quality = 'good' AND time > {after} AND time <= {until} "
    "GROUP BY start"
)
_FROM_AGGREGATE: Final = (
    "SELECT date_bin(CAST(:width AS interval), bucket - interval '1 microsecond', :origin) AS start, "
    "sum(sum) AS total, sum(count) AS number FROM {source} "
    "WHERE station = :station AND metric = :metric AND bucket > :first AND bucket <= :last GROUP BY start"
)


async def raw(connection: AsyncConnection, span: Span, most: int) -> list[dict[str, Any]]:
    """Readings as they came, whatever their quality: the earliest `most`."""
    rows = await connection.execute(_RAW, {**vars(span), "most": most})
    return [dict(row) for row in rows.mappings()]


async def bucketed(connection: AsyncConnection, span: Span, width: timedelta, chosen: Plan) -> list[Bucket]:
    """Good readings by bucket, as `plan` has chosen; a bucket that reaches over the span's edge holds only its part."""
    given = {**vars(span), "width": width, "origin": ORIGIN}
    if chosen.source is Source.READINGS:
        parts = [_FROM_READINGS.format(after=":begin", until=":end")]
    else:
        given |= {"first": chosen.first, "last": chosen.last}
        parts = [_FROM_AGGREGATE.format(source=chosen.source.value)]
        # Planning what is empty would cost more than the aggregate itself.
        if span.begin < chosen.first:
            parts.append(_FROM_READINGS.format(after=":begin", until=":first"))
        if chosen.last < span.end:
            parts.append(_FROM_READINGS.format(after=":last", until=":end"))
    sql = " UNION ALL ".join(parts)
    rows = await connection.execute(text(f"{sql} ORDER BY start"), given)
    return [Bucket(row.start, row.total, int(row.number)) for row in rows]
