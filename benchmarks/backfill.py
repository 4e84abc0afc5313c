"""What the readings of others wait while one gateway sends days of back-fill: publish to store, before and meanwhile.

The full stack, each role a process. A gateway of twenty gauges sends 300,000 readings of the last days in messages of
500, as fast as they are acknowledged or at a rate; the other gauges report live, fifty readings a second, stamped when they are
sent. No alert may rise, and afterwards every reading must be in the store.

    python -m benchmarks.backfill [--readings 300000] [--rate 0]
"""

import argparse
import asyncio
import os
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import aiomqtt
import msgspec

from benchmarks.county import GAUGES_PER_GATEWAY, station_of, topic_of, write_county
from benchmarks.machine import closing_line
from benchmarks.stack import Meter, fresh_place, pid_of, real_servers, role_processes
from benchmarks.systems import ROLES, Connection, connect
from benchmarks.throughput import STATIONS
from tongluo.clock import wall_now

LIVE_PER_S = 50.0
BEFORE_S = 10.0
PER_MESSAGE = 500
# The last gateway's gauges.
LATE = range(STATIONS - GAUGES_PER_GATEWAY + 1, STATIONS + 1)
_WITHIN_S = 120.0


def _reading(number: int, moment: datetime, mm: float) -> dict[str, object]:
    return {"station": station_of(number), "metric": "rain", "time": moment.isoformat(), "value": mm}


async def live(client: aiomqtt.Client, stop: asyncio.Event) -> int:
    """One reading after the other until `stop`; how many."""
    began_s, nth = time.monotonic(), 0
    while not stop.is_set():
        await asyncio.sleep(max(0.0, began_s + nth / LIVE_PER_S - time.monotonic()))
        gauge = nth % (LATE[0] - 1) + 1
        await client.publish(topic_of(gauge), msgspec.json.encode(_reading(gauge, wall_now(), 0.0)), qos=1)
        nth += 1
    return nth


async def back_fill(client: aiomqtt.Client, readings: int, rate: float) -> None:
    """A storm of the past among them: 30 mm in every hour would be red, were it now."""
    steps = readings // len(LATE)
    first = wall_now().replace(microsecond=0) - timedelta(hours=2) - steps * timedelta(seconds=10)
    every = [
        _reading(number, first + step * timedelta(seconds=10), 30.0 if step % 360 == 0 else 0.0)
        for step in range(steps)
        for number in LATE
    ]
    began_s = time.monotonic()
    for start in range(0, len(every), PER_MESSAGE):
        if rate:
            await asyncio.sleep(max(0.0, began_s + start / rate - time.monotonic()))
        payload = msgspec.json.encode(every[start : start + PER_MESSAGE])
        await client.publish(topic_of(LATE[0]), payload, qos=1)


async def delays_ms(store: Connection, since: datetime, until: datetime) -> dict[str, float]:
    """Of live readings, from their time, which is when they were sent, to when they were written."""
    cursor = await store.execute(
        "SELECT count(*), percentile_cont(ARRAY[0.5, 0.99, 1.0]) WITHIN GROUP ("
        "ORDER BY extract(epoch FROM recorded - time) * 1000) FROM reading "
        "WHERE time >= %s AND time < %s AND flags & 512 = 0",
        (since, until),
    )
    row = await cursor.fetchone()
    if row is None or not row[0]:
        raise SystemExit("no live reading was stored")
    median, p99, longest = row[1]  # type: ignore[misc]
    return {"readings": row[0], "median": round(median), "p99": round(p99), "max": round(longest)}  # type: ignore[dict-item]


async def bench(readings: int, rate: float) -> None:
    load_before = os.getloadavg()[0]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tongluo-bench-")))
        write_county(folder / "county", STATIONS)
        servers = stack.enter_context(real_servers())
        place = await stack.enter_async_context(fresh_place(servers))
        environment = place.environment(TONGLUO_COUNTY=str(folder / "county"))
        programs = await stack.enter_async_context(role_processes(folder, ROLES, environment))
        store = await stack.enter_async_context(await connect(place.dsn))
        meter = Meter({name: pid_of(program) for name, program in programs.items()})
        host, port = servers.broker
        one, other = [await stack.enter_async_context(aiomqtt.Client(host, port)) for _ in range(2)]
        stop, began = asyncio.Event(), wall_now()
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(live(one, stop))
            await asyncio.sleep(BEFORE_S)
            filling = wall_now()
            await back_fill(other, readings, rate)
            sent = wall_now()
            await _stored(store, readings)
            filled = wall_now()
            stop.set()
        await _stored(store, readings + await sending)
        before, meanwhile = await delays_ms(store, began, filling), await delays_ms(store, filling, filled)
        alerts = await (await store.execute("SELECT count(*) FROM alert")).fetchone()
        late = await (await store.execute("SELECT count(*) FROM reading WHERE flags & 512 <> 0")).fetchone()
        if alerts != (0,) or late != (readings,):
            raise SystemExit(f"{alerts} alerts were raised, {late} readings of {readings} are known as late")
        closing_line(
            name="live_publish_to_store_p99_during_back_fill",
            value=meanwhile["p99"],
            unit="ms",
            before_ms=before,
            meanwhile_ms=meanwhile,
            back_fill={
                "readings": readings,
                "sent_s": round((sent - filling).total_seconds(), 1),
                "stored_s": round((filled - filling).total_seconds(), 1),
            },
            alerts=0,
            processor_s=meter.read(),
            load_average_before=load_before,
        )


async def _stored(store: Connection, readings: int) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while (found := await (await store.execute("SELECT count(*) FROM reading")).fetchone()) is not None:
        if int(str(found[0])) >= readings:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"only {found[0]} of {readings} readings are in the store")
        await asyncio.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readings", type=int, default=300_000, help="of back-fill")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="readings a second of back-fill; 0 is at once"
    )
    arguments = parser.parse_args()
    asyncio.run(bench(arguments.readings, arguments.rate))


if __name__ == "__main__":
    main()
