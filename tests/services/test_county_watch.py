"""A registry that changes is taken up by a running program, without a restart."""

from collections.abc import Awaitable, Callable

import msgspec
import psycopg

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


async def watched(dsn: str, change: Callable[[CountyWatch], Awaitable[None]]) -> None:
    async with open_store(dsn) as engine:
        await registry.apply(engine, testing.county(1), EDIT, over=0, now=wall_now())
        first = await registry.newest(engine)
        assert first is not None
        watch = CountyWatch(engine, Listener(dsn), first)
        await change(watch)


async def test_a_piece_of_work_keeps_the_county_it_began_with(dsn: str) -> None:
    async def change(watch: CountyWatch) -> None:
        begun = watch.county()
        async with open_store(dsn) as engine:
            await registry.apply(engine, testing.county(2), EDIT, over=1, now=wall_now())
        await watch.look()
        assert set(begun.stations) == {"R-1"}
        assert set(watch.county().stations) == {"R-1", "R-2"}

    await watched(dsn, change)


async def test_looking_again_reads_nothing_anew(dsn: str) -> None:
    async def change(watch: CountyWatch) -> None:
        held = watch.county()
        with psycopg.connect(dsn) as connection:
            connection.execute("UPDATE registry_version SET description = 'unreadable'")
        await watch.look()
        assert watch.county() is held

    await watched(dsn, change)
