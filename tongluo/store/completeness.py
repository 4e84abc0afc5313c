"""A day's readings counted: by station and metric what came, late, flagged; by counter which numbers are missing.

Every query names its stations and the bounds of its days, so that it reads those partitions or chunks alone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tongluo.completeness import FLAGS, LATE_AFTER, SEQ_AHEAD, SEQ_BACK, Day, Expected, Tally
from tongluo.quality import Flag
from tongluo.region import Station

# What bears a flag that says something against the value or its time; that it came late is counted apart.
_AGAINST: Final = int(~Flag.LATE)
_BY_FLAG: Final = ", ".join(
    f"count(*) FILTER (WHERE r.inside AND r.flags & {flag.value} <> 0)" for flag in FLAGS
)

_TALLIES: Final = text(
    "WITH asked AS (SELECT *, make_interval(secs => s) AS width FROM unnest(CAST(:stations AS text[]), "
    "  CAST(:intervals AS float8[]), CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[])) "
    "  AS a(station, s, begins, ends)), "
    # Half an interval more on both sides: what fills a slot whose middle lies in the day.
    "r AS (SELECT r.station, r.metric, r.time, r.recorded, r.flags, a.s, a.width, a.begins, a.ends, "
    "  r.time > :begin AND r.time <= :end AS inside FROM asked a JOIN reading r ON r.station = a.station "
    "  WHERE r.time > :earliest AND r.time <= :latest "
    "  AND r.time > CAST(:begin AS timestamptz) - a.width / 2 AND r.time <= CAST(:end AS timestamptz) + a.width / 2), "
    "f AS (SELECT *, min(time) FILTER (WHERE inside) OVER (PARTITION BY station, metric) AS first FROM r), "
    "n AS (SELECT *, floor(extract(epoch FROM time - first)::float8 / s + 0.5) AS slot, (flags & :late_flag <> 0 OR "
    "  (:live AND recorded - time > greatest(width, CAST(:late AS interval)))) AS late FROM f) "
    "SELECT r.station, r.metric, min(r.first) AS first, count(*) FILTER (WHERE r.inside) AS received, "
    "count(DISTINCT r.slot) FILTER (WHERE r.first + r.slot * r.width > r.begins "
    "  AND r.first + r.slot * r.width <= r.ends) AS filled, count(*) FILTER (WHERE r.inside AND r.late) AS late, "
    f"ARRAY[count(*) FILTER (WHERE r.inside AND r.flags & {_AGAINST} <> 0), {_BY_FLAG}] AS flagged "
    "FROM n AS r GROUP BY r.station, r.metric HAVING bool_or(r.inside)"
)

# Some devices number the readings of each station, some gateways those of all of theirs together: where no number of a
# gateway's stations is there twice, it counts them together.
# Stations and gateways by numbers of their own here, as sorting by those is much faster than by names.
_NUMBERS: Final = text(
    "WITH asked AS (SELECT station, g, nth::int AS s FROM unnest(CAST(:stations AS text[]), CAST(:gateways AS int[])) "
    "  WITH ORDINALITY AS a(station, g, nth)), "
    "n AS MATERIALIZED (SELECT DISTINCT a.s, a.g, r.time, r.seq FROM asked a JOIN reading r ON r.station = a.station "
    "  WHERE r.time > :begin AND r.time <= :end AND r.seq IS NOT NULL), "
    "once AS (SELECT DISTINCT g, s, seq FROM n), "
    "twice AS (SELECT DISTINCT g FROM (SELECT g FROM once GROUP BY g, seq HAVING count(*) > 1) AS t), "
    "scope AS (SELECT g, count(*) > 1 AND g NOT IN (SELECT g FROM twice) AS together "
    "  FROM (SELECT DISTINCT g, s FROM n) AS of GROUP BY g), "
    "b AS (SELECT sc.together, CASE WHEN sc.together THEN n.g ELSE n.s END AS counter, n.time, n.seq "
    "  FROM n JOIN scope sc USING (g)), "
    "steps AS (SELECT *, seq - lag(seq) OVER (PARTITION BY together, counter ORDER BY time, seq) AS step FROM b), "
    "runs AS (SELECT *, count(*) FILTER (WHERE step > :ahead OR step < -:back) "
    "  OVER (PARTITION BY together, counter ORDER BY time, seq) AS run FROM steps), "
    "by_run AS (SELECT together, counter, run, max(seq)::numeric - min(seq) + 1 - count(DISTINCT seq) AS missing "
    "  FROM runs GROUP BY together, counter, run) "
    "SELECT together, counter, sum(missing)::bigint AS missing, count(*) - 1 AS resets FROM by_run "
    "GROUP BY together, counter"
)


class Numbers(msgspec.Struct, frozen=True):
    """Of one counter in one day: numbers missing between its smallest and its largest, and how often it began anew.

    `together` when a gateway counts the readings of all its stations.
    """

    missing: int
    resets: int
    together: bool


async def tallies(
    connection: AsyncConnection,
    stations: Sequence[Station],
    wanted: Mapping[str, Expected],
    day: Day,
    *,
    live: bool,
) -> dict[tuple[str, str], Tally]:
    """By station and metric what came in a day. `wanted` has what was to be expected of each station.

    `live` is False in replay mode, where the moment of recording says nothing.
    """
    if not stations:
        return {}
    half = timedelta(seconds=max(station.interval_s for station in stations)) / 2
    rows = await connection.execute(
        _TALLIES,
        {
            "stations": [station.id for station in stations],
            "intervals": [float(station.interval_s) for station in stations],
            "begins": [wanted[station.id].begin for station in stations],
            "ends": [wanted[station.id].end for station in stations],
            "earliest": day.begin - half,
            "latest": day.end + half,
            "begin": day.begin,
            "end": day.end,
            "late": LATE_AFTER,
            "late_flag": int(Flag.LATE),
            "live": live,
        },
    )
    return {
        (row.station, row.metric): Tally(row.first, row.received, row.filled, row.late, tuple(row.flagged))
        for row in rows
    }


async def numbers(
    connection: AsyncConnection, stations: Sequence[Station], day: Day
) -> dict[tuple[bool, str], Numbers]:
    """By (together, gateway or station) which numbers are missing; `stations` are whole gateways."""
    if not stations:
        return {}
    gateways = sorted({station.gateway for station in stations})
    number = {gateway: nth for nth, gateway in enumerate(gateways)}
    rows = await connection.execute(
        _NUMBERS,
        {
            "stations": [station.id for station in stations],
            "gateways": [number[station.gateway] for station in stations],
            "begin": day.begin,
            "end": day.end,
            "ahead": SEQ_AHEAD,
            "back": SEQ_BACK,
        },
    )
    return {
        (row.together, gateways[row.counter] if row.together else stations[row.counter - 1].id): Numbers(
            row.missing, row.resets, row.together
        )
        for row in rows
    }


async def known_since(connection: AsyncConnection) -> dict[str, datetime]:
    """Since when each station is known: registered, or its oldest reading, whichever is earlier."""
    rows = await connection.execute(
        text(
            "SELECT station, min(since) FROM (SELECT station, registered AS since FROM station_since "
            "UNION ALL SELECT station, first_time FROM station_heard) AS s GROUP BY station"
        )
    )
    return {row[0]: row[1] for row in rows}


async def readings(
    connection: AsyncConnection, station: Station, day: Day, most: int
) -> list[dict[str, Any]]:
    """One station's readings of a day and half an interval around it, in order, at most `most`."""
    half = timedelta(seconds=station.interval_s) / 2
    rows = await connection.execute(
        text(
            "SELECT metric, time, recorded, flags, seq FROM reading WHERE station = :station "
            "AND time > :begin AND time <= :end ORDER BY time, metric LIMIT :most"
        ),
        {"station": station.id, "begin": day.begin - half, "end": day.end + half, "most": most},
    )
    return [dict(row) for row in rows.mappings()]
