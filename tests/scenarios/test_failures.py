"""Rows of the failure table: what breaks, and what must hold."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg
import psycopg_pool
from sqlalchemy import text

from services.app import Running
from tests.conftest import running, settings, until
from tests.scenarios.command import Command, command
from tests.scenarios.field import alerts, history, officer, publish, settled, storm, subscribe
from tongluo import testing, wire


async def ready(program: Running) -> bool:
    async with httpx.AsyncClient(base_url=program.http_url) as client:
        return (await client.get("/readyz")).status_code == 200


async def test_a_broker_that_dies_is_started_again_and_ingest_goes_on(program: Running) -> None:
    port = program.field.gateway_port
    broker = program.field.own
    assert broker is not None
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL)

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


async def test_a_clean_stop_waits_for_a_slow_log(dsn: str, tmp_path: Path) -> None:
    """What the embedded broker acknowledged is taken before it ends, though the log is slower than its silence."""
    async with psycopg_pool.AsyncConnectionPool(dsn, min_size=1, open=False) as held:
        async with held.connection() as blocker:
            async with running(settings(tmp_path, store=dsn), testing.county()) as program:
                await blocker.execute("LOCK TABLE log_partition IN EXCLUSIVE MODE")
                await publish(program.field.gateway_port, storm())
                asyncio.get_running_loop().call_later(2.0, asyncio.ensure_future, blocker.commit())
        async with held.connection() as reader:
            cursor = await reader.execute("SELECT value FROM log_entry WHERE topic = 'readings'")
            found = [wire.READINGS.decode(bytes(value)) for (value,) in await cursor.fetchall()]
            assert sum(len(readings) for readings in found) == len(storm())


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


async def test_an_embedded_database_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with command(tmp_path, "demo", TONGLUO_CLOCK="event") as program:
        await program.started()
        postmaster = int((tmp_path / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        async with officer(program.url) as api:
            gateway = next(s["gateway"] for s in await eventually(api, "/stations") if s["id"] == "QT-R-001")
            await publish(program.mqtt_port, storm("QT-R-001"), gateway)
            await until(lambda: _has_alert_again(api), timeout_s=40)
        assert await asyncio.to_thread(program.interrupt) == 0
        assert program.left_behind() == []


async def eventually(api: httpx.AsyncClient, path: str) -> list[dict[str, str]]:
    """What the API says once the store is back."""
    found: list[dict[str, str]] = []

    async def answered() -> bool:
        answer = await api.get(path)
        if answer.status_code == 200:
            found.extend(answer.json())
        return answer.status_code == 200

    await until(answered, timeout_s=40)
    return found


async def _has_alert_again(api: httpx.AsyncClient) -> bool:
    answer = await api.get("/alerts")
    return answer.status_code == 200 and bool(answer.json()["items"])


async def test_a_doctor_beside_a_running_program_says_what_ails_it(tmp_path: Path) -> None:
    with command(tmp_path, "demo", TONGLUO_CLOCK="event") as program:
        await program.started()
        well = await asyncio.to_thread(doctor, program)
        assert well.returncode == 0, well.stdout
        assert f"process {_pid(program)} runs, and every role does its work" in well.stdout
        assert program.process is not None
        os.kill(program.process.pid, signal.SIGSTOP)
        ill = await asyncio.to_thread(doctor, program)
        os.kill(program.process.pid, signal.SIGCONT)
        assert ill.returncode == 1
        assert "does not answer" in ill.stdout


def doctor(program: Command) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services", "doctor"],
        env=program.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _pid(program: Command) -> int:
    assert program.process is not None
    return program.process.pid
