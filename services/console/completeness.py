"""Completeness of a county: what was expected of each station on each day, what came, and what is missing."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.room import Room
from tongluo import completeness
from tongluo.completeness import Day, Line
from tongluo.liveness import speaks
from tongluo.region import County, Station
from tongluo.store import completeness as store
from tongluo.store.completeness import Numbers

# Stations counted in one query.
AT_ONCE = 500


@dataclass(frozen=True)
class StationDay:
    """One station's day: by metric, and all its expected metrics together. `numbers` None: it sends none."""

    station: Station
    day: Day
    metrics: Mapping[str, Line]
    numbers: Numbers | None

    @property
    def total(self) -> Line:
        return completeness.total(list(self.metrics.values()))


def chosen(county: County, station: str | None, township: str | None) -> list[Station]:
    """The stations that are asked for and expected to speak."""
    return [
        one
        for one in county.stations.values()
        if speaks(one)
        and (station is None or one.id == station)
        and (township is None or _division(county, one).startswith(township))
    ]


def _division(county: County, station: Station) -> str:
    return station.division or county.sites[station.site].division


async def of_day(
    connection: AsyncConnection, room: Room, day: Day, stations: Sequence[Station]
) -> AsyncIterator[StationDay]:
    """The day of each of these stations, in their order; not more in memory than AT_ONCE of them."""
    # A day of 500 stations is some 150,000 readings, which are sorted several ways.
    await connection.execute(text("SET LOCAL work_mem = '64MB'"))
    now = room.clock.now()
    since = await store.known_since(connection)
    for start in range(0, len(stations), AT_ONCE):
        some = stations[start : start + AT_ONCE]
        for found in await _counted(connection, room, day, some, {s.id: since.get(s.id) for s in some}, now):
            yield found


async def _counted(
    connection: AsyncConnection,
    room: Room,
    day: Day,
    stations: Sequence[Station],
    since: Mapping[str, datetime | None],
    now: datetime,
) -> list[StationDay]:
    wanted = {s.id: completeness.expected(day, s.interval_s, since[s.id], now) for s in stations}
    live = room.mode == "live"
    tallies = await store.tallies(connection, stations, wanted, day, live=live)
    gateways = {station.gateway for station in stations}
    whole = [one for one in room.county().stations.values() if one.gateway in gateways]
    numbers = await store.numbers(connection, whole, day)
    return [
        StationDay(
            station,
            day,
            {
                metric: completeness.line(metric, wanted[station.id], tallies.get((station.id, metric)))
                for metric in station.metrics
            },
            numbers.get((False, station.id)) or numbers.get((True, station.gateway)),
        )
        for station in stations
    ]
