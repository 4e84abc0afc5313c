"""kill -9 anywhere: the same alerts as without, none twice."""

import asyncio
import random
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import httpx
import pytest

from services.settings import MqttAddress, PostgresDsn, Settings
from tests.conftest import signals_alone, until
from tests.scenarios.command import Command, command
from tests.scenarios.field import (
    alerts,
    dry,
    gateways,
    history,
    officer,
    publish_stubbornly,
    storm,
    subscribe,
)
from tongluo import testing
from tongluo.log.kafka_address import KafkaAddress

# Not the first: its thresholds are its own.
STATIONS = [f"QT-R-{n:03d}" for n in range(2, 6)]
COURSE = ["raised orange", "eased yellow", "eased blue", "cleared"]


@pytest.fixture(params=["embedded", "full"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Command]:
    """The demonstration's county on either kind of servers, in replay mode; the real servers outlive the program."""
    # One storm, one alert at each station.
    rules = str(signals_alone())
    if request.param == "embedded":
        with command(tmp_path, "demo", TONGLUO_CLOCK="event", TONGLUO_RULES=rules) as program:
            yield program
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
        "TONGLUO_COUNTY": str(files("sensors.simulator") / "profiles" / "qingtian"),
        "TONGLUO_CLOCK": "event",
        "TONGLUO_RULES": rules,
    }
    with command(tmp_path, "run", **environment) as program:
        program.mqtt_port = full.mqtt.port
        yield program


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_again_and_again_it_tells_the_same(installation: Command, seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - a test
    readings = [r for s in STATIONS for r in [*storm(s), *dry(s)]]
    readings.sort(key=lambda reading: str(reading["time"]))
    program = installation
    async with testing.receiver() as township:
        await program.started()
        async with officer(program.url) as api:
            township.secret = (await subscribe(api, township.url))["secret"]
            gateway = await gateways(api)
        async with asyncio.TaskGroup() as group:
            group.create_task(publish_stubbornly(program.mqtt_port, readings, gateway))
            for _ in range(3):
                await asyncio.sleep(source.uniform(0.05, 0.8))
                await asyncio.to_thread(program.kill)
                await program.started()
        async with officer(program.url) as api:
            await until(lambda: _all_cleared(api), timeout_s=60)
            for alert in await alerts(api):
                assert await history(api, alert["id"]) == COURSE
            assert len(await alerts(api)) == len(STATIONS)
        # Sent again after a crash, a report has the id it had before: to the subscriber each step is there once.
        await until(lambda: len({item.id for item in township.received}) == 4 * len(STATIONS), timeout_s=60)
        assert all(item.verified for item in township.received)
        bodies = {(item.id, item.raw) for item in township.received}
        assert len(bodies) == 4 * len(STATIONS)
        assert await asyncio.to_thread(program.interrupt) == 0
        assert program.left_behind() == []


async def _all_cleared(api: httpx.AsyncClient) -> bool:
    found = await alerts(api)
    return len(found) == len(STATIONS) and all(alert["state"] == "cleared" for alert in found)
