"""Readings on plain PostgreSQL: written once whichever way, in months that are made and dropped."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.housekeeping import keeping
from services.ingest.recorder import Recorder
from tongluo import wire
from tongluo.clock import wall_now
from tongluo.log.port import Stored
from tongluo.reading import Reading
from tongluo.readings import gathered
from tongluo.store import partitions
from tongluo.store.engine import open_store, sqlalchemy_url
from tongluo.store.layout import Layout, layout_of
from tongluo.store.migrate import alembic_config, migrate
from tongluo.store.readings import Write, by_arrays, by_copy
from tongluo.supervise import Pulse

START = datetime(2026, 7, 1, tzinfo=UTC)
WAYS = pytest.mark.parametrize("write", [by_copy, by_arrays])


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[AsyncEngine]:
    async with open_store(dsn) as engine:
        yield engine


def reading(time: datetime, value: float = 1.0, station: str = "R-1") -> Reading:
    return Reading(station, "rain", time, value, "S-1", "G-1")


def entries(readings: Sequence[Reading]) -> list[Stored]:
    return [Stored(0, n, "S-1", wire.READINGS.encode(gathered([r]))) for n, r in enumerate(readings)]


async def record(engine: AsyncEngine, readings: Sequence[Reading], write: Write = by_copy) -> None:
    async with engine.begin() as connection:
        await Recorder(engine, Layout.MONTHS, write).keep(connection, entries(readings))


async def rows(engine: AsyncEngine, sql: str) -> list[tuple[object, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(sql))]


async def months(engine: AsyncEngine) -> list[object]:
    found = await rows(engine, "SELECT relid::text FROM pg_partition_tree('reading') WHERE isleaf ORDER BY 1")
    return [name for (name,) in found]


@WAYS
async def test_the_first_of_an_identity_stays(store: AsyncEngine, write: Write) -> None:
    assert await layout_of(store) is Layout.MONTHS
    await record(store, [reading(START, 1.0), reading(START, 2.0)], write)
    everything = await rows(store, "SELECT * FROM reading"), await rows(store, "SELECT * FROM latest")
    await record(store, [reading(START, 3.0), reading(START, 4.0)], write)
    assert (
        await rows(store, "SELECT * FROM reading"),
        await rows(store, "SELECT * FROM latest"),
    ) == everything
    assert await rows(store, "SELECT value FROM reading UNION ALL SELECT value FROM latest") == [
        (1.0,),
        (1.0,),
    ]


@WAYS
async def test_the_newest_is_the_newest_in_whatever_order_they_come(store: AsyncEngine, write: Write) -> None:
    hours = [START + timedelta(hours=n) for n in range(6)]
    await record(store, [reading(hours[3], 3.0), reading(hours[2], 2.0), reading(hours[3], 9.0)], write)
    await record(store, [reading(hours[1], 1.0), reading(hours[0], 0.5, "R-2")], write)
    assert await rows(store, "SELECT station, time, value FROM latest ORDER BY 1") == [
        ("R-1", hours[3], 3.0),
        ("R-2", hours[0], 0.5),
    ]
    await record(store, [reading(hours[5], 5.0), reading(hours[4], 4.0)], write)
    assert await rows(store, "SELECT value FROM latest ORDER BY station") == [(5.0,), (0.5,)]
    assert await rows(store, "SELECT count(*) FROM reading") == [(6,)]


@WAYS
async def test_a_batch_that_is_rolled_back_leaves_nothing(store: AsyncEngine, write: Write) -> None:
    async with store.connect() as connection:
        await Recorder(store, Layout.MONTHS, write).keep(connection, entries([reading(START)]))
        await connection.rollback()
        await Recorder(store, Layout.MONTHS, write).keep(connection, entries([reading(START, 2.0)]))
        await connection.commit()
    assert await rows(store, "SELECT value FROM reading") == [(2.0,)]


async def test_an_empty_batch_is_no_harm(store: AsyncEngine) -> None:
    await record(store, [])
    assert await months(store) == []


async def test_months_are_made_wherever_readings_lie(store: AsyncEngine) -> None:
    times = [
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(2006, 9, 30, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2006, 10, 1, tzinfo=UTC),
        datetime(2199, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        START.astimezone(timezone(timedelta(hours=-8))),
    ]
    await record(store, [reading(time) for time in times])
    assert await months(store) == [
        "reading_1900_01",
        "reading_2006_09",
        "reading_2006_10",
        "reading_2026_07",
        "reading_2199_12",
    ]
    assert await rows(store, "SELECT count(*) FROM reading") == [(len(times),)]
    index = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'reading_%_pkey'"
    assert await rows(store, index) == [(5,)]


async def test_recorders_that_meet_in_a_new_month_both_get_through(store: AsyncEngine) -> None:
    batches = [
        [reading(START + timedelta(days=30 * m), float(n), f"R-{n}") for m in range(20)] for n in range(4)
    ]
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for batch in batches:
            group.create_task(record(store, batch))
    assert await rows(store, "SELECT count(*) FROM reading") == [(80,)]


async def test_a_month_can_be_made_while_others_read_and_record(store: AsyncEngine) -> None:
    await record(store, [reading(START)])
    async with store.connect() as reader, store.connect() as writer:
        await reader.execute(text("SELECT * FROM reading"))
        await Recorder(store, Layout.MONTHS).keep(writer, entries([reading(START, station="R-2")]))
        async with asyncio.timeout(10):
            await record(store, [reading(START + timedelta(days=60))])


async def test_old_months_go_whole(store: AsyncEngine) -> None:
    await record(store, [reading(START + timedelta(days=n)) for n in range(0, 120, 10)])
    assert await partitions.drop_before(store, datetime(2026, 8, 31, tzinfo=UTC)) == 1
    assert await months(store) == ["reading_2026_08", "reading_2026_09", "reading_2026_10"]
    # What comes late for a month that is gone makes it anew.
    await record(store, [reading(START)])
    assert len(await months(store)) == 4


async def test_a_month_somebody_reads_in_is_not_waited_for_endlessly(store: AsyncEngine) -> None:
    await record(store, [reading(START)])
    async with store.connect() as reader:
        await reader.execute(text("SELECT * FROM reading"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            await partitions.drop_before(store, datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(("keep", "left"), [(timedelta(days=365), 1), (None, 2)])
async def test_housekeeping_drops_what_is_older_than_wished(
    store: AsyncEngine, keep: timedelta | None, left: int
) -> None:
    await record(store, [reading(wall_now()), reading(wall_now() - timedelta(days=500))])
    pulse = Pulse("keep readings")
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        role = group.create_task(keeping(store, Layout.MONTHS, keep, pulse))
        await pulse.counted("passes", 1)
        role.cancel()
    assert len(await months(store)) == left


def test_readings_survive_the_way_there_and_back(dsn: str) -> None:
    engine = create_engine(sqlalchemy_url(dsn), connect_args={"options": "-c TimeZone=Asia/Shanghai"})
    summary = text("SELECT count(*), sum(value), min(time), max(time), count(DISTINCT recorded) FROM reading")
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0001")
        connection.execute(
            text(
                "INSERT INTO reading SELECT 'R-1', 'rain', t, extract(epoch FROM t)::bigint % 7, 'good', t FROM "
                "generate_series(timestamptz '1999-12-20 00:00+00', '2000-02-20 00:00+00', '1 hour') AS t"
            )
        )
        connection.execute(
            text("INSERT INTO change (kind, alert, delivery, at) VALUES ('delivery', 'a', 'd', now())")
        )
        connection.commit()
        before = connection.execute(summary).one()
        connection.commit()
        command.upgrade(alembic_config(connection), "head")
        assert connection.execute(summary).one() == before
        names = text("SELECT relid::text FROM pg_partition_tree('reading') WHERE isleaf ORDER BY 1")
        assert connection.scalars(names).all() == ["reading_1999_12", "reading_2000_01", "reading_2000_02"]
        bounds = text("SELECT count(*) FROM reading_2000_01")
        assert connection.scalar(bounds) == 31 * 24
        connection.commit()
        command.downgrade(alembic_config(connection), "0001")
        assert connection.execute(summary).one() == before
        assert connection.scalar(text("SELECT kind FROM change")) == "delivery"
    engine.dispose()
    migrate(dsn)
    with psycopg.connect(dsn) as found:
        assert found.execute("SELECT count(*) FROM reading").fetchone() == (before[0],)
