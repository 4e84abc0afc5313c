"""The simulator as a program, against a real broker and a real subscriber."""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiomqtt import Client
from iotcore import Broker

from tests.sensors.ports import free_port
from tests.sensors.program import ends, program
from tongluo.clock import wall_now
from tongluo.region import County


class Field:
    """What a subscriber has seen: status by gateway, readings by gateway in order of arrival."""

    def __init__(self) -> None:
        self.status: dict[str, dict[str, Any]] = {}
        self.readings: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.longest = 0
        self.changed = asyncio.Condition()

    async def listen(self, client: Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            gateway, what = message.topic.value.split("/")[2:]
            async with self.changed:
                payload = json.loads(message.payload)
                if what == "status":
                    self.status[gateway] = payload
                else:
                    self.readings[gateway] += payload
                    self.longest = max(self.longest, len(payload))
                self.changed.notify_all()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(condition)

    def online(self, value: bool) -> int:
        return sum(status["online"] is value for status in self.status.values())


@contextlib.asynccontextmanager
async def watched(port: int) -> AsyncIterator[Field]:
    field = Field()
    async with Client("127.0.0.1", port, identifier="watcher") as client, asyncio.TaskGroup() as group:
        await client.subscribe("tongluo/v1/+/+", qos=1)
        task = group.create_task(field.listen(client))
        yield field
        task.cancel()


def simulator(port: int, *more: str) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    return program("sensors.simulator", "--broker", f"127.0.0.1:{port}", *more)


async def test_a_run_tells_the_record_and_goes_on_live(mqtt_port: int, qingtian: County) -> None:
    def told() -> bool:
        live = {r["station"] for rs in field.readings.values() for r in rs if r["time"] > began}
        return len(live & set(qingtian.stations)) >= 17 and field.online(True) == len(qingtian.gateways)

    began = beijing(wall_now())
    async with watched(mqtt_port) as field, simulator(mqtt_port) as process:
        await field.until(told)
        process.terminate()
        await field.until(lambda: field.online(False) == len(qingtian.gateways))
        code, said = await ends(process)
    assert code == 0
    assert said == f"simulator: connected to 127.0.0.1:{mqtt_port}: {len(qingtian.gateways)} gateways\n"
    assert set(field.readings) == set(qingtian.gateways)
    assert field.longest <= 100
    for gateway, readings in field.readings.items():
        for reading in readings:
            station = qingtian.stations[reading["station"]]
            assert station.gateway == gateway
            assert reading["metric"] in station.metrics
            assert reading["time"].endswith("+08:00")
            assert isinstance(reading["value"], (int, float))
        times = [datetime.fromisoformat(reading["time"]) for reading in readings]
        assert all(a <= b for a, b in pairwise(times))
        assert times[-1] <= wall_now()
        assert times[0] <= wall_now() - timedelta(hours=5, minutes=25)  # some report on the half hour
        assert [reading["seq"] for reading in readings] == list(range(len(readings)))


async def test_a_killed_run_leaves_its_last_will_and_the_next_one_goes_on(
    mqtt_port: int, qingtian: County, tmp_path: Path
) -> None:
    def heard_from_all() -> bool:
        return len(field.readings) == len(qingtian.gateways)

    def marks_now() -> dict[str, Any]:
        return dict(json.loads(file.read_bytes())["gateways"])

    file = tmp_path / "memory.json"
    memory = ("--memory", str(file))
    async with watched(mqtt_port) as field, simulator(mqtt_port, *memory) as process:
        await field.until(lambda: heard_from_all() and len(marks_now()) == len(qingtian.gateways))
        process.kill()
        await field.until(lambda: field.online(False) == len(qingtian.gateways))
    marks = marks_now()
    # Faster, because a lookout's camera alone speaks but twice a minute.
    async with watched(mqtt_port) as field, simulator(mqtt_port, *memory, "--speed", "8") as process:
        await field.until(heard_from_all)
        assert process.stdin is not None
        process.stdin.close()  # as when the parent is gone
        assert (await ends(process))[0] == 0
    for gateway, mark in marks.items():
        first = field.readings[gateway][0]
        assert datetime.fromisoformat(first["time"]) > datetime.fromisoformat(mark["newest"])
        assert first["seq"] == mark["seq"]


async def test_it_waits_for_a_broker_and_says_so_once(qingtian: County) -> None:
    port = free_port()
    async with simulator(port) as process:
        assert process.stderr is not None
        async with asyncio.timeout(20):
            lost = (await process.stderr.readline()).decode()
        assert lost.startswith(f"simulator: no link to broker 127.0.0.1:{port}")
        with Broker(port=port, listen="127.0.0.1", max_payload_size=300_000):
            async with asyncio.timeout(30):
                found = (await process.stderr.readline()).decode()
            assert found == f"simulator: connected to 127.0.0.1:{port}: {len(qingtian.gateways)} gateways\n"
            process.terminate()
            assert await ends(process) == (0, "")


async def test_what_an_outage_left_unsaid_comes_after_it_in_order() -> None:
    port = free_port()
    with Broker(port=port, listen="127.0.0.1", max_payload_size=300_000) as broker:
        async with simulator(port, "--speed", "4") as process:
            async with watched(port) as field:
                await field.until(lambda: len(newest(field)) == 17)
            before = newest(field)
            broker.stop()
            assert process.stderr is not None
            async with asyncio.timeout(30):
                while b"no link" not in await process.stderr.readline():
                    pass
            broker.start()
            async with watched(port) as field:
                await field.until(lambda: len(newest(field)) == 17)
            process.terminate()
            assert (await ends(process))[0] == 0
    for readings in field.readings.values():
        assert all(a["time"] <= b["time"] for a, b in pairwise(readings))
    for station, time in before.items():
        resumed = next(r["time"] for rs in field.readings.values() for r in rs if is_rain(r, station))
        # No hole: five seconds on, or the same again when its acknowledgement was lost.
        assert datetime.fromisoformat(resumed) <= datetime.fromisoformat(time) + timedelta(seconds=5)


async def test_it_ends_by_itself_after_the_time_asked_for(mqtt_port: int) -> None:
    async with simulator(mqtt_port, "--for", "1", "--scenario", "calm") as process:
        assert (await ends(process))[0] == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--profile", "atlantis"), "built in are: qingtian"),
        (("--memory", "/no/such/folder/file"), "be written"),
    ],
)
async def test_a_wrong_setting_ends_it_with_one_clear_message(options: tuple[str, ...], told: str) -> None:
    async with simulator(1, *options) as process:
        code, said = await ends(process)
    assert code == 1
    assert told in said
    assert "Traceback" not in said


def newest(field: Field) -> dict[str, str]:
    """The newest live rain report of each gauge."""
    live = (
        r
        for rs in field.readings.values()
        for r in rs
        if not r["time"].endswith(("0:00+08:00", "5:00+08:00"))
    )
    return {r["station"]: r["time"] for r in live if is_rain(r, r["station"])}


def is_rain(reading: dict[str, Any], station: str) -> bool:
    return bool(reading["metric"] == "rain" and reading["station"] == station)


def beijing(time: datetime) -> str:
    return (time + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%S+08:00")
