"""kill -9 of ingest, again and again, under 100,000 readings from outside: every one is in the store, once."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest

from benchmarks.county import write_county
from benchmarks.load import EVERY, Plan, in_process_of_its_own
from services.settings import MqttAddress, PostgresDsn, Settings
from tests.conftest import until
from tests.scenarios.command import Command, command
from tongluo.clock import wall_now
from tongluo.log.kafka_address import KafkaAddress

STATIONS, STEPS = 1000, 100
KILLS = 5
# Readings a second, as the gateways send them.
RATE = 8000.0


class Installation(msgspec.Struct):
    """`killed` is what takes readings in; its broker, its log and its store outlive it."""

    killed: Command
    broker: tuple[str, int]
    dsn: str


@pytest.fixture(params=["embedded", "full"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    write_county(tmp_path / "county", STATIONS)
    county = {"TONGLUO_COUNTY": str(tmp_path / "county")}
    with ExitStack() as opened:
        if request.param == "embedded":
            dsn = request.getfixturevalue("dsn")
            # One process for everything; its broker goes on alone and is found again.
            program = opened.enter_context(command(tmp_path / "program", "run", TONGLUO_STORE=dsn, **county))
            program.start()
            yield Installation(program, ("127.0.0.1", program.mqtt5_port), dsn)
            assert program.interrupt() == 0
            return
        full: Settings = request.getfixturevalue("full")
        assert isinstance(full.store, PostgresDsn)
        assert isinstance(full.log, KafkaAddress)
        assert isinstance(full.mqtt, MqttAddress)
        environment = {
            "TONGLUO_STORE": full.store.dsn,
            "TONGLUO_LOG": f"kafka://{full.log.bootstrap}/{full.log.namespace}",
            "TONGLUO_MQTT": f"mqtt://{full.mqtt.host}:{full.mqtt.port}",
            "TONGLUO_MQTT_CLIENT": full.mqtt_client,
            **county,
        }
        ingest, record = (
            opened.enter_context(command(tmp_path / role, "run", "--roles", role, **environment))
            for role in ("ingest", "record")
        )
        for one in (ingest, record):
            one.start(": ready")
        yield Installation(ingest, (full.mqtt.host, full.mqtt.port), full.store.dsn)


async def kill(program: Command) -> None:
    await asyncio.to_thread(program.kill)
    await asyncio.to_thread(program.start, r"\] ready|ready;|: ready")


@pytest.mark.timeout(300)
async def test_killed_at_random_it_loses_nothing_and_counts_nothing_twice(installation: Installation) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    source = random.Random(seed)  # noqa: S311 - a test
    first = wall_now().replace(microsecond=0) - timedelta(days=1)
    whole = Plan(*installation.broker, STATIONS, STEPS, first)
    assert whole.readings == 100_000
    steps = STEPS // KILLS
    parts = [
        msgspec.structs.replace(whole, steps=steps, first=first + nth * steps * EVERY, rate=RATE)
        for nth in range(KILLS)
    ]
    for part in parts:
        async with asyncio.TaskGroup() as group:
            load = group.create_task(in_process_of_its_own(part))
            # A part cannot be sent in less than two seconds and a half.
            await asyncio.sleep(source.uniform(0.2, 2.4))
            assert not load.done()
            await kill(installation.killed)
            if source.random() < 0.3:
                # And while it takes what waited.
                await asyncio.sleep(source.uniform(0.0, 0.5))
                await kill(installation.killed)
    async with await psycopg.AsyncConnection.connect(installation.dsn, autocommit=True) as store:

        async def stored(part: Plan) -> list[tuple[str, int, float]]:
            sql = "SELECT station, count(*), sum(value) FROM reading WHERE time >= %s AND time < %s GROUP BY station"
            return await (await store.execute(sql, (part.first, part.ends))).fetchall()

        async def all_there() -> bool:
            return sum(readings for _, readings, _ in await stored(whole)) >= whole.readings

        await until(all_there, timeout_s=90)
        assert await (await store.execute("SELECT count(*) FROM reading")).fetchone() == (100_000,)
        for part in parts:
            found = await stored(part)
            assert [fault for row in found for fault in part.differs(*row)] == []
            assert len(found) == STATIONS
        assert await (await store.execute("SELECT count(*) FROM quarantine")).fetchone() == (0,)
