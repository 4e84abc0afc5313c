"""From MQTT publish to webhook receipt: 1,000 alerts, one reading each, through a whole program of its own.

Beside it in the same run a bare loop (MQTT subscriber that POSTs each message on): what the wires cost alone, without
decoding, log, rules, store, outbox or signature, and without surviving anything.

    python -m benchmarks.latency [--alerts 1000] [--rate 50] [--runs 3]
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import aiomqtt
import httpx
from aiohttp import web

from benchmarks.machine import closing_line, spread
from services.embedded.broker import broker as mqtt_broker
from services.embedded.ports import free_port
from tests.scenarios.command import Command, command
from tongluo import testing
from tongluo.region import County

TOKEN_HEADERS = {"authorization": "Bearer test-token-of-the-administrator"}
DAY = "2026-07-{day:02d}T00:00:00+00:00"


def county_toml(county: County) -> str:
    """A county as the file it is read from."""
    parts = [f'[county]\ncode = "{county.code}"\nname = "{county.name}"\nname_en = "{county.name_en}"']
    parts += [f'[[gateway]]\nid = "{g.id}"\nname = "{g.name}"' for g in county.gateways.values()]
    parts += [
        f'[[site]]\nid = "{s.id}"\nname = "{s.name}"\nkind = "{s.kind}"\ndivision = "{s.division}"\n'
        f"latitude = {s.latitude:.4f}\nlongitude = {s.longitude}"
        for s in county.sites.values()
    ]
    parts += [
        f'[[station]]\nid = "{s.id}"\nname = "{s.name}"\nkind = "{s.kind}"\nsite = "{s.site}"\n'
        f'gateway = "{s.gateway}"\nlatitude = {s.latitude:.4f}\nlongitude = {s.longitude}\nmetrics = ["rain"]'
        for s in county.stations.values()
    ]
    return "\n\n".join(parts) + "\n"


def write_county(folder: Path, gauges: int) -> None:
    county = testing.county(gauges)
    folder.mkdir()
    (folder / "county.toml").write_text(county_toml(county))
    rows = [f"{d.code},{d.name},{d.kind},{d.parent}" for d in county.divisions.values()]
    (folder / "divisions.csv").write_text("\n".join(["code,name,kind,parent", *rows]) + "\n")


class Stopwatch:
    """When each site's reading was published, and when the webhook about it came."""

    def __init__(self) -> None:
        self.sent: dict[str, float] = {}
        self.heard: dict[str, float] = {}

    def delays_ms(self) -> list[float]:
        return sorted(
            1000 * (self.heard[site] - sent) for site, sent in self.sent.items() if site in self.heard
        )


@asynccontextmanager
async def listening(watch: Stopwatch, site_of: Callable[[bytes], str]) -> AsyncIterator[str]:
    """A subscriber that notes the first receipt for each site."""

    async def hook(request: web.Request) -> web.Response:
        site = site_of(await request.read())
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


async def publish(port: int, watch: Stopwatch, alerts: int, rate: float, day: int) -> None:
    """One reading of 60 mm for every gauge, evenly spaced; `rate` 0 is all at once."""
    async with aiomqtt.Client("127.0.0.1", port, max_queued_outgoing_messages=0) as client:
        client.pending_calls_threshold = 2 * alerts
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for n in range(1, alerts + 1):
                if rate:
                    await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
                reading = {"station": f"R-{n}", "metric": "rain", "time": DAY.format(day=day), "value": 60.0}
                topic = f"tongluo/v1/{'G-1' if n <= 2 else 'G-2'}/readings"
                watch.sent[f"S-{n}"] = time.perf_counter()
                group.create_task(client.publish(topic, json.dumps(reading), qos=1))


async def all_heard(watch: Stopwatch, alerts: int) -> None:
    deadline = time.perf_counter() + 60
    while len(watch.heard) < alerts:
        if time.perf_counter() > deadline:
            raise SystemExit(f"only {len(watch.heard)} of {alerts} alerts arrived within a minute")
        await asyncio.sleep(0.02)


async def tongluo_run(program: Command, alerts: int, rate: float, day: int) -> list[float]:
    watch = Stopwatch()
    async with (
        listening(watch, lambda body: str(json.loads(body)["data"]["alert"]["site"]["id"])) as url,
        httpx.AsyncClient(base_url=program.url + "/api/v1", headers=TOKEN_HEADERS) as api,
    ):
        made = (
            (await api.post("/subscriptions", json={"name": "bench", "url": url})).raise_for_status().json()
        )
        await publish(program.mqtt_port, watch, alerts, rate, day)
        try:
            await all_heard(watch, alerts)
        except SystemExit:
            print((await api.get(f"{program.url}/readyz")).text)
            print("\n".join(program.output))
            raise
        await asyncio.sleep(1.0)  # let the outcomes be written before the subscription goes
        await api.delete(f"/subscriptions/{made['id']}")
    return watch.delays_ms()


async def bare_run(port: int, alerts: int, rate: float, day: int) -> list[float]:
    watch = Stopwatch()
    async with listening(watch, lambda body: "S-" + str(json.loads(body)["station"])[2:]) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.latency", "--bare", str(port), url, stdout=subprocess.PIPE
        )
        if process.stdout is not None:
            await process.stdout.readline()  # it says when it has subscribed
        await publish(port, watch, alerts, rate, day)
        await all_heard(watch, alerts)
        process.terminate()
        await process.wait()
    return watch.delays_ms()


async def bare_loop(port: int, url: str) -> None:
    """The peer: subscribe and POST on."""
    async with (
        aiohttp.ClientSession() as session,
        aiomqtt.Client("127.0.0.1", port) as client,
        asyncio.TaskGroup() as group,
    ):
        await client.subscribe("tongluo/v1/+/readings", qos=1)
        print("subscribed", flush=True)

        async def post(payload: bytes) -> None:
            async with session.post(url, data=payload) as response:
                await response.read()

        async for message in client.messages:
            group.create_task(post(bytes(message.payload)))  # type: ignore[arg-type]


def p99(delays: list[float]) -> float:
    return statistics.quantiles(delays, n=100)[98]


async def bench(alerts: int, rate: float, runs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="tongluo-bench-") as name:
        folder = Path(name)
        write_county(folder / "county", alerts)
        environment = {"TONGLUO_COUNTY": str(folder / "county"), "TONGLUO_CLOCK": "event"}
        with (
            command(folder / "data", "run", **environment) as program,
            mqtt_broker(folder / "bare", free_port(), free_port()) as broker,
        ):
            await program.started()
            ours: list[list[float]] = []
            bare: list[list[float]] = []
            for run in range(runs):
                # A day apart, so that every run raises every alert anew.
                ours.append(await tongluo_run(program, alerts, rate, 1 + run))
                bare.append(await bare_run(broker.port, alerts, rate, 1))
                print(
                    f"run {run + 1}: Tongluo median {statistics.median(ours[-1]):.1f} ms, p99 {p99(ours[-1]):.1f} ms; "
                    f"bare loop median {statistics.median(bare[-1]):.1f} ms, p99 {p99(bare[-1]):.1f} ms",
                    flush=True,
                )
            burst = await tongluo_run(program, alerts, 0, 1 + runs)
            print(f"burst: {alerts} alerts at once, the last heard after {burst[-1]:.0f} ms", flush=True)
            program.interrupt()
    closing_line(
        name="publish_to_webhook_p99",
        value=round(statistics.median(p99(run) for run in ours), 1),
        unit="ms",
        spread=spread([p99(run) for run in ours]),
        median_ms=spread([statistics.median(run) for run in ours]),
        alerts=alerts,
        rate_per_s=rate,
        lost=0,
        burst_last_ms=round(burst[-1]),
        peers={
            "bare aiomqtt to aiohttp loop": {
                "p99_ms": spread([p99(run) for run in bare]),
                "median_ms": spread([statistics.median(run) for run in bare]),
            }
        },
        ratios={
            "p99 over bare loop": round(
                statistics.median(p99(run) for run in ours) / statistics.median(p99(run) for run in bare), 1
            )
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--alerts", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=50.0, help="readings per second")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--bare", nargs=2, metavar=("PORT", "URL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        asyncio.run(bare_loop(int(arguments.bare[0]), arguments.bare[1]))
    else:
        asyncio.run(bench(arguments.alerts, arguments.rate, arguments.runs))


if __name__ == "__main__":
    main()
