"""Versions of the registry: kept, numbered, applied only over the one they were made against."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncEngine

from tongluo import testing
from tongluo.errors import RegistryMoved
from tongluo.finding import Level
from tongluo.quality import Limits
from tongluo.region import County
from tongluo.store import registry
from tongluo.store.engine import open_store, sqlalchemy_url
from tongluo.store.migrate import alembic_config, migrate

NOW = datetime(2026, 7, 1, tzinfo=UTC)
BY_HAND = registry.Edit("officer", "console", "new gauge")


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    async with open_store(dsn) as opened:
        yield opened


async def apply(engine: AsyncEngine, county: County, over: int) -> registry.Version:
    return await registry.apply(engine, county, BY_HAND, over=over, now=NOW)


async def test_every_version_stays_and_the_newest_holds(engine: AsyncEngine) -> None:
    assert await registry.registered(engine) is None
    gauge = testing.county(1).stations["R-1"]
    full = msgspec.structs.replace(
        gauge, limits={"rain": Limits(highest=80.0)}, thresholds={"rain_3h": {Level.RED: 90.0}}
    )
    first, second = testing.county(1), msgspec.structs.replace(testing.county(2), stations={"R-1": full})
    await apply(engine, first, 0)
    made = await apply(engine, second, 1)
    assert made == registry.Version(
        2, NOW, "officer", "console", "new gauge", registry.digest(second),
        {"site": {"added": 1}, "station": {"changed": 1}},
    )  # fmt: skip
    assert await registry.registered(engine) == second
    assert await registry.number(engine) == 2
    earlier = await registry.version(engine, 1)
    assert earlier is not None
    assert earlier.county == first
    assert await registry.version(engine, 3) is None
    assert [each.no for each in await registry.history(engine)] == [2, 1]
    assert [each.no for each in await registry.history(engine, before=2)] == [1]


async def test_an_edit_of_an_older_version_is_refused(engine: AsyncEngine) -> None:
    await apply(engine, testing.county(1), 0)
    await apply(engine, testing.county(2), 1)
    for over in (0, 1, 3):
        with pytest.raises(RegistryMoved):
            await apply(engine, testing.county(3), over)
    assert await registry.number(engine) == 2


async def test_of_edits_at_the_same_time_one_is_made(engine: AsyncEngine) -> None:
    await apply(engine, testing.county(1), 0)
    edits = [apply(engine, testing.county(gauges), 1) for gauges in range(2, 8)]
    results = await asyncio.gather(*edits, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["RegistryMoved"] * 5 + ["Version"]
    assert await registry.number(engine) == 2


async def test_what_changes_nothing_makes_no_version(engine: AsyncEngine) -> None:
    await apply(engine, testing.county(2), 0)
    turned = msgspec.structs.replace(
        testing.county(2), stations=dict(reversed(testing.county(2).stations.items()))
    )
    assert (await apply(engine, turned, 1)).no == 1
    with pytest.raises(RegistryMoved):
        await apply(engine, turned, 0)


async def test_a_start_takes_its_folder_until_somebody_has_edited(engine: AsyncEngine) -> None:
    async def start(county: County, source: str = "folder a") -> bool:
        return await registry.take_up(engine, county, source, NOW)

    assert await start(testing.county(1))
    assert await start(testing.county(1))
    assert await start(testing.county(2))  # the folder has changed, the registry has not
    assert await registry.number(engine) == 2
    await apply(engine, testing.county(3), 2)
    assert not await start(testing.county(2))
    assert not await start(testing.county(4))
    assert await registry.registered(engine) == testing.county(3)
    assert await start(testing.county(3))  # what was edited has also come into the folder
    await apply(engine, testing.county(2), 3)
    assert await start(testing.county(5))  # what last came from the folder has been restored
    assert not await start(testing.county(1), "folder b")
    assert await registry.registered(engine) == testing.county(5)


async def test_several_processes_start_at_once(engine: AsyncEngine) -> None:
    taken = await asyncio.gather(
        *(registry.take_up(engine, testing.county(3), "folder a", NOW) for _ in range(6))
    )
    assert taken == [True] * 6
    assert await registry.number(engine) == 1


async def test_the_registry_of_an_earlier_release_is_the_first_version(dsn: str) -> None:
    engine = create_engine(sqlalchemy_url(dsn))
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0005-1")
    county = testing.county(2)
    with psycopg.connect(dsn) as old:
        old.execute(
            "INSERT INTO county (code, description, registered) VALUES (%s, %s, %s)",
            (county.code, msgspec.json.encode(county), NOW),
        )
    migrate(dsn)
    async with open_store(dsn) as store:
        [first] = await registry.history(store)
        assert (first.no, first.at, first.source) == (1, NOW, registry.EARLIER_RELEASE)
        assert await registry.registered(store) == county
        assert await registry.take_up(store, testing.county(3), "folder a", NOW)
        assert await registry.registered(store) == testing.county(3)
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0005-1")
    engine.dispose()
    with psycopg.connect(dsn) as old:
        [(code, description)] = old.execute("SELECT code, description FROM county").fetchall()
    assert (code, msgspec.json.decode(description, type=County)) == ("331121", testing.county(3))
