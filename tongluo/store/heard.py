"""When stations were heard: written by the recorder beside the readings, read by who judges silence.

Live, a reading is heard when it is recorded; in replay mode at its own time.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tongluo.liveness import RESOLUTION, Gap, Heard
from tongluo.reading import Reading

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_INNER: Final = text(
    "INSERT INTO heard_gap (station, began, ended) SELECT s, b, e FROM "
    "unnest(CAST(:stations AS text[]), CAST(:began AS timestamptz[]), CAST(:ended AS timestamptz[])) AS g(s, b, e) "
    "ON CONFLICT DO NOTHING"
)
# Who speaks again so soon is not noted anew: in a flood of readings, noting would cost as much as recording them.
NOTED_EVERY: Final = timedelta(seconds=5)
# In the order of the stations, as every writer does: two that lock the same rows do not wait for each other.
_CAME: Final = text(
    # Times as microseconds since 1970: handing over a thousand timestamps takes the driver longer than all the rest.
    "WITH came AS (SELECT station, timestamptz 'epoch' + f * interval '1 us' AS first, "
    "  timestamptz 'epoch' + l * interval '1 us' AS last, timestamptz 'epoch' + t * interval '1 us' AS first_time "
    "  FROM unnest(CAST(:stations AS text[]), CAST(:firsts AS int8[]), CAST(:lasts AS int8[]), CAST(:times AS int8[])) "
    "  AS c(station, f, l, t)), "
    "gap AS (INSERT INTO heard_gap (station, began, ended) SELECT station, h.last, came.first FROM came "
    "  JOIN station_heard h USING (station) WHERE came.first - h.last > :resolution ON CONFLICT DO NOTHING) "
    "INSERT INTO station_heard AS h (station, first, last, first_time) "
    "SELECT came.* FROM came LEFT JOIN station_heard k USING (station) WHERE k.station IS NULL "
    "  OR came.last > k.last + CAST(:every AS interval) OR came.first_time < k.first_time ORDER BY station "
    "ON CONFLICT (station) DO UPDATE SET last = greatest(h.last, excluded.last), "
    "  first_time = least(h.first_time, excluded.first_time)"
)


async def note(connection: AsyncConnection, readings: Sequence[Reading], now: datetime | None) -> None:
    """Note in the caller's transaction that these came in at `now`; None: each at its own time (replay mode)."""
    if not readings:
        return
    times: dict[str, list[datetime]] = {}
    for reading in readings:
        times.setdefault(reading.station, []).append(reading.time)
    heard = {station: sorted(of) if now is None else [now] for station, of in times.items()}
    inner = [
        (station, began, ended)
        for station, moments in heard.items()
        for began, ended in pairwise(moments)
        if ended - began > RESOLUTION
    ]
    if inner:
        stations, begins, ends = (list(column) for column in zip(*inner, strict=True))
        await connection.execute(_INNER, {"stations": stations, "began": begins, "ended": ends})
    await connection.execute(
        _CAME,
        {
            "stations": list(heard),
            "firsts": [_microseconds(moments[0]) for moments in heard.values()],
            "lasts": [_microseconds(moments[-1]) for moments in heard.values()],
            "times": [_microseconds(min(times[station])) for station in heard],
            "resolution": RESOLUTION,
            "every": NOTED_EVERY,
        },
    )


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


async def known(connection: AsyncConnection) -> dict[str, Heard]:
    """Every station that was ever heard, with its gaps that are not judged yet."""
    gaps: dict[str, list[Gap]] = {}
    for station, began, ended in await connection.execute(
        text("SELECT station, began, ended FROM heard_gap ORDER BY station, began")
    ):
        gaps.setdefault(station, []).append(Gap(began, ended))
    return {
        station: Heard(first, last, tuple(gaps.get(station, ())))
        for station, first, last in await connection.execute(
            text("SELECT station, first, last FROM station_heard")
        )
    }


async def newest(connection: AsyncConnection) -> datetime | None:
    """When anybody was heard last."""
    found: datetime | None = await connection.scalar(text("SELECT max(last) FROM station_heard"))
    return found


async def forget_gaps(connection: AsyncConnection, judged: datetime) -> None:
    """Gaps that ended by `judged` have led to what they lead to."""
    await connection.execute(text("DELETE FROM heard_gap WHERE ended <= :judged"), {"judged": judged})
