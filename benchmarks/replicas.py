"""How much a second and a third rules process add: a backlog in Kafka, judged by one, two and three of them.

The processes stand ready in their group before the backlog becomes visible, all at once (it is written in one
transaction); a run is over when the group's committed position is at the end.

    python -m benchmarks.replicas [--readings 300000] [--runs 2] [--most 3]
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.backlog import entries, hidden_backlog
from benchmarks.county import write_county
from benchmarks.machine import closing_line, spread
from benchmarks.stack import Meter, Place, Servers, fresh_place, pid_of, real_servers, role_processes
from services.rules.service import GROUP
from tongluo.log.kafka import open_kafka
from tongluo.topics import READINGS

# So that a day's windows fill up: 300 readings of each gauge are 25 hours.
STATIONS = 1000
START = datetime(2026, 7, 1, tzinfo=UTC)
_WITHIN_S = 120.0


async def run(
    servers: Servers, folder: Path, processes: int, readings: int
) -> tuple[float, dict[str, float]]:
    """Readings a second, and processor seconds by part."""
    async with fresh_place(servers) as place:
        environment = place.environment(TONGLUO_COUNTY=str(folder / "county"))
        roles = {f"rules {nth}": "rules" for nth in range(1, processes + 1)}
        home = folder / place.name
        home.mkdir()
        async with role_processes(home, roles, environment) as programs, open_kafka(place.kafka) as log:
            await members(place, processes)
            steps = max(1, round(readings / STATIONS))
            backlog = list(entries(STATIONS, steps, START))
            async with hidden_backlog(place.kafka, backlog):
                pids = {name: pid_of(program) for name, program in programs.items()}
                meter = Meter({**pids, "kafka": servers.pids["kafka"]})
                began_s = time.monotonic()
            while sum((await log.positions(GROUP, READINGS)).values()) < len(backlog):
                if time.monotonic() - began_s > _WITHIN_S:
                    raise SystemExit(f"the backlog was not judged within {_WITHIN_S:.0f} s")
                await asyncio.sleep(0.1)
            return steps * STATIONS / (time.monotonic() - began_s), meter.read()


async def members(place: Place, expected: int) -> None:
    """Wait until the group has shared its partitions among so many members."""
    admin = AIOKafkaAdminClient(**place.kafka.clients())
    await admin.start()
    try:
        async with asyncio.timeout(60):
            while True:
                [answer] = await admin.describe_consumer_groups([place.kafka.named(GROUP, READINGS.name)])
                _, _, state, _, _, found, *_ = answer.groups[0]
                if state == "Stable" and len(found) == expected:
                    break
                await asyncio.sleep(0.1)
    finally:
        await admin.close()
    await asyncio.sleep(2.0)  # each takes up what it was given


async def bench(readings: int, runs: int, most: int) -> None:
    load_before = os.getloadavg()[0]
    rates: dict[int, list[float]] = {processes: [] for processes in range(1, most + 1)}
    with tempfile.TemporaryDirectory(prefix="tongluo-bench-") as name, real_servers() as servers:
        write_county(Path(name) / "county", STATIONS)
        for _ in range(runs):
            for processes, measured in rates.items():
                rate, took = await run(servers, Path(name), processes, readings)
                measured.append(rate)
                seconds = ", ".join(f"{part} {value:.1f}" for part, value in took.items())
                print(
                    f"{processes} rules processes: {rate:,.0f} readings/s; processor seconds: {seconds}",
                    flush=True,
                )
    one = statistics.median(rates[1])
    closing_line(
        name="rules_readings_per_second_one_process",
        value=round(one),
        unit="1/s",
        spread=spread(rates[1]),
        peers={f"{n} processes": spread(rates[n]) for n in rates if n > 1},
        ratios={f"{n} over 1": round(statistics.median(rates[n]) / one, 2) for n in rates if n > 1},
        readings_per_run=readings,
        load_average_before=load_before,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given = os.environ.get
    parser.add_argument("--readings", type=int, default=int(given("BENCH_BACKLOG", "300000")))
    parser.add_argument("--runs", type=int, default=int(given("BENCH_RUNS", "2")))
    parser.add_argument("--most", type=int, default=3, help="rules processes")
    arguments = parser.parse_args()
    asyncio.run(bench(arguments.readings, arguments.runs, arguments.most))


if __name__ == "__main__":
    main()
