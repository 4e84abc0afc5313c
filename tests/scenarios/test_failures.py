"""Rows of the failure table: what breaks, and what must hold."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import psutil
import psycopg
from sqlalchemy import text

from services.app import Running
from tests.conftest import running, settings, until
from tests.scenarios.field import alerts, history, officer, publish, settled, storm, subscribe
from tongluo import testing


async def ready(program: Running) -> bool:
    async with httpx.AsyncClient(base_url=program.http_url) as client:
        return (await client.get("/readyz")).status_code == 200


async def test_a_broker_that_dies_is_started_again_and_ingest_goes_on(program: Running) -> None:
    port = program.field.gateway_port
    [broker] = [c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port]
    assert broker is not None
    os.kill(broker, signal.SIGKILL)

    async def told() -> bool:
        return not await ready(program)

    await until(told)
    await until(lambda: ready(program))
    async with officer(program.http_url) as api:
        await publish(port, storm())
        await until(lambda: _has_alert(api))


async def _has_alert(api: httpx.AsyncClient) -> bool:
    return bool(await alerts(api))


async def test_a_database_that_drops_every_connection_is_met_again(program: Running, dsn: str) -> None:
    async with testing.receiver() as township, officer(program.http_url) as api:
        township.secret = (await subscribe(api, township.url))["secret"]
        publishing = asyncio.ensure_future(publish(program.field.gateway_port, storm() + storm("R-2")))
        for _ in range(3):
            await asyncio.sleep(0.1)
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        await publishing
        await program.supervisor.pulses["ingest"].counted("messages", 12)
        await until(lambda: ready(program))
        await settled(program)
        found = await alerts(api)
        assert sorted(alert["site"]["id"] for alert in found) == ["S-1", "S-2"]
        for alert in found:
            assert await history(api, alert["id"]) == ["raised orange"]
        await until(lambda: len({item.id for item in township.received}) == 2)
        assert all(item.verified for item in township.received)


async def test_a_poison_entry_in_the_log_is_set_aside(program: Running) -> None:
    async with program.engine.begin() as connection:
        await connection.execute(
            text(
                "WITH taken AS (UPDATE log_partition SET next_offset = next_offset + 1 "
                "  WHERE topic = 'readings' RETURNING partition, next_offset - 1 AS place) "
                'INSERT INTO log_entry (topic, partition, "offset", key, event_time, value) '
                "SELECT 'readings', partition, place, 'x', now(), 'poison' FROM taken"
            )
        )
        await connection.execute(text("SELECT pg_notify('tongluo', 'log:readings')"))
    await publish(program.field.gateway_port, storm())
    async with officer(program.http_url) as api:
        await until(lambda: _has_alert(api))

        async def set_aside() -> bool:
            items = (await api.get("/quarantine")).json()["items"]
            return [item["code"] for item in items] == ["unreadable_entry"]

        await until(set_aside)
        series = (await api.get("/stations/R-1/series", params={"metric": "rain"})).json()
        assert len(series["points"]) == 6


async def test_a_log_in_a_database_of_its_own_is_heard_at_once(
    dsn: str, server: str, template: str, tmp_path: Path
) -> None:
    name = dsn.split("?", maxsplit=1)[0].rsplit("/", 1)[1] + "_log"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    log = server.replace("/postgres?", f"/{name}?")
    async with running(settings(tmp_path, store=dsn, log=log), testing.county()) as program:
        async with testing.receiver() as township, officer(program.http_url) as api:
            await subscribe(api, township.url)
            await asyncio.sleep(1.5)  # every consumer waits for its bell
            await publish(program.field.gateway_port, storm())
            await until(lambda: len(township.received) == 1, timeout_s=2)
