"""Several ingest processes share the field: one is killed in the middle, and nothing of its share is lost."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from datetime import timedelta
from itertools import count
from pathlib import Path

import psycopg
import pytest

from benchmarks.county import write_county
from benchmarks.load import Plan, in_process_of_its_own
from tests.conftest import until
from tests.scenarios.command import Command, command
from tests.scenarios.conftest import forget_session
from tongluo import wire
from tongluo.clock import wall_now
from tongluo.log.kafka import open_kafka
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.port import Assigned, Batch, Log
from tongluo.topics import READINGS

STATIONS, STEPS = 100, 60
_counts = count(1)


@pytest.fixture
def broker(stack: Callable[[str], str]) -> str:
    """Mosquitto's address: the embedded broker does not outlive it when a share's last member goes (decision 14)."""
    return stack("mqtt")


@pytest.fixture
async def members(
    broker: str, stack_dsn: str, kafka: KafkaAddress, tmp_path: Path
) -> AsyncIterator[list[Command]]:
    """Three ingest processes with a client id each, one share, one log, one store."""
    write_county(tmp_path / "county", STATIONS)
    environment = {
        "TONGLUO_STORE": stack_dsn,
        "TONGLUO_LOG": f"kafka://{kafka.bootstrap}/{kafka.namespace}",
        "TONGLUO_MQTT": broker,
        "TONGLUO_MQTT_SHARE": kafka.namespace,
        "TONGLUO_COUNTY": str(tmp_path / "county"),
    }
    names = [f"{kafka.namespace}-{n}" for n in range(3)]
    with ExitStack() as opened:
        found = [
            opened.enter_context(
                command(tmp_path / name, "run", "--roles", "ingest", TONGLUO_MQTT_CLIENT=name, **environment)
            )
            for name in names
        ]
        try:
            for one in found:
                await asyncio.to_thread(one.start, ": ready")
            yield found
        finally:
            for one in found:
                one.end()
            for name in names:
                await forget_session(broker, name)


async def identities(log: Log) -> list[tuple[str, int]]:
    """Of every reading in the log: its station and time."""
    found: list[tuple[str, int]] = []
    ends, place = await log.ends(READINGS), dict.fromkeys(range(READINGS.partitions), 0)
    group = f"identities-{os.getpid()}-{next(_counts)}"
    async with log.join(group, READINGS, commits=False) as consumer, asyncio.timeout(60):
        # The log may grow meanwhile.
        while any(place[partition] < end for partition, end in ends.items()):
            match await consumer.next(timeout_s=1.0):
                case Assigned(partitions):
                    for partition in partitions:
                        consumer.seek(partition, 0)
                case Batch() as batch:
                    for entry in batch.entries:
                        several = wire.READINGS.decode(entry.value)
                        stations = [several.series[n].station for n in several.which]
                        found += zip(stations, several.time_us, strict=True)
                    place |= batch.positions()
    return found


def plan(broker: str, days_ago: int, rate: float) -> Plan:
    host, _, port = broker.removeprefix("mqtt://").rpartition(":")
    first = wall_now().replace(microsecond=0) - timedelta(days=days_ago)
    return Plan(host, int(port), STATIONS, STEPS, first, rate=rate)


@pytest.mark.timeout(180)
async def test_a_members_share_is_taken_by_the_others(
    broker: str, members: list[Command], kafka: KafkaAddress, stack_dsn: str
) -> None:
    loads = [plan(broker, 2, 1500.0), plan(broker, 1, 3000.0)]
    async with (
        open_kafka(kafka) as log,
        await psycopg.AsyncConnection.connect(stack_dsn, autocommit=True) as store,
    ):

        async def known() -> set[str]:
            rows = await (await store.execute("SELECT client FROM ingest_member")).fetchall()
            return {name for (name,) in rows}

        async def complete(readings: int) -> bool:
            return len(set(await identities(log))) == readings

        names = {one.environment["TONGLUO_MQTT_CLIENT"] for one in members}
        dead = members[1].environment["TONGLUO_MQTT_CLIENT"]
        await until(lambda: _is(known, names))
        async with asyncio.TaskGroup() as group:
            group.create_task(in_process_of_its_own(loads[0]))
            await asyncio.sleep(1.5)
            await asyncio.to_thread(members[1].kill)
        # Half a minute passes before it is given up.
        await until(lambda: _is(known, names - {dead}), timeout_s=90)
        assert await complete(loads[0].readings)
        assert [one.process is not None and one.process.poll() for one in members] == [None, -9, None]
        # It comes back, and has its share again.
        await asyncio.to_thread(members[1].start, ": ready")
        await until(lambda: _is(known, names))
        await in_process_of_its_own(loads[1])
        await until(lambda: complete(loads[0].readings + loads[1].readings), timeout_s=30)


async def _is(asked: Callable[[], object], wanted: object) -> bool:
    return await asked() == wanted  # type: ignore[misc]
