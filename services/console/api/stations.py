"""The county, its sites and stations, and the series of a station's readings."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import AwareDatetime
from sqlalchemy import text

from services.console import words
from services.console.problems import Problem
from services.console.room import Entered, InRoom, Room
from tongluo import quality
from tongluo.reading import METRICS
from tongluo.store import series as store
from tongluo.store.series import Source, Span
from tongluo.wire import iso

router = APIRouter(tags=["stations"])

MOST_POINTS = 20_000
# Readings outside these are refused at the door, and calendars come to their ends.
FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Bucket(StrEnum):
    """Widths a series can be summed up to."""

    ONE_MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER_HOUR = "15m"
    HOUR = "1h"
    SIX_HOURS = "6h"
    DAY = "1d"

    @property
    def span(self) -> timedelta:
        unit = {"m": "minutes", "h": "hours", "d": "days"}[self.value[-1]]
        return timedelta(**{unit: int(self.value[:-1])})


@router.get("/county")
async def county(room: InRoom, account: Entered) -> dict[str, Any]:
    described = room.county()
    return {
        "code": described.code,
        "name": described.name,
        "name_en": described.name_en,
        "note": described.note,
        "mode": room.mode,
        "now": iso(room.clock.now()),
        "townships": [
            {
                "code": place.code,
                "name": described.divisions[place.code].name,
                "latitude": place.latitude,
                "longitude": place.longitude,
                "outline": place.outline,
            }
            for place in described.places.values()
        ],
        "metrics": {name: {"unit": m.unit, "zh": m.zh, "en": m.en} for name, m in METRICS.items()},
    }


@router.get("/sites")
async def sites(room: InRoom, account: Entered) -> list[dict[str, Any]]:
    described = room.county()
    return [words.site(described, site) for site in described.sites]


@router.get("/stations")
async def stations(room: InRoom, account: Entered) -> list[dict[str, Any]]:
    """Every registered station with its newest readings."""
    async with room.engine.connect() as connection:
        rows = (await connection.execute(text("SELECT * FROM latest"))).mappings()
        latest: dict[str, dict[str, Any]] = {}
        for row in rows:
            newest = {
                "time": iso(row["time"]),
                "value": row["value"],
                "quality": row["quality"],
                "flags": quality.names(row["flags"]),
            }
            latest.setdefault(row["station"], {})[row["metric"]] = newest
    return [
        {**msgspec.to_builtins(station), "latest": latest.get(station.id, {})}
        for station in room.county().stations.values()
    ]


@router.get("/stations/{station_id}/series")
async def series(
    station_id: str,
    room: InRoom,
    account: Entered,
    metric: str,
    begin: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    bucket: Bucket | None = None,
) -> dict[str, Any]:
    """Readings of one metric with from < time <= to, raw or by bucket (rain: sum; others: mean of good values).

    A bucket holds the readings after its start up to and including its end, as a gauge reports what fell before.
    `source` names the relation that answered: the readings, or one of their aggregates for all but the last days.
    """
    if station_id not in room.county().stations:
        raise Problem(404, f"station {station_id} is not registered")
    if metric not in METRICS:
        raise Problem(422, f"unknown metric {metric}; known are {', '.join(METRICS)}")
    end = end or max(room.clock.now(), await _newest(room, station_id, metric) or room.clock.now())
    begin = begin or max(end, FIRST + timedelta(days=1)) - timedelta(days=1)
    if not FIRST <= begin <= LAST or not FIRST <= end <= LAST:
        raise Problem(422, f"`from` and `to` must lie between {FIRST.year} and {LAST.year}")
    if begin >= end:
        raise Problem(422, f"`from` ({iso(begin)}) must be before `to` ({iso(end)})")
    span = Span(station_id, metric, begin, end)
    source, points = await (_raw(room, span) if bucket is None else _bucketed(room, span, bucket))
    return {
        "station": station_id,
        "metric": metric,
        "unit": METRICS[metric].unit,
        "from": iso(begin),
        "to": iso(end),
        "bucket": bucket,
        "aggregate": None if bucket is None else _aggregate(metric),
        "source": source,
        "points": points,
    }


Answer = tuple[Source, list[dict[str, Any]]]


async def _raw(room: Room, span: Span) -> Answer:
    async with room.engine.connect() as connection:
        rows = await store.raw(connection, span, MOST_POINTS + 1)
    if len(rows) > MOST_POINTS:
        raise Problem(
            422, f"more than {MOST_POINTS} readings; ask for a shorter span, or for buckets (bucket=1h)"
        )
    return Source.READINGS, [
        {**row, "time": iso(row["time"]), "flags": quality.names(row["flags"])} for row in rows
    ]


async def _bucketed(room: Room, span: Span, bucket: Bucket) -> Answer:
    if (span.end - span.begin) / bucket.span > MOST_POINTS:
        raise Problem(422, f"more than {MOST_POINTS} buckets; ask for a shorter span or a wider bucket")
    plan = store.plan(span, bucket.span, room.clock.now(), room.layout)
    async with room.engine.connect() as connection:
        found = await store.bucketed(connection, span, bucket.span, plan)
    summed = _aggregate(span.metric) == "sum"
    return plan.source, [
        {"time": iso(one.start), "value": round(one.sum if summed else one.mean, 6)} for one in found
    ]


async def _newest(room: Room, station: str, metric: str) -> datetime | None:
    async with room.engine.connect() as connection:
        found: datetime | None = await connection.scalar(
            text("SELECT time FROM latest WHERE station = :station AND metric = :metric"),
            {"station": station, "metric": metric},
        )
    return found


def _aggregate(metric: str) -> str:
    return "sum" if metric == "rain" else "mean"
