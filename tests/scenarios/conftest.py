"""Whole programs, embedded and on the real servers: what holds for one must hold for the other."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import cast

import aiomqtt
import psycopg
import pytest

from services.app import Running
from services.settings import Settings
from tests.conftest import running, settings
from tongluo import testing
from tongluo.log.kafka_address import KafkaAddress

_numbers = count(1)


@pytest.fixture
def stack_dsn(stack: Callable[[str], str]) -> Iterator[str]:
    """An empty database on the PostgreSQL of the distribution."""
    server, name = stack("store"), f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield server.removesuffix("/postgres") + f"/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
async def full(
    stack: Callable[[str], str], stack_dsn: str, kafka: KafkaAddress, tmp_path: Path
) -> AsyncIterator[Settings]:
    """Settings of a program on Mosquitto, Kafka and PostgreSQL, each used by this test alone."""
    yield settings(
        tmp_path,
        store=stack_dsn,
        log=f"kafka://{kafka.bootstrap}/{kafka.namespace}",
        mqtt=stack("mqtt"),
        mqtt_client=kafka.namespace,
    )
    await forget_session(stack("mqtt"), kafka.namespace)


async def forget_session(mqtt: str, client_id: str) -> None:
    """Else the broker would keep every later message for a client that never comes back."""
    host, _, port = mqtt.removeprefix("mqtt://").rpartition(":")
    async with aiomqtt.Client(
        host, int(port), identifier=client_id, protocol=aiomqtt.ProtocolVersion.V5, clean_start=True
    ):
        pass


@pytest.fixture(params=["embedded", "full"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a program on either kind of servers."""
    if request.param == "full":
        return cast("Settings", request.getfixturevalue("full"))
    return settings(tmp_path, store=request.getfixturevalue("dsn"))


@pytest.fixture
async def anywhere(either: Settings) -> AsyncIterator[Running]:
    """A whole program in replay mode over the small county, on either kind of servers."""
    async with running(either, testing.county()) as found:
        yield found
