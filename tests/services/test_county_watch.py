"""A registry that changes is taken up by a running program, without a restart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from services.app import Running
from services.county_watch import CountyWatch
from tests.conftest import until
from tests.scenarios.field import officer, publish, rain, settled
from tongluo import testing
from tongluo.clock import wall_now
from tongluo.postgres import Listener
from tongluo.store import registry
from tongluo.store.engine import open_store
from tongluo.store.registry import Edit
from tongluo.supervise import Supervisor

EDIT = Edit("test", "test")


async def test_a_new_stations_next_reading_is_accepted(program: Running) -> None:
    reading = rain(5, 1.0, station="R-9")
    await publish(program.field.gateway_port, [reading])
    await program.supervisor.pulses["ingest"].counted("messages", 1)
    await settled(program)
    async with officer(program.http_url) as api:
        assert [item["code"] for item in (await api.get("/quarantine")).json()["items"]] == [
            "unknown_station"
        ]

    gauge = msgspec.structs.replace(testing.county().stations["R-1"], id="R-9")
    county = testing.county()
    more = msgspec.structs.replace(county, stations={**county.stations, "R-9": gauge})
    await registry.apply(program.engine, more, EDIT, over=1, now=wall_now())

    async def accepted() -> bool:
        await publish(program.field.gateway_port, [reading])
        async with officer(program.http_url) as api:
            stations = {each["id"]: each for each in (await api.get("/stations")).json()}
        return "rain" in stations.get("R-9", {"latest": {}})["latest"]

    await until(accepted)


@asynccontextmanager
async def watched(dsn: str, poll_s: float) -> AsyncIterator[tuple[CountyWatch, Listener, AsyncEngine]]:
    """A watch over a registry with one station."""
    async with open_store(dsn) as engine:
        await registry.apply(engine, testing.county(1), EDIT, over=0, now=wall_now())
        first = await registry.newest(engine)
        assert first is not None
        listener = Listener(dsn)
        yield CountyWatch(engine, listener, first, poll_s), listener, engine


@pytest.mark.parametrize(("poll_s", "listening"), [(3600.0, True), (0.05, False)])
async def test_a_change_is_heard_and_found_without_hearing(dsn: str, poll_s: float, listening: bool) -> None:
    async with watched(dsn, poll_s) as (watch, listener, engine):
        supervisor = Supervisor()
        supervisor.add("registry", watch.run)
        if listening:
            supervisor.add("listener", listener.run)
        async with supervisor.running():
            await supervisor.ready()
            # More than one: the listener's own start wakes everybody once.
            for gauges in (2, 3, 4):
                county = testing.county(gauges)
                await registry.apply(engine, county, EDIT, over=gauges - 1, now=wall_now())
                await until(lambda wanted=county: watch.county() == wanted)


async def test_a_piece_of_work_keeps_the_county_it_began_with(dsn: str) -> None:
    async with watched(dsn, 3600.0) as (watch, _, engine):
        begun = watch.county()
        await registry.apply(engine, testing.county(2), EDIT, over=1, now=wall_now())
        await watch.look()
        assert set(begun.stations) == {"R-1"}
        assert set(watch.county().stations) == {"R-1", "R-2"}


async def test_looking_again_reads_nothing_anew(dsn: str) -> None:
    async with watched(dsn, 3600.0) as (watch, _, _engine):
        held = watch.county()
        with psycopg.connect(dsn) as connection:
            connection.execute("UPDATE registry_version SET description = 'unreadable'")
        await watch.look()
        assert watch.county() is held
