"""The outside of a program under test: gauges that publish, a duty officer with curl's view of it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiomqtt
import httpx
import msgspec

from services.app import Running
from tests.conftest import TOKEN, until

START = datetime(2026, 7, 1, tzinfo=UTC)


def rain(minute: float, mm: object, station: str = "R-1") -> dict[str, Any]:
    time = (START + timedelta(minutes=minute)).isoformat()
    return {"station": station, "metric": "rain", "time": time, "value": mm}


def storm(station: str = "R-1") -> list[dict[str, Any]]:
    """60 mm in 3 h."""
    return [rain(30 * n, 10.0, station) for n in range(1, 7)]


def dry(station: str = "R-1", begin: int = 200, end: int = 24 * 60) -> list[dict[str, Any]]:
    return [rain(minute, 0.0, station) for minute in range(begin, end, 20)]


async def publish(port: int, readings: Iterable[dict[str, Any]], gateway: str = "G-1") -> None:
    async with aiomqtt.Client("127.0.0.1", port) as client:
        for reading in readings:
            await client.publish(f"tongluo/v1/{gateway}/readings", msgspec.json.encode(reading), qos=1)


async def publish_stubbornly(port: int, readings: list[dict[str, Any]], gateway: dict[str, str]) -> None:
    """As a gateway does: QoS 1, and what is not acknowledged is sent again after a reconnect."""
    waiting = list(readings)
    async with asyncio.timeout(90):
        while waiting:
            try:
                async with aiomqtt.Client("127.0.0.1", port, timeout=5) as client:
                    while waiting:
                        topic = f"tongluo/v1/{gateway[waiting[0]['station']]}/readings"
                        await client.publish(topic, msgspec.json.encode(waiting[0]), qos=1)
                        waiting.pop(0)
            except aiomqtt.MqttError:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def officer(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=f"{url}/api/v1", headers={"authorization": f"Bearer {TOKEN}"}, timeout=10
    ) as client:
        yield client


async def subscribe(api: httpx.AsyncClient, url: str, **wish: Any) -> dict[str, Any]:
    answer = await api.post("/subscriptions", json={"name": "township", "url": url, **wish})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def alerts(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await api.get("/alerts", params={"limit": 500})
    answer.raise_for_status()
    return list(answer.json()["items"])


async def gateways(api: httpx.AsyncClient) -> dict[str, str]:
    """The gateway that speaks for each station."""
    return {s["id"]: s["gateway"] for s in (await api.get("/stations")).json()}


async def history(api: httpx.AsyncClient, alert: str) -> list[str]:
    found = (await api.get(f"/alerts/{alert}")).json()
    return [f"{report['transition']} {report['level_to'] or ''}".strip() for report in found["history"]]


async def settled(program: Running) -> None:
    from services.settle import settled as all_done

    await until(lambda: all_done(program))
