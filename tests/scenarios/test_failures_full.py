"""Rows of the failure table on the real servers: Kafka, Mosquitto or PostgreSQL away, and a replica that comes back."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from deploy.stack import kafka as kafka_server
from deploy.stack import mosquitto as mosquitto_server
from deploy.stack.process import listens, start, stop
from services.app import Running
from tests.conftest import running, settings, until
from tests.scenarios.conftest import forget_session
from tests.scenarios.field import alerts, history, officer, publish, storm
from tests.scenarios.test_failures import ready
from tongluo import testing
from tongluo.clock import wall_now
from tongluo.log import kafka_address, kafka_topics
from tongluo.log.kafka import open_kafka
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.port import Assigned, Consumer, Entry, Event, Revoked
from tongluo.topics import READINGS


class Server(msgspec.Struct):
    """A real server of this test's own, which may be killed and started again."""

    pid: int
    port: int
    again: Callable[[], int]

    def kill(self) -> None:
        stop(self.pid, signal.SIGKILL)
        assert not listens(self.port)

    def restart(self) -> None:
        self.pid = self.again()


@pytest.fixture
def own_kafka(stack: Callable[[str], str], tmp_path: Path) -> Iterator[Server]:
    stack("log")
    folder = tmp_path / "kafka"
    pid, addresses = kafka_server.launch(folder)
    port = int(addresses["log"].rpartition(":")[2])
    server = Server(pid, port, lambda: kafka_server.again(folder, port))
    yield server
    stop(server.pid, signal.SIGKILL)


async def told_of_it(program: Running) -> bool:
    return not await ready(program)


async def raised(program: Running) -> bool:
    async with officer(program.http_url) as api:
        return [await history(api, alert["id"]) for alert in await alerts(api)] == [["raised orange"]]


async def test_kafka_is_killed_and_what_came_meanwhile_is_judged_when_it_is_back(
    own_kafka: Server, stack: Callable[[str], str], stack_dsn: str, tmp_path: Path
) -> None:
    address = kafka_address.parse(f"kafka://127.0.0.1:{own_kafka.port}")
    await kafka_topics.ensure(address, replication=1)
    wanted = settings(
        tmp_path,
        store=stack_dsn,
        log=f"kafka://127.0.0.1:{own_kafka.port}",
        mqtt=stack("mqtt"),
        mqtt_client=f"away-{os.getpid()}",
    )
    async with running(wanted, testing.county()) as program:
        readings = storm()
        await publish(program.field.gateway_port, readings[:3])
        await until(lambda: program.supervisor.pulses["rules"].counts.get("readings", 0) == 3)
        await asyncio.to_thread(own_kafka.kill)
        # Acknowledged by Mosquitto, which keeps them until ingest has them in the log.
        await publish(program.field.gateway_port, readings[3:])
        await until(lambda: told_of_it(program), timeout_s=60)
        await asyncio.to_thread(own_kafka.restart)
        await until(lambda: raised(program), timeout_s=60)
        await until(lambda: ready(program), timeout_s=60)
    await forget_session(stack("mqtt"), f"away-{os.getpid()}")


async def test_an_append_waits_for_kafka_and_is_made_once(own_kafka: Server) -> None:
    address = kafka_address.parse(f"kafka://127.0.0.1:{own_kafka.port}/waits")
    await kafka_topics.ensure(address, replication=1)
    entries = [Entry(READINGS, f"k{n}", b"x", wall_now()) for n in range(5)]
    async with open_kafka(address, session_s=2.0) as log:
        await log.append(entries)
        await asyncio.to_thread(own_kafka.kill)
        waiting = asyncio.ensure_future(log.append(entries))
        await asyncio.sleep(5.0)
        assert not waiting.done()
        await asyncio.to_thread(own_kafka.restart)
        async with asyncio.timeout(30):
            await waiting
        assert sum((await log.ends(READINGS)).values()) == 2 * len(entries)


async def test_mosquitto_is_killed_and_gateways_go_on_when_it_is_back(
    stack_dsn: str, kafka: KafkaAddress, tmp_path: Path
) -> None:
    folder = tmp_path / "mosquitto"
    pid, port = mosquitto_server.launch(folder)
    words = psutil.Process(pid).cmdline()
    server = Server(pid, port, lambda: start(words, folder / "mosquitto.log", port, name="Mosquitto"))
    try:
        wanted = settings(
            tmp_path,
            store=stack_dsn,
            log=f"kafka://{kafka.bootstrap}/{kafka.namespace}",
            mqtt=f"mqtt://127.0.0.1:{port}",
        )
        async with running(wanted, testing.county()) as program:
            readings = storm()
            await publish(port, readings[:3])
            await program.supervisor.pulses["ingest"].counted("messages", 3)
            await asyncio.to_thread(server.kill)
            await until(lambda: told_of_it(program))
            await asyncio.to_thread(server.restart)
            await until(lambda: ready(program), timeout_s=30)
            await publish(port, readings[3:])
            await until(lambda: raised(program))
    finally:
        stop(server.pid)


async def test_a_named_replica_that_comes_back_finds_its_partitions_waiting(kafka: KafkaAddress) -> None:
    """A restart within the session is no rebalance: the other replica hears nothing of it."""
    heard: list[Event] = []

    async def listen(consumer: Consumer, seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            event = await consumer.next(timeout_s=0.1)
            if event is not None:
                heard.append(event)

    async with open_kafka(kafka, session_s=8.0, member="b") as other, other.join("g", READINGS) as staying:
        async with open_kafka(kafka, session_s=8.0, member="a") as log, log.join("g", READINGS) as leaving:
            mine: set[int] = set()

            async def shared() -> bool:
                await listen(staying, 0.1)
                event = await leaving.next(timeout_s=0.1)
                if isinstance(event, Assigned):
                    mine.update(event.partitions)
                elif isinstance(event, Revoked):
                    mine.difference_update(event.partitions)
                return len(mine) == READINGS.partitions // 2

            await until(shared)
            await listen(staying, 1.0)
        heard.clear()
        await listen(staying, 1.0)
        async with open_kafka(kafka, session_s=8.0, member="a") as log, log.join("g", READINGS) as back:
            event = await back.next(timeout_s=5.0)
            assert isinstance(event, Assigned)
            assert set(event.partitions) == mine
            await listen(staying, 1.0)
        assert heard == []
