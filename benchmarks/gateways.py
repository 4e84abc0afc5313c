"""Ten thousand gateways at once: memory, the storm after a restart of the broker, and what the gate costs.

Mosquitto with its password file and the embedded broker behind its gate, over the same credentials, on loopback without
TLS. First all connect, then the broker is ended and started again at once, and every gateway comes back by itself. The
cost: readings a second with QoS 1, one connection, through the gate and past it, in turns.

    python -m benchmarks.gateways [--gateways 10000] [--restarts 3] [--runs 5] [--readings 300000]
"""

import argparse
import asyncio
import contextlib
import resource
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil

from benchmarks.connections import AllIn
from benchmarks.load import Plan, in_process_of_its_own
from benchmarks.machine import closing_line, spread
from services.embedded.broker import EmbeddedBroker
from services.embedded.gate import GateConfig, raise_file_limit
from services.embedded.ports import free_port
from services.identities import read_credentials, update
from tests.deploy.mosquitto import Mosquitto, configure, make_certificates
from tongluo.region import County, Gateway

FIRST = datetime(2026, 7, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Server:
    """A broker that can be ended and started again."""

    name: str
    port: int
    processes: Callable[[], list[psutil.Process]]
    end: Callable[[], None]
    start: Callable[[], None]

    def resident_mib(self) -> float:
        """What its processes hold alone, and their part of what they share."""
        return sum(process.memory_full_info().pss for process in self.processes()) / 2**20

    def cpu_s(self) -> float:
        times = [process.cpu_times() for process in self.processes()]
        return sum(spent.user + spent.system for spent in times)


@dataclass(frozen=True)
class Held:
    """What was measured at one broker."""

    idle_mib: float
    held_mib: float
    first_s: float
    storms_s: list[float]
    cpu_s: list[float]
    failed: list[int]


def county_of(gateways: int) -> County:
    """Nothing but gateways."""
    named = {f"GW-{n:05d}": Gateway(f"GW-{n:05d}", f"gateway {n}") for n in range(gateways)}
    return County("331121", "压测县", "Bench", "", {}, {}, named, {}, {})


@contextlib.contextmanager
def mosquitto(folder: Path, county: County) -> Iterator[Server]:
    """With its passwords and access list."""
    made = Mosquitto(folder, free_port(), free_port())
    update(county, folder)
    make_certificates(folder / "tls", "localhost")
    configure(folder, made.tls_port, made.plain_port)
    with (folder / "mosquitto.conf").open("a") as config:
        # Else it tells of every connection, and waits for the terminal.
        config.write("log_type error\n")
    made.start()

    def processes() -> list[psutil.Process]:
        return [psutil.Process(made.process.pid)] if made.process is not None else []

    try:
        yield Server("mosquitto", made.plain_port, processes, lambda: made.stop(signal.SIGKILL), made.start)
    finally:
        made.stop()


@contextlib.contextmanager
def embedded(folder: Path, county: County) -> Iterator[tuple[Server, EmbeddedBroker]]:
    """Behind its gate, with the same credentials."""
    update(county, folder / "gateways")
    config = GateConfig("127.0.0.1", free_port(), free_port(), None, str(folder / "gateways"))
    made = EmbeddedBroker(folder, config)
    made.start()

    def processes() -> list[psutil.Process]:
        main = psutil.Process(made.pid)
        return [main, *main.children()]

    def end() -> None:
        ended = processes()
        ended[0].kill()
        psutil.wait_procs(ended, 10)

    try:
        yield Server("embedded", config.port, processes, end, made.start), made
    finally:
        made.stop()


@asynccontextmanager
async def field(port: int, credentials: Path) -> AsyncIterator[asyncio.StreamReader]:
    """All gateways, in a process of their own; it says when they are in."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.connections", str(port), str(credentials)),
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdout is None:
        raise AssertionError("asked for a pipe")
    try:
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def all_in(told: asyncio.StreamReader, within_s: float = 300) -> AllIn:
    async with asyncio.timeout(within_s):
        line = await told.readline()
    if not line:
        raise SystemExit("the field has ended")
    return msgspec.json.decode(line, type=AllIn)


async def hold(server: Server, credentials: Path, restarts: int) -> Held:
    """All in, then restarts; says what it sees."""
    idle = server.resident_mib()
    async with field(server.port, credentials) as told:
        first = await all_in(told)
        await asyncio.sleep(2)
        held = server.resident_mib()
        storms: list[float] = []
        cpu: list[float] = []
        failed: list[int] = []
        for _ in range(restarts):
            await asyncio.to_thread(server.end)
            await asyncio.to_thread(server.start)
            back = await all_in(told)
            storms.append(back.ended_s - back.began_s)
            cpu.append(server.cpu_s())
            failed.append(back.failed)
            await asyncio.sleep(1)
    found = Held(idle, held, first.ended_s - first.began_s, storms, cpu, failed)
    print(
        f"{server.name}: all in after {found.first_s:.1f} s, {idle:.0f} MiB empty, {held:.0f} MiB with all; "
        f"after a restart all in again after {', '.join(f'{s:.1f}' for s in storms)} s "
        f"({', '.join(f'{s:.1f}' for s in cpu)} s of processor time, {failed} attempts failed)",
        flush=True,
    )
    return found


async def cost(broker: EmbeddedBroker, password: str, runs: int, readings: int) -> dict[str, list[float]]:
    """Readings a second through the gate and past it."""
    door = broker.private
    ways = {
        "through the gate": (broker.port_v5, "tongluo-ingest", password),
        "past the gate": (door.port_v5, door.user, door.secret),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, (port, user, secret) in ways.items():
            plan = Plan("127.0.0.1", port, 1000, readings // 1000, FIRST, user=user, password=secret)
            published = await in_process_of_its_own(plan)
            rates[name].append(plan.readings / (published.last_s - published.first_s))
    for name, found in rates.items():
        print(f"{name}: {', '.join(f'{rate:,.0f}' for rate in found)} readings/s", flush=True)
    return rates


async def bench(gateways: int, restarts: int, runs: int, readings: int) -> None:
    raise_file_limit()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    print(
        f"{gateways} gateways; {limit} files may be open in a process (ulimit -n): Mosquitto needs one for each"
    )
    if limit < gateways + 100:
        raise SystemExit(f"raise the limit of open files to {gateways + 100}, or take fewer with --gateways")
    county = county_of(gateways)
    with tempfile.TemporaryDirectory(prefix="tongluo-bench-") as name:
        (folder := Path(name) / "mosquitto").mkdir()
        with mosquitto(folder, county) as server:
            theirs = await hold(server, folder / "credentials.csv", restarts)
        folder = Path(name) / "embedded"
        with embedded(folder, county) as (server, broker):
            credentials = folder / "gateways" / "credentials.csv"
            ours = await hold(server, credentials, restarts)
            password = read_credentials(credentials.read_text())["tongluo-ingest"]
            rates = await cost(broker, password, runs, readings)
    said(gateways, limit, ours, theirs, rates)


def said(gateways: int, limit: int, ours: Held, theirs: Held, rates: dict[str, list[float]]) -> None:
    def figures(found: Held) -> dict[str, object]:
        return {
            "mib_empty": round(found.idle_mib),
            "mib_with_all": round(found.held_mib),
            "kib_each": round((found.held_mib - found.idle_mib) * 1024 / gateways, 1),
            "first_s": round(found.first_s, 1),
            "storm_s": spread(found.storms_s),
            "storm_cpu_s": spread(found.cpu_s),
            "failed_attempts": found.failed,
        }

    through, past = rates["through the gate"], rates["past the gate"]
    closing_line(
        name="gateways_back_after_restart",
        value=round(statistics.median(ours.storms_s), 1),
        unit="s",
        spread=spread(ours.storms_s),
        gateways=gateways,
        open_files=limit,
        embedded=figures(ours),
        through_the_gate_per_s=spread(through),
        peers={"mosquitto": figures(theirs), "rumqttd past the gate": {"per_s": spread(past)}},
        ratios={
            "storm over mosquitto": round(
                statistics.median(ours.storms_s) / statistics.median(theirs.storms_s), 2
            ),
            "memory over mosquitto": round(ours.held_mib / theirs.held_mib, 1),
            "publishes through the gate to past it": round(
                statistics.median(a / b for a, b in zip(through, past, strict=True)), 2
            ),
        },
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gateways", type=int, default=10_000)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--readings", type=int, default=300_000)
    arguments = parser.parse_args()
    asyncio.run(bench(arguments.gateways, arguments.restarts, arguments.runs, arguments.readings))


if __name__ == "__main__":
    main()
