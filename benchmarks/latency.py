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
from pathlib import Path

import aiohttp
import aiomqtt

from benchmarks.county import write_county
from benchmarks.machine import closing_line, spread
from benchmarks.webhooks import ALARMING_MM, Stopwatch, listening, p99, publish_alarming, subscribed
from services.embedded.broker import broker as mqtt_broker
from services.embedded.gate import GateConfig
from services.embedded.ports import free_port
from tests.scenarios.command import Command, command

DAY = "2026-07-{day:02d}T00:00:00+00:00"


async def publish(port: int, watch: Stopwatch, alerts: int, rate: float, day: int) -> None:
    # Another amount each day: the very same value for a day is a gauge that is stuck, and not judged.
    await publish_alarming(
        ("127.0.0.1", port), watch, range(1, alerts + 1), rate, DAY.format(day=day), ALARMING_MM + day
    )


async def tongluo_run(program: Command, alerts: int, rate: float, day: int) -> list[float]:
    watch = Stopwatch()
    async with subscribed(program.url, watch) as api:
        await publish(program.mqtt_port, watch, alerts, rate, day)
        try:
            await watch.all_heard(alerts)
        except SystemExit:
            print((await api.get(f"{program.url}/readyz")).text)
            print("\n".join(program.output))
            raise
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
        await watch.all_heard(alerts)
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
            group.create_task(post(bytes(message.payload)))


async def bench(alerts: int, rate: float, runs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="tongluo-bench-") as name:
        folder = Path(name)
        write_county(folder / "county", alerts)
        environment = {"TONGLUO_COUNTY": str(folder / "county"), "TONGLUO_CLOCK": "event"}
        with (
            command(folder / "data", "run", **environment) as program,
            mqtt_broker(folder / "bare", GateConfig("127.0.0.1", free_port(), free_port())) as broker,
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
