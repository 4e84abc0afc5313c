"""From the publication of a reading that raises an alert to the webhook about it: publisher, receiver and stopwatch."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiomqtt
import httpx
from aiohttp import web

from benchmarks.county import site_of, station_of, topic_of
from tests.conftest import TOKEN

# Within three hours this is orange: one reading raises an alert.
ALARMING_MM = 60.0
_HEARD_WITHIN_S = 60.0


@dataclass
class Stopwatch:
    """When each site's reading was published, and when the webhook about it came (seconds of one clock)."""

    sent: dict[str, float] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)

    def delays_ms(self) -> list[float]:
        return sorted(
            1000 * (self.heard[site] - sent) for site, sent in self.sent.items() if site in self.heard
        )

    async def all_heard(self, alerts: int) -> None:
        deadline = time.perf_counter() + _HEARD_WITHIN_S
        while len(self.heard) < alerts:
            if time.perf_counter() > deadline:
                raise SystemExit(f"only {len(self.heard)} of {alerts} alerts arrived within a minute")
            await asyncio.sleep(0.02)


def p99(delays: list[float]) -> float:
    return statistics.quantiles(delays, n=100)[98]


def site_of_alert(body: bytes) -> str:
    """The site that a webhook of ours is about."""
    return str(json.loads(body)["data"]["alert"]["site"]["id"])


@asynccontextmanager
async def listening(watch: Stopwatch, site_of_body: Callable[[bytes], str]) -> AsyncIterator[str]:
    """A subscriber that notes the first receipt for each site; yields its URL."""

    async def hook(request: web.Request) -> web.Response:
        site = site_of_body(await request.read())
        watch.heard.setdefault(site, time.perf_counter())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def subscribed(console: str, watch: Stopwatch) -> AsyncIterator[httpx.AsyncClient]:
    """A township that is told of every alert, for as long as the context is open; yields the API."""
    async with (
        listening(watch, site_of_alert) as url,
        httpx.AsyncClient(
            base_url=console + "/api/v1", headers={"authorization": f"Bearer {TOKEN}"}, timeout=30
        ) as api,
    ):
        made = await api.post("/subscriptions", json={"name": "bench", "url": url})
        id_ = made.raise_for_status().json()["id"]
        yield api
        await asyncio.sleep(1.0)  # let the outcomes be written before the subscription goes
        await api.delete(f"/subscriptions/{id_}")


async def publish_alarming(
    broker: tuple[str, int],
    watch: Stopwatch,
    gauges: Sequence[int],
    rate: float,
    moment: str,
    mm: float = ALARMING_MM,
) -> None:
    """One reading of `mm` for each of these gauges, evenly spaced by `rate` a second; 0 is all at once."""
    host, port = broker
    async with aiomqtt.Client(host, port, max_queued_outgoing_messages=0) as client:
        client.pending_calls_threshold = 2 * len(gauges)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for nth, gauge in enumerate(gauges, start=1):
                if rate:
                    await asyncio.sleep(max(0.0, began + nth / rate - time.perf_counter()))
                reading = {
                    "station": station_of(gauge),
                    "metric": "rain",
                    "time": moment,
                    "value": mm,
                }
                watch.sent[site_of(gauge)] = time.perf_counter()
                group.create_task(client.publish(topic_of(gauge), json.dumps(reading), qos=1))
