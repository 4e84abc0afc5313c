"""What starts and stops promise: nothing left behind, the data back, one line with the mend for what is wrong."""

import asyncio
import socket
from pathlib import Path

import aiomqtt
import httpx
import msgspec
import pytest

from tests.conftest import signals_alone, until
from tests.scenarios.command import Command, command
from tests.scenarios.field import alerts, gateways, officer, publish_stubbornly, storm


async def test_ctrl_c_leaves_nothing_behind_and_the_data_come_back(tmp_path: Path) -> None:
    with command(tmp_path, "demo", TONGLUO_CLOCK="event", TONGLUO_RULES=str(signals_alone())) as program:
        await program.started()
        password = program.wait_for(r"password (\S+)")[1]
        async with officer(program.url) as api:
            gateway = await gateways(api)
            await publish_stubbornly(program.mqtt_port, storm("QT-R-001"), gateway)
            await until(lambda: _count(api, 1))
        assert await asyncio.to_thread(program.interrupt) == 0
        assert program.left_behind() == []
        await program.started()
        assert not any(password in line for line in program.output)
        async with officer(program.url) as api:
            assert len(await alerts(api)) == 1
        async with httpx.AsyncClient(base_url=program.url) as page:
            answer = await page.post("/api/v1/session", json={"account": "admin", "password": password})
            assert answer.status_code == 200
        assert await asyncio.to_thread(program.interrupt) == 0
        assert program.left_behind() == []


async def _count(api: httpx.AsyncClient, wanted: int) -> bool:
    return len(await alerts(api)) == wanted


async def test_the_live_demo_shows_its_storm_and_ends_by_itself(tmp_path: Path) -> None:
    with command(tmp_path, "demo", DEMO_FOR="45s") as program:
        await program.started()
        program.wait_for("first readings")
        async with officer(program.url) as api:

            async def orange() -> bool:
                return any(alert["level"] == "orange" for alert in await alerts(api))

            await until(orange, timeout_s=40)
            station = (await api.get("/stations")).json()[0]
            assert station["latest"]
        await asyncio.to_thread(program.wait_for, "signature verified", 20)
        process = program.process
        assert process is not None
        assert await asyncio.to_thread(process.wait, 60) == 0
        assert program.left_behind() == []


@pytest.mark.parametrize("variable", ["TONGLUO_HTTP_PORT", "TONGLUO_MQTT_PORT"])
async def test_a_busy_port_is_one_line_with_the_mend(tmp_path: Path, variable: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, output = await _fails(tmp_path / "d", **{variable: str(taken.getsockname()[1])})
    assert code == 1
    assert "Traceback" not in output
    assert variable in output


async def test_an_unwritable_folder_is_one_line_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, output = await _fails(tmp_path / "file" / "data")
    assert code == 1
    assert "Traceback" not in output
    assert "TONGLUO_DATA" in output


async def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    code, output = await _fails(tmp_path, TONGLUO_CLOCK="sun", TONGLUO_HTTP_PROT="8080")
    assert code == 1
    assert "TONGLUO_CLOCK" in output
    assert "TONGLUO_HTTP_PROT: there is no such setting" in output


async def _fails(data: Path, **environment: str) -> tuple[int, str]:
    with command(data, "demo", **environment) as program:
        with pytest.raises(AssertionError):
            await program.started()
        assert program.process is not None
        return await asyncio.to_thread(program.process.wait, 20), "\n".join(program.output)


async def test_a_second_start_on_the_same_folder_disturbs_nobody(tmp_path: Path) -> None:
    with command(tmp_path, "demo", TONGLUO_CLOCK="event", TONGLUO_RULES=str(signals_alone())) as program:
        await program.started()
        second = Command(tmp_path, "demo", TONGLUO_CLOCK="event")
        with pytest.raises(AssertionError):
            await second.started()
        assert second.process is not None
        assert await asyncio.to_thread(second.process.wait, 20) == 1
        assert any(f"another Tongluo (process {_pid(program)})" in line for line in second.output)
        async with officer(program.url) as api:
            gateway = await gateways(api)
            await publish_stubbornly(program.mqtt_port, storm("QT-R-001"), gateway)
            await until(lambda: _count(api, 1))


def _pid(program: Command) -> int:
    assert program.process is not None
    return program.process.pid


async def test_a_clean_stop_takes_what_the_broker_has_acknowledged(tmp_path: Path) -> None:
    """Readings acknowledged to a gateway right up to Ctrl-C are there after the next start."""
    sent = 0
    with command(tmp_path, "demo", TONGLUO_CLOCK="event") as program:
        await program.started()
        async with officer(program.url) as api:
            gateway = (await gateways(api))["QT-R-001"]
        async with aiomqtt.Client("127.0.0.1", program.mqtt_port) as client:
            for batch in range(60):
                readings = [
                    {
                        "station": "QT-R-001",
                        "metric": "rain",
                        "time": f"2026-07-01T{h:02d}:{m:02d}:{batch:02d}Z",
                        "value": 0,
                    }
                    for h in range(10)
                    for m in range(60)
                ]
                await client.publish(f"tongluo/v1/{gateway}/readings", msgspec.json.encode(readings), qos=1)
                sent += len(readings)
        assert await asyncio.to_thread(program.interrupt) == 0
        await program.started()
        async with officer(program.url) as api:

            async def all_there() -> bool:
                span = {"from": "2026-07-01T00:00:00Z", "to": "2026-07-02T00:00:00Z", "metric": "rain"}
                hours = [(f"2026-07-01T{h:02d}:00:00Z", f"2026-07-01T{h:02d}:59:59Z") for h in range(10)]
                found = 0
                for begin, end in hours:
                    span |= {"from": begin, "to": end}
                    found += len((await api.get("/stations/QT-R-001/series", params=span)).json()["points"])
                # The first second of each hour lies on the open side of its span.
                return found == sent - len(hours)

            # The program has a backlog to record; it is the loss that is asked for here, not the pace.
            await until(all_there, timeout_s=60)


async def test_the_demonstration_never_touches_a_real_store(tmp_path: Path) -> None:
    code, output = await _fails(tmp_path, TONGLUO_STORE="postgresql://nobody@127.0.0.1:1/x")
    assert code == 1
    assert "TONGLUO_STORE" in output


async def test_a_replay_demonstration_begins_again_where_it_was(tmp_path: Path) -> None:
    """It says what time it is there, and its loudspeaker is subscribed again though somebody deleted it."""
    with command(tmp_path, "demo", TONGLUO_CLOCK="event", TONGLUO_RULES=str(signals_alone())) as program:
        await program.started()
        assert not any("has readings" in line for line in program.output)
        async with officer(program.url) as api:
            readings = storm("QT-R-001")
            await publish_stubbornly(program.mqtt_port, readings, await gateways(api))
            await until(lambda: _count(api, 1))
            assert (await api.delete("/subscriptions/demo")).status_code == 204
            assert (await api.get("/subscriptions")).json() == []
        assert await asyncio.to_thread(program.interrupt) == 0
        await program.started()
        await asyncio.to_thread(program.wait_for, "now is 2026-07-01T03:00:00Z")
        async with officer(program.url) as api:
            assert [item["id"] for item in (await api.get("/subscriptions")).json()] == ["demo"]
