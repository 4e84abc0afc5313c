"""kill -9 anywhere on the way of a command: every station ends with what was last asked of it."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.embedded.broker import EmbeddedBroker
from tests.conftest import opened_log, until
from tests.scenarios.command import Command, command
from tests.services.ingest.downlink.gateways import Gateway, entry, finding
from tongluo.finding import Level
from tongluo.store.engine import open_store

SITES = [f"QT-SC-{number:03d}" for number in range(1, 6)]
GATEWAYS = ["QT-GW-205", "QT-GW-206", "QT-GW-106", "QT-GW-110", "QT-GW-204"]
# The last word at each site, and the interval its gauge then keeps.
LAST = [Level.ORANGE, None, Level.YELLOW, Level.RED, None]
READY = r": ready$"
INTERVALS = {"QT-GW-205": 60, "QT-GW-206": 300, "QT-GW-106": 120, "QT-GW-110": 60, "QT-GW-204": 300}


@pytest.fixture
def ingest(dsn: str, mqtt: EmbeddedBroker, tmp_path: Path) -> Iterator[Command]:
    """A process that only ingests; store, log and broker outlive it."""
    environment = {
        "TONGLUO_STORE": dsn,
        "TONGLUO_MQTT": f"mqtt://127.0.0.1:{mqtt.port_v5}",
        "TONGLUO_MQTT_CLIENT": "downlink-kill",
        "TONGLUO_COUNTY": str(files("sensors.simulator") / "profiles" / "qingtian"),
        "TONGLUO_ROLES": "ingest",
    }
    with command(tmp_path, "run", **environment) as program:
        yield program


async def test_what_was_stored_is_told_after_the_restart(
    dsn: str, mqtt: EmbeddedBroker, ingest: Command
) -> None:
    source = random.Random(1)  # noqa: S311 - a test
    gateways = [Gateway(mqtt.port, name) for name in GATEWAYS]
    async with asyncio.TaskGroup() as tasks, opened_log(dsn) as log, open_store(dsn) as engine:
        listening = [tasks.create_task(_listen(gateway)) for gateway in gateways]
        await asyncio.to_thread(ingest.start, READY)
        for _ in range(3):
            for _ in range(4):
                some = [source.choice([None, *Level]) for _ in SITES]
                now = datetime.now(UTC)
                await log.append(
                    [entry(finding(level, now, s)) for s, level in zip(SITES, some, strict=True)]
                )
                await asyncio.sleep(source.uniform(0.0, 0.3))
            await asyncio.to_thread(ingest.kill)
            await asyncio.to_thread(ingest.start, READY)
        await asyncio.to_thread(ingest.kill)
        now = datetime.now(UTC)
        await log.append([entry(finding(level, now, s)) for s, level in zip(SITES, LAST, strict=True)])
        await asyncio.to_thread(ingest.start, READY)
        await until(lambda: _all_answered(engine), timeout_s=40)
        for task in listening:
            task.cancel()
    for gateway in gateways:
        last = gateway.heard[-1] if gateway.heard else {"interval_s": 300}
        assert last["interval_s"] == INTERVALS[gateway.name], gateway.name
        assert ("until" in last) == (INTERVALS[gateway.name] != 300), gateway.name


async def _listen(gateway: Gateway) -> None:
    async with gateway.listening():
        await asyncio.Event().wait()


async def _all_answered(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        # The last findings have been taken: every site has its last level. Asked first, as each statement sees the store as it
        # is then: commands come in one transaction with levels, and may come between the two.
        levels = dict((await connection.execute(text("SELECT site, level FROM sampling_level"))).all())
        waiting = await connection.scalar(
            text("SELECT count(*) FROM command WHERE state IN ('pending', 'sent')")
        )
    last = {s: level.value if level else None for s, level in zip(SITES, LAST, strict=True)}
    return not waiting and levels == last
