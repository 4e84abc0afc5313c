"""What many tests share: a real PostgreSQL, a real MQTT broker, and whole programs on free ports."""

import asyncio
import atexit
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from deploy.stack.__main__ import down, up
from deploy.stack.__main__ import running as started
from services.app import Running, start
from services.embedded.broker import EmbeddedBroker, broker
from services.embedded.gate import GateConfig
from services.embedded.ports import free_port
from services.embedded.postgres import postgres
from services.rules.catalogue import load
from services.settings import Settings
from tests import timescale
from tongluo import testing
from tongluo.log import kafka_address, kafka_topics
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.postgres import PostgresLog, open_log
from tongluo.postgres import Listener
from tongluo.region import County
from tongluo.store.migrate import migrate
from tongluo.supervise import Supervisor

_numbers = count(1)
if TYPE_CHECKING:
    from tests.backends import Backend

TOKEN = "test-token-of-the-administrator"  # noqa: S105 - for the length of a test


def program_path(name: str) -> str | None:
    """Where a program is; servers are where only root's PATH leads."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def pytest_configure(config: pytest.Config) -> None:
    """A temporary folder of this run's own.

    pytest's is shared, and closed to other users whenever a run begins; run by root, the embedded PostgreSQL is another
    user, whom a second run would lock out of the first one's folders.
    """
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="tongluo-tests-")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What passed leaves nothing behind; what failed may be looked at."""
    if exitstatus == 0:
        shutil.rmtree(session.config.option.basetemp, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of outside tools are skipped with their reason where a tool is missing, unless it is required."""
    required = os.environ.get("TEST_REQUIRE", "").split(",")
    for marker, tool, package in (
        ("browser", "chromium", "chromium"),
        ("mosquitto", "mosquitto_pub", "mosquitto-clients"),
        ("broker", "mosquitto", "mosquitto"),
        ("openssl", "openssl", "openssl"),
        ("systemd", "systemd-analyze", "systemd"),
        ("shellcheck", "shellcheck", "shellcheck"),
    ):
        if program_path(tool) or marker in required:
            continue
        skip = pytest.mark.skip(reason=f"{tool} is not installed: apt install {package}")
        for item in items:
            if marker in item.keywords:
                item.add_marker(skip)
    if (missing := timescale.missing()) and "timescale" not in required:
        for item in items:
            if "timescale" in item.keywords:
                item.add_marker(pytest.mark.skip(reason=missing))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of a PostgreSQL for the whole session."""
    with postgres(tmp_path_factory.mktemp("pg")) as found:
        yield found.dsn


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """A migrated database that others are copied from."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE template_tongluo")
    migrate(server.replace("/postgres?", "/template_tongluo?"))
    return "template_tongluo"


@pytest.fixture
def dsn(server: str, template: str) -> str:
    """A fresh database with our tables."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def stack() -> Iterator[Callable[[str], str]]:
    """Addresses of the real servers, by name; asking for one that cannot be had here skips, or fails under CI."""
    ours = not started()
    servers, missing = up(lambda line: None)
    addresses = {name: where for server in servers.values() for name, where in server["addresses"].items()}

    def address(name: str) -> str:
        if name in addresses:
            return str(addresses[name])
        untested = f"untested: what the real servers promise ({name}). " + "; ".join(missing.values())
        if os.environ.get("CI") == "true":
            pytest.fail(untested)
        pytest.skip(untested)

    yield address
    if ours:
        down(lambda line: None)


@pytest.fixture
async def kafka(stack: Callable[[str], str]) -> AsyncIterator[KafkaAddress]:
    """A namespace of its own, with its topics, on a real Kafka."""
    address = kafka_address.parse(f"{stack('log')}/test-{os.getpid()}-{next(_numbers)}")
    await kafka_topics.ensure(address, replication=1)
    yield address
    await kafka_topics.remove(address)


@pytest.fixture(params=["postgres", "kafka"])
def backend(request: pytest.FixtureRequest) -> "Backend":
    """An empty log, on either backend."""
    from tests.backends import Backend

    if request.param == "postgres":
        return Backend(dsn=request.getfixturevalue("dsn"))
    return Backend(kafka=request.getfixturevalue("kafka"))


@pytest.fixture(scope="session")
def timescale_server() -> Iterator[str]:
    """The DSN of a TimescaleDB for the whole session: one database, one connection at a time."""
    with timescale.server() as found:
        yield found


@pytest.fixture(scope="session")
def mqtt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """The embedded broker, which lets anybody in, for tests that need no program around it."""
    config = GateConfig("127.0.0.1", free_port(), free_port())
    with broker(tmp_path_factory.mktemp("mqtt"), config) as record:
        yield record


@asynccontextmanager
async def opened_log(dsn: str, session_s: float = 30.0) -> AsyncIterator[PostgresLog]:
    """A log with its listener running."""
    listener = Listener(dsn)
    supervisor = Supervisor()
    supervisor.add("listener", listener.run)
    async with supervisor.running():
        await supervisor.ready()
        async with open_log(dsn, listener, session_s=session_s) as log:
            yield log


@cache
def signals_alone() -> Path:
    """A catalogue of the rainstorm signals and nothing else: one storm, one alert."""
    folder = Path(tempfile.mkdtemp(prefix="tongluo-rules-"))
    (folder / "rainstorm.toml").write_text(load()["rainstorm.toml"], "utf-8")
    atexit.register(shutil.rmtree, folder)
    return folder


def settings(folder: Path, **given: object) -> Settings:
    """Settings of a program on free ports, in replay mode unless told otherwise."""
    return Settings(
        **{  # type: ignore[arg-type]
            "data": folder,
            "clock": "event",
            "mqtt_anonymous": "yes",
            "mqtt_port": free_port(),
            "mqtt5_port": free_port(),
            "http_port": free_port(),
            "admin_token": TOKEN,
            "rules": signals_alone(),
            **given,
        }
    )


Launch = Callable[..., Awaitable[Running]]


@pytest.fixture
async def program(dsn: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A whole program in replay mode over the small county."""
    async with running(settings(tmp_path, store=dsn), testing.county()) as found:
        yield found


@asynccontextmanager
async def running(given: Settings, county: County | None) -> AsyncIterator[Running]:
    async with start(given, county, lambda words: None) as found:
        async with asyncio.timeout(20):
            await found.supervisor.ready()
        yield found


async def until(true: Callable[[], bool | Awaitable[bool]], timeout_s: float = 20.0) -> None:
    """Wait for a condition; fails with the condition's own source line in the traceback."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = true()
        if await found if isinstance(found, Awaitable) else found:
            return
        assert time.monotonic() < deadline, "it did not become true in time"
        await asyncio.sleep(0.02)
