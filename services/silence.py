"""The timer that notices who says nothing: judges, stores, then tells. In the record role; one at a time judges."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest import recorder
from tongluo import bells, liveness, wire
from tongluo.clock import Clock, wall_now
from tongluo.liveness import Cause, EventKind, Heard, Scene, StationEvent, Turn
from tongluo.log.port import Entry, Log
from tongluo.postgres import Listener, wait
from tongluo.region import County, Station
from tongluo.signal import Spoke
from tongluo.store import gateways, heard, positions, silences
from tongluo.store.engine import ring
from tongluo.store.silences import Watch
from tongluo.supervise import Pulse
from tongluo.topics import COUNTY_KEY, EVENTS, READINGS, SIGNALS

logger = logging.getLogger(__name__)

EVERY_S: Final = 10.0
# Who has not judged for longer was not listening, or what came in was not recorded: nobody's silence meanwhile counts.
DEAF_AFTER: Final = timedelta(minutes=1)
TOLD_AT_ONCE: Final = 500
# A scraper waits ten seconds, and asks for the lag too.
PATIENCE_S: Final = 4.0


@dataclass(frozen=True)
class Mark:
    """A moment, and where the log ended when it had passed: once recorded so far, the moment can be judged."""

    moment: datetime
    ends: Mapping[int, int]


class Silence:
    """Run `run` as a role. `event_time`: now, and when stations were heard, are by the readings' own times."""

    def __init__(  # noqa: PLR0913 - what the role is made of, each once
        self,
        log: Log,
        engine: AsyncEngine,
        listener: Listener,
        county: Callable[[], County],
        clock: Clock,
        *,
        intervals: int,
        event_time: bool,
        every_s: float = EVERY_S,
    ) -> None:
        self._log = log
        self._engine = engine
        self._listener = listener
        self._county = county
        self._clock = clock
        self._intervals = intervals
        self._event_time = event_time
        self._every_s = every_s
        self._mark: Mark | None = None
        self._registered: frozenset[str] = frozenset()

    async def run(self, pulse: Pulse) -> None:
        # The bell is nobody's: it only ends the pause when the connection to the store was lost and is back.
        async with self._listener.bell("silence") as bell:
            while True:
                bell.clear()
                judged = await self.look()
                pulse.beat("running" if judged is not None else "standing by")
                pulse.count("events", len(judged or ()))
                pulse.count("told", await self.tell())
                await wait(bell, self._every_s)

    async def look(self) -> list[StationEvent] | None:
        """Judge what can be judged; None while another process does, or what came in is not recorded yet."""
        if self._mark is None:
            self._mark = await self._now()
        if self._mark is None or not await self._recorded(self._mark):
            return None
        mark, self._mark = self._mark, None
        async with self._engine.begin() as connection:
            if not await silences.lead(connection):
                return None
            return await self._judge(connection, mark.moment)

    async def tell(self) -> int:
        """Hand events on to the log; a crash in between hands them on again, and they have an identity."""
        number = 0
        while True:
            async with self._engine.begin() as connection:
                if not await silences.lead(connection):
                    return number
                events = await silences.untold(connection, TOLD_AT_ONCE)
                await self._log.append([entry for event in events for entry in _entries(event)])
                await silences.told(connection, events, wall_now())
            number += len(events)
            if len(events) < TOLD_AT_ONCE:
                return number

    async def _now(self) -> Mark | None:
        """The moment now, by the readings in replay mode; None before the first of them."""
        if self._event_time:
            async with self._engine.connect() as connection:
                newest = await heard.newest(connection)
            if newest is None:
                return None
            self._clock.observe(newest)
        # In this order: whatever came in by the moment stands below the ends.
        moment = self._clock.now()
        return Mark(moment, await self._log.ends(READINGS))

    async def _recorded(self, mark: Mark) -> bool:
        places = await positions.positions(self._engine, recorder.GROUP, READINGS)
        return all(places[partition] >= end for partition, end in mark.ends.items())

    async def _judge(self, connection: AsyncConnection, now: datetime) -> list[StationEvent]:
        watch = self._watched(await silences.watch(connection), now)
        if watch is None:
            return []
        county = self._county()
        speaking = {name: s for name, s in county.stations.items() if liveness.speaks(s)}
        if frozenset(speaking) != self._registered:
            await silences.register(connection, sorted(speaking), now)
        known_stations = await heard.known(connection)
        silent = await silences.silent(connection)
        found = [
            (speaking[name], turn)
            for name, known in known_stations.items()
            if name in speaking
            for turn in self._turns(speaking[name], known, silent.get(name), watch)
        ]
        around = liveness.scene(county, known_stations, await gateways.known(connection))
        events = await _events(connection, around, found)
        await silences.keep(connection, events, wall_now())
        await silences.forget(connection, [name for name in silent if name not in speaking])
        await heard.forget_gaps(connection, now)
        await silences.keep_watch(connection, watch)
        if events:
            await ring(connection, bells.EVENTS)
        self._registered = frozenset(speaking)
        return events

    def _turns(
        self, station: Station, known: Heard, silent_since: datetime | None, watch: Watch
    ) -> list[Turn]:
        limit = liveness.patience(station, self._intervals)
        return list(liveness.turns(known, limit, silent_since, watch.judged, watch.watched))

    def _watched(self, before: Watch | None, now: datetime) -> Watch | None:
        """How far is judged after this look, and since when we listen; None where nothing is new."""
        if before is not None and now <= before.judged:
            return None
        if self._event_time:
            return Watch(now, None)
        if before is None or now - before.judged > DEAF_AFTER:
            return Watch(now, now)
        return Watch(now, before.watched)


def _entries(event: StationEvent) -> list[Entry]:
    """For whoever follows a site, and for the county-wide judgement."""
    return [
        Entry(EVENTS, event.site, wire.EVENT.encode(event), event.time),
        Entry(SIGNALS, COUNTY_KEY, wire.SIGNAL.encode(Spoke(event)), event.time),
    ]


async def _events(
    connection: AsyncConnection, around: Scene, found: list[tuple[Station, Turn]]
) -> list[StationEvent]:
    """The events of turns, in order, with what is known about why."""
    fell = {station.id: turn.time for station, turn in found if turn.kind is EventKind.SILENT}
    batteries = await silences.batteries(connection, fell)

    def why(station: Station, turn: Turn) -> Cause | None:
        if turn.kind is not EventKind.SILENT:
            return None
        return liveness.cause(around, station, turn.time, batteries.get(station.id))

    events = [liveness.event(station, turn, why(station, turn)) for station, turn in found]
    return sorted(events, key=lambda event: event.time)


async def standing(engine: AsyncEngine, county: County) -> dict[str, int] | None:
    """How many stations that should speak do, are silent, or were never heard; None while the store is away."""
    try:
        async with asyncio.timeout(PATIENCE_S), engine.connect() as connection:
            silent = await silences.silent(connection)
            known = await heard.known(connection)
    except (OSError, psycopg.Error, SQLAlchemyError) as error:
        logger.info("who is silent is not known: %s", error)
        return None
    speaking = [name for name, station in county.stations.items() if liveness.speaks(station)]
    states = ["silent" if n in silent else "speaking" if n in known else "never_heard" for n in speaking]
    return {state: states.count(state) for state in ("speaking", "silent", "never_heard")}
