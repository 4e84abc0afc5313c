"""On a real TimescaleDB: the migration both ways, recording, aggregates that equal the readings, compression, retention."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console.app import build
from services.housekeeping import keeping
from services.ingest.recorder import Recorder
from tests import timescale
from tests.conftest import TOKEN
from tests.services.console.rooms import Trier, at_once, room_of
from tongluo import completeness, testing, wire
from tongluo.clock import EventClock, wall_now
from tongluo.errors import MissingPartError
from tongluo.log.port import Stored
from tongluo.quality import Flag
from tongluo.reading import Reading
from tongluo.readings import gathered
from tongluo.store import completeness as counting
from tongluo.store import series, upkeep
from tongluo.store.engine import sqlalchemy_url
from tongluo.store.layout import Layout, layout_of
from tongluo.store.migrate import alembic_config, migrate
from tongluo.store.readings import by_arrays
from tongluo.store.tables import metadata
from tongluo.supervise import Pulse

pytestmark = pytest.mark.timescale

# A Thursday, on which TimescaleDB's weeks begin: their first moment belongs to a bucket of the day before.
START = datetime(2026, 4, 2, tzinfo=UTC)
NOW = datetime(2026, 7, 1, 10, 20, tzinfo=UTC)
# This server takes no message over 64 KiB.
MOST_AT_ONCE = 250
STEP = timedelta(microseconds=1)
WIDTHS = [timedelta(minutes=n) for n in (1, 5, 15, 60, 360, 1440)]


def at_revision(dsn: str, revision: str) -> None:
    """An empty database with the tables of a revision."""
    engine = create_engine(sqlalchemy_url(dsn))
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "base")
        command.upgrade(alembic_config(connection), revision)
    engine.dispose()


@pytest.fixture
async def store(timescale_server: str) -> AsyncIterator[AsyncEngine]:
    at_revision(timescale_server, "head")
    engine = timescale.engine_on(timescale_server)
    yield engine
    await engine.dispose()


def reading(time: datetime, value: float = 1.0, metric: str = "rain", flags: int = 0) -> Reading:
    return Reading("R-1", metric, time, value, "S-1", "G-1", flags)


async def record(engine: AsyncEngine, readings: Sequence[Reading]) -> None:
    entries = [Stored(0, n, "S-1", wire.READINGS.encode(gathered([r]))) for n, r in enumerate(readings)]
    recorder = Recorder(engine, Layout.HYPERTABLE, by_arrays)
    for first in range(0, len(entries), MOST_AT_ONCE):
        async with engine.begin() as connection:
            await recorder.keep(connection, entries[first : first + MOST_AT_ONCE])


async def number(engine: AsyncEngine, sql: str) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text(sql)))


def test_what_is_migrated_is_what_the_tables_say(timescale_server: str) -> None:
    at_revision(timescale_server, "head")
    engine = create_engine(sqlalchemy_url(timescale_server))
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert found == []


def test_readings_survive_the_way_there_and_back(timescale_server: str) -> None:
    at_revision(timescale_server, "0001")
    engine = create_engine(sqlalchemy_url(timescale_server))
    summary = text("SELECT count(*), sum(value), min(time), max(time), count(DISTINCT recorded) FROM reading")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO reading SELECT 'R-1', 'rain', t, extract(epoch FROM t)::bigint % 7, 'good', t FROM "
                "generate_series(timestamptz '1999-12-20', '2000-02-20', '1 hour') AS t"
            )
        )
        connection.execute(text("INSERT INTO change (kind, alert, at) VALUES ('alert', 'a', now())"))
        before = connection.execute(summary).one()
    engine.dispose()
    migrate(timescale_server)
    with engine.connect() as connection:
        assert connection.execute(summary).one() == before
        connection.execute(text("SELECT compress_chunk(c) FROM show_chunks('reading') AS c"))
        connection.commit()
        command.downgrade(alembic_config(connection), "0001")
        assert connection.execute(summary).one() == before
        assert connection.scalar(text("SELECT kind FROM change")) == "alert"
        assert connection.scalar(text("SELECT count(*) FROM timescaledb_information.hypertables")) == 0
    engine.dispose()


def test_a_server_that_forbids_it_is_told_of_with_the_mend() -> None:
    # A server of its own: the extension, once there, cannot be taken out of this one.
    with timescale.server() as dsn:
        engine = create_engine(sqlalchemy_url(dsn))
        with engine.connect() as connection:
            command.upgrade(alembic_config(connection), "0001")
            connection.execute(text("CREATE ROLE guest"))
            connection.execute(text("GRANT ALL ON SCHEMA public TO guest"))
            connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO guest"))
            connection.execute(text("ALTER TABLE change OWNER TO guest"))
            connection.execute(text("SET ROLE guest"))
            connection.commit()
            with pytest.raises(MissingPartError, match=r"CREATE EXTENSION timescaledb .* 'off'"):
                command.upgrade(alembic_config(connection), "head")
        engine.dispose()


def test_a_database_may_decline(timescale_server: str) -> None:
    at_revision(timescale_server, "0001")
    engine = create_engine(sqlalchemy_url(timescale_server))
    with engine.connect() as connection:
        connection.execute(text("SELECT set_config('tongluo.timescaledb', 'off', false)"))
        connection.commit()
        command.upgrade(alembic_config(connection), "head")
        assert connection.scalar(text("SELECT relkind::text FROM pg_class WHERE relname = 'reading'")) == "p"
        connection.execute(text("SELECT set_config('tongluo.timescaledb', '', false)"))
        connection.commit()
    engine.dispose()


async def test_a_batch_twice_changes_nothing_and_the_first_value_stays(store: AsyncEngine) -> None:
    assert await layout_of(store) is Layout.HYPERTABLE
    batch = [reading(START + timedelta(minutes=n), float(n)) for n in range(10)]
    await record(store, batch)
    await record(store, [reading(r.time, 99.0) for r in batch])
    await record(store, [reading(START - timedelta(minutes=1), 7.0)])
    async with store.connect() as connection:
        found = await series.raw(
            connection, series.Span("R-1", "rain", START - STEP, START + timedelta(1)), 100
        )
        newest = (await connection.execute(text("SELECT time, value FROM latest"))).one()
    assert [row["value"] for row in found] == [float(n) for n in range(10)]
    assert tuple(newest) == (START + timedelta(minutes=9), 9.0)


def chance_readings(chance: random.Random, many: int) -> list[Reading]:
    """Readings that love the edges of buckets; eighths, whose sums are exact in any order."""
    minutes = int((NOW - START) / timedelta(minutes=1))
    found = {}
    for _ in range(many):
        time = (
            START
            + timedelta(minutes=5 * chance.randrange(minutes // 5))
            + chance.choice((-1, 0, 0, 1)) * STEP
        )
        flags = Flag.RANGE if chance.random() < 0.1 else Flag(0)
        metric = chance.choice(("rain", "displacement"))
        found[time, metric] = reading(time, chance.randrange(-800, 800) / 8, metric, flags)
    return list(found.values())


def chance_span(chance: random.Random) -> series.Span:
    whole = chance.random() < 0.5
    marks = sorted(
        START
        - timedelta(days=1)
        + (timedelta(days=chance.randrange(95)) if whole else chance.random() * (NOW - START))
        for _ in range(2)
    )
    return series.Span("R-1", chance.choice(("rain", "displacement")), marks[0], marks[1] + STEP)


async def differences(engine: AsyncEngine, chance: random.Random, many: int) -> tuple[int, set[str]]:
    """How many answers differ from those of the readings alone, and who answered."""
    different, sources = 0, set()
    async with engine.connect() as connection:
        for _ in range(many):
            span = chance_span(chance)
            width = chance.choice(WIDTHS)
            chosen = series.plan(span, width, NOW, Layout.HYPERTABLE)
            plain = series.plan(span, width, NOW, Layout.MONTHS)
            answer = await series.bucketed(connection, span, width, chosen)
            different += answer != await series.bucketed(connection, span, width, plain)
            sources.add(chosen.source.value)
    return different, sources


async def test_aggregates_answer_as_the_readings_do(store: AsyncEngine) -> None:
    chance = random.Random(20060917)  # noqa: S311 - the same every time
    await record(store, [reading(START), *chance_readings(chance, 4000)])
    # Never refreshed, they answer from the readings.
    assert await differences(store, chance, 60) == (0, {"reading", "reading_5m", "reading_1h", "reading_1d"})
    await upkeep.refresh(store, NOW)
    assert (await differences(store, chance, 60))[0] == 0
    assert await number(store, "SELECT count(*) FROM timescaledb_information.chunks") > 13
    # Late ones, also into what has been compressed, are there after the next refresh.
    async with store.begin() as connection:
        await connection.execute(text("SELECT compress_chunk(c) FROM show_chunks('reading') AS c"))
        await connection.execute(text("SELECT compress_chunk(c) FROM show_chunks('reading_5m') AS c"))
    await record(store, chance_readings(chance, 4000))
    assert (await differences(store, chance, 60))[0] > 0
    await upkeep.refresh(store, NOW)
    assert (await differences(store, chance, 120))[0] == 0


async def test_what_is_late_by_less_than_two_days_is_seen_at_once(store: AsyncEngine) -> None:
    await record(store, [reading(START + timedelta(hours=n)) for n in range(24 * 90)])
    await upkeep.refresh(store, NOW)
    span = series.Span("R-1", "rain", NOW - timedelta(days=30), NOW)
    chosen = series.plan(span, timedelta(hours=1), NOW, Layout.HYPERTABLE)
    async with store.connect() as connection:
        before = await series.bucketed(connection, span, timedelta(hours=1), chosen)
    await record(store, [reading(NOW - timedelta(days=1, minutes=59), 50.0)])
    async with store.connect() as connection:
        after = await series.bucketed(connection, span, timedelta(hours=1), chosen)
    assert chosen.source is series.Source.HOUR
    assert sum(one.sum for one in after) == sum(one.sum for one in before) + 50.0


async def test_aggregates_outlive_the_readings_that_are_dropped(store: AsyncEngine) -> None:
    await record(store, [reading(START + timedelta(hours=n)) for n in range(24 * 90)])
    await upkeep.refresh(store, NOW)
    before = await number(store, "SELECT sum(count) FROM reading_1d")
    assert await upkeep.drop_before(store, START + timedelta(days=29)) == 4
    assert await number(store, "SELECT count(*) FROM reading") < before
    # The dropped weeks count as changed: a refresh over them would empty the aggregates too.
    await record(store, [reading(START + timedelta(days=40, minutes=1))])
    await upkeep.refresh(store, NOW)
    assert await number(store, "SELECT sum(count) FROM reading_1d") == before + 1
    assert await number(store, "SELECT sum(count) FROM reading_5m") == before + 1


async def test_housekeeping_refreshes_drops_and_compresses(store: AsyncEngine) -> None:
    now = wall_now()
    await record(store, [reading(now - timedelta(hours=n)) for n in range(24 * 60)])
    pulse = Pulse("keep readings")
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        role = group.create_task(keeping(store, Layout.HYPERTABLE, timedelta(days=40), pulse))
        await pulse.counted("chunks compressed", 3)
        role.cancel()
    weeks = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'reading'"
    assert 1 <= pulse.counts["dropped"] <= 3
    assert await number(store, f"{weeks} AND is_compressed") >= 2
    assert await number(store, f"{weeks} AND NOT is_compressed") >= 2
    assert await number(store, "SELECT sum(count) FROM reading_1h") == 24 * 60


async def test_late_ones_in_a_compressed_chunk_are_compressed_too(store: AsyncEngine) -> None:
    await record(store, [reading(START + timedelta(hours=n)) for n in range(100)])
    await upkeep.compress(store, NOW)
    await record(store, [reading(START + timedelta(hours=n, minutes=1)) for n in range(100)])
    chunk = "SELECT c::text FROM show_chunks('reading') AS c"
    async with store.connect() as connection:
        name = await connection.scalar(text(chunk))
    assert await number(store, f"SELECT count(*) FROM ONLY {name}") == 100
    await upkeep.compress(store, NOW)
    assert await number(store, f"SELECT count(*) FROM ONLY {name}") == 0
    assert await number(store, "SELECT count(*) FROM reading") == 200


async def test_the_series_says_who_answered(store: AsyncEngine) -> None:
    await record(store, [reading(NOW - timedelta(minutes=30 * n)) for n in range(48 * 40)])
    await upkeep.refresh(store, NOW)
    room = await room_of(store, EventClock(NOW), Trier(at_once, []))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(build(room)),
        base_url="http://room/api/v1",
        headers={"authorization": f"Bearer {TOKEN}"},
    ) as api:

        async def asked(bucket: str | None, days: float) -> tuple[str, float]:
            params = {"metric": "rain", "from": (NOW - timedelta(days)).isoformat(), "to": NOW.isoformat()}
            answer = await api.get(
                "/stations/R-1/series", params=params | ({"bucket": bucket} if bucket else {})
            )
            found = answer.raise_for_status().json()
            return found["source"], sum(point["value"] for point in found["points"])

        assert await asked(None, 30) == ("reading", 48 * 30.0)
        assert await asked("1m", 10) == ("reading", 48 * 10.0)
        assert await asked("5m", 30) == ("reading_5m", 48 * 30.0)
        assert await asked("15m", 30) == ("reading_5m", 48 * 30.0)
        assert await asked("1h", 30) == ("reading_1h", 48 * 30.0)
        assert await asked("6h", 30) == ("reading_1h", 48 * 30.0)
        assert await asked("1d", 30) == ("reading_1d", 48 * 30.0)
        assert await asked("1h", 1) == ("reading", 48.0)


async def test_a_day_is_counted_in_a_compressed_chunk(store: AsyncEngine) -> None:
    [day] = completeness.days(START.date(), START.date(), ZoneInfo("UTC"))
    await record(store, [reading(START + timedelta(minutes=5 * n)) for n in range(1, 289) if n % 10])
    assert await upkeep.compress(store, NOW) > 0
    station = testing.county().stations["R-1"]
    wanted = completeness.expected(day, 300, START - timedelta(days=1), NOW)
    async with store.connect() as connection:
        tallies = await counting.tallies(connection, [station], {"R-1": wanted}, day, live=False)
        assert await counting.numbers(connection, [station], day) == {}
    line = completeness.line("rain", wanted, tallies["R-1", "rain"])
    assert (line.expected, line.received, line.missing) == (288, 260, 28)
