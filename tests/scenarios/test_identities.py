"""The embedded program with identities: who is told what, who may come in, and what a crash leaves connected."""

import asyncio
import csv
from contextlib import suppress
from pathlib import Path

import aiomqtt
import httpx
import msgspec
import pytest

from tests.conftest import until
from tests.deploy.mosquitto import COUNTY
from tests.scenarios.command import Command, command
from tests.scenarios.field import officer, rain
from tests.services.test_cli import tongluo

ONE, GAUGE = "QT-GW-205", "QT-R-001"
OWN = f"tongluo/v1/{ONE}/readings"
LIVE = {"TONGLUO_MQTT_ANONYMOUS": "no", "TONGLUO_CLOCK": "event", "TONGLUO_COUNTY": str(COUNTY)}


def passwords(data: Path) -> dict[str, str]:
    with (data / "gateways" / "credentials.csv").open() as file:
        return {row["user"]: row["password"] for row in csv.DictReader(file)}


def gateway(program: Command, password: str | None, user: str | None = ONE) -> aiomqtt.Client:
    return aiomqtt.Client("127.0.0.1", program.mqtt_port, username=user, password=password, timeout=5)


async def points(api: httpx.AsyncClient) -> int:
    answer = await api.get(f"/stations/{GAUGE}/series", params={"metric": "rain"})
    return len(answer.json().get("points", []))


async def test_from_the_first_start_a_gateway_needs_its_password(tmp_path: Path) -> None:
    with command(tmp_path, "run", **LIVE) as program:
        await program.started()
        program.wait_for(r"passwords were made for \d+ users: see .*credentials\.csv")
        known = passwords(tmp_path)
        assert (tmp_path / "gateways" / "credentials.csv").stat().st_mode & 0o077 == 0
        for password, user in ((None, None), ("wrong", ONE), (known[ONE], "QT-GW-201")):
            with pytest.raises(aiomqtt.MqttError):
                async with gateway(program, password, user):
                    pass
        async with gateway(program, known[ONE]) as one, officer(program.url) as api:
            await one.publish(OWN, msgspec.json.encode(rain(0, 0.5, GAUGE)), qos=1)

            async def recorded() -> bool:
                return await points(api) == 1

            await until(recorded)
            # Without TONGLUO_COUNTY: from the registry of the running program.
            ran = await asyncio.to_thread(
                tongluo, "admin", "gateways", "--rotate", ONE, "--show", ONE, TONGLUO_DATA=str(tmp_path)
            )
            assert ran.returncode == 0, ran.stderr
            assert f"user {ONE}, password {passwords(tmp_path)[ONE]}" in ran.stdout
            assert passwords(tmp_path) == {**known, ONE: passwords(tmp_path)[ONE]}
            with pytest.raises(aiomqtt.MqttError):
                async with asyncio.timeout(10):
                    await anext(one.messages)

        # Each process of the gate looks at the files once a second, by itself.
        async def let_in() -> bool:
            with suppress(aiomqtt.MqttError):
                async with gateway(program, passwords(tmp_path)[ONE]):
                    return True
            return False

        await until(let_in)
        assert await asyncio.to_thread(program.interrupt) == 0
        assert program.left_behind() == []


async def test_a_crash_of_the_program_leaves_gateways_connected(tmp_path: Path) -> None:
    with command(tmp_path, "run", **LIVE) as program:
        await program.started()
        async with gateway(program, passwords(tmp_path)[ONE]) as one:
            await one.publish(OWN, msgspec.json.encode(rain(0, 0.5, GAUGE)), qos=1)
            program.kill()
            # Taken by the broker, for ingest when it comes back.
            for minute in (5, 10):
                await one.publish(OWN, msgspec.json.encode(rain(minute, 0.5, GAUGE)), qos=1)
            await program.started()
            await one.publish(OWN, msgspec.json.encode(rain(15, 0.5, GAUGE)), qos=1)
            async with officer(program.url) as api:

                async def recorded() -> bool:
                    return await points(api) == 4

                await until(recorded)
        # Whoever is to come in by other rules finds other rules, also after a crash.
        program.kill()
        program.environment["TONGLUO_MQTT_ANONYMOUS"] = "yes"
        await program.started()
        async with gateway(program, None, None) as anybody:
            await anybody.publish(OWN, msgspec.json.encode(rain(20, 0.5, GAUGE)), qos=1)
        assert await asyncio.to_thread(program.interrupt) == 0
        assert program.left_behind() == []


async def test_a_recording_is_fed_to_a_running_program_by_who_may(tmp_path: Path) -> None:
    file = tmp_path / "rain.csv"
    file.write_text("time,value\n2026-07-01T00:00:00Z,0.5\n2026-07-01T00:05:00Z,0.2\n")
    data = tmp_path / "data"
    with command(data, "run", **{**LIVE, "TONGLUO_CLOCK": "wall"}) as program:
        await program.started()
        where, known = f"127.0.0.1:{program.mqtt_port}", passwords(data)
        feed = ("replay", str(file), "--station", GAUGE, "--shift", "now", "--broker")
        county = {"TONGLUO_COUNTY": str(COUNTY)}
        refused = await asyncio.to_thread(tongluo, *feed, where, **county)
        assert refused.returncode == 1, refused
        who = f"tongluo-ingest:{known['tongluo-ingest']}"
        fed = await asyncio.to_thread(tongluo, *feed, f"{who}@{where}", **county)
        assert fed.returncode == 0, fed.stderr
        async with officer(program.url) as api:

            async def recorded() -> bool:
                return await points(api) == 2

            await until(recorded)
