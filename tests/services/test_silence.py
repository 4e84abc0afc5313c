"""Silence on a real store and log: stored once, told once more rather than not at all, by one at a time."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest import gateways, recorder
from services.ingest.mqtt import Message
from services.silence import Silence, standing
from tests.conftest import opened_log, until
from tongluo import testing, wire
from tongluo.clock import EventClock
from tongluo.gateway import GatewayStatus
from tongluo.liveness import Cause, EventKind, StationEvent
from tongluo.log.port import Batch, Entry
from tongluo.log.postgres import PostgresLog
from tongluo.postgres import Listener
from tongluo.reading import Reading, Refusal
from tongluo.readings import gathered
from tongluo.region import County
from tongluo.store import gateways as states
from tongluo.store import silences
from tongluo.store.engine import open_store
from tongluo.store.layout import Layout
from tongluo.supervise import Supervisor
from tongluo.topics import EVENTS, READINGS, STATUS

START = datetime(2026, 7, 1, tzinfo=UTC)


def minutes(number: float) -> datetime:
    return START + timedelta(minutes=number)


class Stage:
    """A store, a log with its recorder in replay mode, and who judges silence there."""

    def __init__(self, dsn: str, engine: AsyncEngine, log: PostgresLog) -> None:
        self.dsn, self.engine, self.log = dsn, engine, log
        self.county = testing.county(4)
        self.messages = 0

    def silence(self, county: County | None = None) -> Silence:
        return Silence(
            self.log,
            self.engine,
            Listener(self.dsn),
            lambda: county or self.county,
            EventClock(),
            intervals=3,
            event_time=True,
        )

    async def heard(self, *readings: tuple[str, float]) -> None:
        """R-1 speaks at minute 5, and so on; all of it is recorded."""
        entries = []
        for name, minute in readings:
            station = self.county.stations[name]
            reading = Reading(name, "rain", minutes(minute), 0.0, station.site, station.gateway)
            entries.append(
                Entry(READINGS, station.site, wire.READINGS.encode(gathered([reading])), reading.time)
            )
        await self.log.append(entries)
        await self.recorded()

    async def recorded(self) -> None:
        async def at_the_end() -> bool:
            from services.groups import IN_THE_STORE
            from tongluo.store.positions import positions

            return all(
                [
                    await positions(self.engine, group, topic) == await self.log.ends(topic)
                    for group, topic in IN_THE_STORE
                    if topic in (READINGS, STATUS)
                ]
            )

        await until(at_the_end)

    async def told(self) -> list[StationEvent]:
        async with self.log.join("test", EVENTS) as member:
            found: list[StationEvent] = []
            while (event := await member.next(timeout_s=0.5)) is not None:
                if isinstance(event, Batch):
                    found += [wire.EVENT.decode(entry.value) for entry in event.entries]
            return found


@pytest.fixture
async def stage(dsn: str) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_store(dsn))
        log = await stack.enter_async_context(opened_log(dsn))
        supervisor = Supervisor()
        supervisor.add("readings", recorder.readings(log, engine, Layout.MONTHS, event_time=True).run)
        supervisor.add("gateways", recorder.gateways(log, engine).run)
        await stack.enter_async_context(supervisor.running())
        yield Stage(dsn, engine, log)


async def test_silence_is_an_event_that_is_stored_and_told_once(stage: Stage) -> None:
    judge = stage.silence()
    await stage.heard(("R-1", 0), ("R-2", 0), ("R-2", 5), ("R-2", 10), ("R-2", 15))
    [event] = await judge.look() or []
    assert (event.station, event.kind, event.time, event.last) == (
        "R-1",
        EventKind.SILENT,
        minutes(15),
        minutes(0),
    )
    assert event.cause is Cause.STATION_SILENT
    assert (
        event.words.en
        == "1号雨量站 is silent: its gateway G-1 speaks: sensor, cable or radio of this station"
    )
    assert await judge.tell() == 1
    assert await standing(stage.engine, stage.county) == {"speaking": 1, "silent": 1, "never_heard": 2}
    # Another process, or this one after its restart, finds nothing new.
    assert await stage.silence().look() == []
    assert await stage.silence().tell() == 0
    await stage.heard(("R-1", 20))
    [event] = await judge.look() or []
    assert (event.kind, event.time) == (EventKind.SPEAKING_AGAIN, minutes(20))
    await judge.tell()
    assert [(e.id, e.kind) for e in await stage.told()] == [
        ("silent-R-1-20260701T001500.000000Z", EventKind.SILENT),
        ("speaking_again-R-1-20260701T002000.000000Z", EventKind.SPEAKING_AGAIN),
    ]
    assert (await standing(stage.engine, stage.county) or {})["silent"] == 0


async def test_a_silence_that_came_and_went_between_two_looks_is_found(stage: Stage) -> None:
    """A replay passes hours between two looks of the timer; batches hold many readings of a station."""
    await stage.heard(*(("R-1", minute) for minute in (0, 60, 65, 70)), *(("R-2", 5 * n) for n in range(15)))
    judge = stage.silence()
    assert [(e.station, e.kind, e.time) for e in await judge.look() or []] == [
        ("R-1", EventKind.SILENT, minutes(15)),
        ("R-1", EventKind.SPEAKING_AGAIN, minutes(60)),
    ]
    async with stage.engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM heard_gap")) == 0


async def test_what_is_not_recorded_yet_is_nobodys_silence(dsn: str) -> None:
    async with open_store(dsn) as engine, opened_log(dsn) as log:
        stage = Stage(dsn, engine, log)
        reading = Reading("R-1", "rain", minutes(0), 0.0, "S-1", "G-1")
        async with engine.begin() as connection:
            await recorder.heard.note(connection, [reading], None)
        await log.append([Entry(READINGS, "S-1", wire.READINGS.encode(gathered([reading])), reading.time)])
        assert await stage.silence().look() is None


async def test_live_a_pause_of_ours_is_nobodys_silence(dsn: str) -> None:
    """Looked at every 50 s; then the program is away for an hour, and nobody falls silent by that."""
    async with open_store(dsn) as engine, opened_log(dsn) as log:
        stage, clock = Stage(dsn, engine, log), EventClock()
        judge = Silence(
            log, engine, Listener(dsn), lambda: stage.county, clock, intervals=3, event_time=False
        )

        async def came(name: str, seconds: float) -> None:
            station = stage.county.stations[name]
            reading = Reading(name, "rain", minutes(-500), 0.0, station.site, station.gateway)
            async with engine.begin() as connection:
                await recorder.heard.note(connection, [reading], START + timedelta(seconds=seconds))

        async def looked(seconds: float) -> list[str]:
            clock.observe(START + timedelta(seconds=seconds))
            return [f"{e.station} {e.kind} {e.time - START}" for e in await judge.look() or []]

        await came("R-1", -3600)
        await came("R-2", -3600)
        found = []
        for seconds in range(0, 1000, 50):
            await came("R-2", seconds - 10)
            found += await looked(seconds)
        assert found == ["R-1 silent 0:15:00"]
        assert await looked(4600) == []
        assert await looked(4650) == []
        await came("R-1", 4660)
        assert await looked(4700) == ["R-1 speaking_again 1:17:40"]


async def test_only_one_judges_at_a_time(stage: Stage) -> None:
    await stage.heard(("R-1", 0), ("R-2", 30))
    async with stage.engine.begin() as other:
        assert await silences.lead(other)
        assert await stage.silence().look() is None
        assert await stage.silence().tell() == 0
    assert len(await stage.silence().look() or []) == 1


async def test_a_crash_before_telling_tells_after_it(stage: Stage) -> None:
    await stage.heard(("R-1", 0), ("R-2", 30))
    assert len(await stage.silence().look() or []) == 1
    # Judged and stored, and the process is gone.
    assert await stage.silence().tell() == 1
    assert len(await stage.told()) == 1


async def test_seventeen_gauges_behind_one_dead_gateway_have_one_cause(stage: Stage) -> None:
    stage.county = testing.county(19)
    behind = [f"R-{n}" for n in range(3, 20)]
    await stage.heard(*((name, 0) for name in behind), *(("R-1", 5 * n) for n in range(5)))
    will = GatewayStatus("G-2", online=False, received=minutes(2))
    await stage.log.append([Entry(STATUS, "G-2", wire.STATUS.encode(will), will.received)])
    await stage.recorded()
    events = await stage.silence().look() or []
    assert {event.station for event in events} == set(behind)
    assert {event.cause for event in events} == {Cause.GATEWAY_OFFLINE}


async def test_a_low_battery_before_the_silence_is_told(stage: Stage) -> None:
    station = stage.county.stations["R-1"]
    low = Reading("R-1", "battery", minutes(-1), 10.9, station.site, station.gateway)
    await stage.log.append([Entry(READINGS, low.site, wire.READINGS.encode(gathered([low])), low.time)])
    await stage.heard(("R-1", 0), *(("R-2", 5 * n) for n in range(5)))
    [event] = await stage.silence().look() or []
    assert event.cause is Cause.STATION_POWER
    assert "电池" in event.words.zh


async def test_a_station_no_longer_registered_is_no_longer_silent(stage: Stage) -> None:
    await stage.heard(("R-1", 0), ("R-2", 30))
    assert len(await stage.silence().look() or []) == 1
    await stage.heard(("R-2", 35))
    fewer = testing.county(4)
    del fewer.stations["R-1"]
    assert await stage.silence(fewer).look() == []
    assert (await standing(stage.engine, fewer) or {})["silent"] == 0


async def test_statuses_are_recorded_as_gateways_send_them(stage: Stage) -> None:
    async def say(
        payload: bytes, minute: float, *, retained: bool = False, gateway: str = "G-1"
    ) -> list[Entry]:
        message = Message(f"tongluo/v1/{gateway}/status", payload, minutes(minute), 1, retained)
        entries = gateways.entries(message, stage.county)
        await stage.log.append(entries)
        await stage.recorded()
        return entries

    await say(b'{"online":true,"battery":12.1,"firmware":"3.2"}', 0)
    await say(b'{"online":false}', 5)
    await say(b'{"online":false}', 30, retained=True)
    async with stage.engine.connect() as connection:
        state = (await states.known(connection))["G-1"]
    assert (state.online, state.since, state.heard, state.battery) == (False, minutes(5), minutes(5), 12.1)
    assert await say(b"", 31) == []


@pytest.mark.parametrize(
    ("gateway", "payload", "code"),
    [
        ("G-1", b"online", "not_json"),
        ("G-1", b"[true]", "not_a_status"),
        ("G-1", b"{}", "missing_field"),
        ("G-1", b'{"online":"yes"}', "wrong_type"),
        ("G-1", b'{"online":true,"battery":"full"}', "wrong_type"),
        ("G-1", b'{"online":true,"battery":1e999}', "not_json"),
        ("G-1", b'{"online":true,"time":"2026-07-01T00:00:00"}', "wrong_time"),
        ("G-1", b'{"online":true,"note":"' + b"x" * 5000 + b'"}', "too_large"),
        ("G-1", b"[" * 100_000, "too_large"),
        ("G-9", b'{"online":true}', "unknown_gateway"),
        ("\x00", b'{"online":true}', "unknown_gateway"),
    ],
)
def test_a_status_that_is_none_is_refused_with_its_reason(gateway: str, payload: bytes, code: str) -> None:
    message = Message(f"tongluo/v1/{gateway}/status", payload, START)
    refused = gateways.read(message, testing.county())
    assert isinstance(refused, Refusal)
    assert refused.code == code
    assert refused.payload == payload
    assert refused.reason.zh != refused.reason.en


def test_a_gateways_clock_that_is_ahead_does_not_order_its_words() -> None:
    message = Message("tongluo/v1/G-1/status", b'{"online":true,"time":"2099-01-01T00:00:00Z"}', START)
    found = gateways.read(message, testing.county())
    assert isinstance(found, GatewayStatus)
    assert found.time is None
