"""What a reading costs on disk, and how long a chart of 30 days takes: TimescaleDB beside plain partitions.

TimescaleDB runs in WebAssembly (tests/timescale), slower than a native one; so plain partitions are measured on the same
server too, and once more on the native PostgreSQL that comes along. Readings are five minutes apart over 180 days, two
stations in three report rain, the others a slow displacement. Beside it: readings recorded per second, over COPY and
over arrays of parameters.

    STORE_READINGS=500000 python -m benchmarks.store     (10 million without the variable)
"""

import asyncio
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from benchmarks.machine import closing_line, spread
from services.embedded.postgres import postgres
from services.ingest.recorder import Recorder
from tests import timescale
from tongluo import wire
from tongluo.log.port import Stored
from tongluo.reading import Reading
from tongluo.readings import gathered
from tongluo.store import partitions, series, upkeep
from tongluo.store.engine import open_store, sqlalchemy_url
from tongluo.store.layout import Layout, layout_of
from tongluo.store.migrate import migrate
from tongluo.store.readings import by_arrays, by_copy

READINGS = int(os.environ.get("STORE_READINGS", "10000000"))
DAYS = 180
STATIONS = max(3, round(READINGS / (DAYS * 288)))
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=DAYS)
RUNS = 3
CHARTS_A_RUN = 20

# Rain in half millimetres, in one hour of twenty; displacement to a tenth of a millimetre, with a tide and noise.
_FILL = text(
    "INSERT INTO reading SELECT 'QT-R-' || lpad(s::text, 3, '0'), CASE s % 3 WHEN 0 THEN 'displacement' ELSE 'rain' END, "
    "t, CASE WHEN s % 3 = 0 THEN round((0.02 * s * extract(epoch FROM t - CAST(:start AS timestamptz)) / 86400 "
    "    + 0.4 * sin(extract(epoch FROM t)::float8 / 13750) + 0.2 * random())::numeric, 1)::float8 "
    "  WHEN abs(hashtext(s || to_char(t, 'MMDDHH24'))) % 20 = 0 THEN round(6 * random()) / 2 ELSE 0 END, "
    "'good', t + (abs(hashtext(t::text)) % 3000000) * interval '1 microsecond' "
    "FROM generate_series(CAST(:day AS timestamptz) + interval '5 minutes', CAST(:day AS timestamptz) "
    "  + interval '1 day', '5 minutes') AS t, generate_series(1, CAST(:stations AS int)) AS s ORDER BY t, s"
)
_SIZES = {
    Layout.HYPERTABLE: "SELECT hypertable_size('reading')",
    Layout.MONTHS: "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('reading')",
}

_AGGREGATES = (
    "SELECT sum(hypertable_size(format('%I.%I', materialization_hypertable_schema, "
    "materialization_hypertable_name)::regclass)) FROM timescaledb_information.continuous_aggregates"
)


@dataclass(frozen=True)
class Store:
    """A store under measurement."""

    name: str
    engine: AsyncEngine
    layout: Layout

    async def scalar(self, sql: str) -> Any:
        async with self.engine.connect() as connection:
            return await connection.scalar(text(sql))

    async def bytes_a_reading(self) -> float:
        return float(await self.scalar(_SIZES[self.layout])) / (STATIONS * DAYS * 288)

    def says(self, words: str) -> None:
        print(f"{self.name}: {words}", flush=True)


@asynccontextmanager
async def in_webassembly(folder: Path, layout: Layout) -> AsyncIterator[Store]:
    with timescale.server(folder) as dsn:
        if layout is Layout.MONTHS:
            engine = create_engine(sqlalchemy_url(dsn))
            with engine.connect() as connection:
                connection.execute(text("SELECT set_config('tongluo.timescaledb', 'off', false)"))
            engine.dispose()
        migrate(dsn)
        opened = timescale.engine_on(dsn)
        yield Store(f"{layout} in WebAssembly", opened, await layout_of(opened))
        await opened.dispose()


@asynccontextmanager
async def native(folder: Path) -> AsyncIterator[Store]:
    with postgres(folder) as server:
        migrate(server.dsn)
        async with open_store(server.dsn, relaxed=True) as engine:
            yield Store(f"{Layout.MONTHS}, native", engine, await layout_of(engine))


async def fill(store: Store) -> None:
    began = time.perf_counter()
    days = [START + timedelta(days=n) for n in range(DAYS)]
    if store.layout is Layout.MONTHS:
        for month in sorted({partitions.month_of(day) for day in [*days, NOW]}):
            await partitions.make(store.engine, month)
    for day in days:
        async with store.engine.begin() as connection:
            await connection.execute(_FILL, {"day": day, "start": START, "stations": STATIONS})
    async with store.engine.begin() as connection:
        await connection.execute(text("ANALYZE reading"))
    seconds = time.perf_counter() - began
    store.says(f"{STATIONS * DAYS * 288:,} readings of {STATIONS} stations in {seconds:.0f} s")


async def charts_ms(store: Store, layout: Layout) -> dict[str, dict[str, float]]:
    """Milliseconds of the 30-day chart, by hours and by days: medians of the runs, every chart of another station."""
    stations = itertools.cycle(range(1, STATIONS + 1))
    medians: dict[str, list[float]] = {"1h": [], "1d": []}
    async with store.engine.connect() as connection:
        for _ in range(RUNS):
            for name, width in (("1h", timedelta(hours=1)), ("1d", timedelta(days=1))):
                taken = [
                    await _chart_ms(connection, next(stations), width, layout) for _ in range(CHARTS_A_RUN)
                ]
                medians[name].append(statistics.median(taken))
    return {name: spread(values) for name, values in medians.items()}


async def _chart_ms(connection: AsyncConnection, station: int, width: timedelta, layout: Layout) -> float:
    metric = "rain" if station % 3 else "displacement"
    span = series.Span(f"QT-R-{station:03}", metric, NOW - timedelta(days=30), NOW)
    began = time.perf_counter()
    chosen = series.plan(span, width, NOW, layout)
    found = await series.bucketed(connection, span, width, chosen)
    taken = 1000 * (time.perf_counter() - began)
    if len(found) != timedelta(days=30) / width:
        raise SystemExit(f"a chart of {len(found)} points instead of {timedelta(days=30) / width}")
    return taken


async def timescaledb(folder: Path) -> dict[str, Any]:
    async with in_webassembly(folder, Layout.HYPERTABLE) as store:
        await fill(store)
        before = await store.bytes_a_reading()
        rows_ms = await charts_ms(store, Layout.MONTHS)
        store.says(f"{before:.1f} bytes a reading; chart from its rows {rows_ms} ms")
        began = time.perf_counter()
        await upkeep.refresh(store.engine, NOW + upkeep.COMPRESS_AFTER)
        refreshed = time.perf_counter()
        await upkeep.compress(store.engine, NOW + 30 * upkeep.COMPRESS_AFTER)
        store.says(
            f"aggregates made in {refreshed - began:.0f} s, compressed in {time.perf_counter() - refreshed:.0f} s"
        )
        after = await store.bytes_a_reading()
        found = {
            "bytes_before": round(before, 1),
            "bytes_after": round(after, 1),
            "bytes_of_aggregates": round(float(await store.scalar(_AGGREGATES)) / (STATIONS * DAYS * 288), 1),
            "chart_from_rows_ms": rows_ms,
            "chart_from_compressed_ms": await charts_ms(store, Layout.MONTHS),
            "chart_from_aggregates_ms": await charts_ms(store, Layout.HYPERTABLE),
        }
        store.says(json.dumps(found))
        return found


async def plain(store: Store) -> dict[str, Any]:
    await fill(store)
    found = {
        "bytes": round(await store.bytes_a_reading(), 1),
        "chart_ms": await charts_ms(store, Layout.MONTHS),
    }
    store.says(json.dumps(found))
    return found


async def recorded_per_second(store: Store) -> dict[str, dict[str, dict[str, float]]]:
    """Readings a second into the store by the size of a batch, through the recorder's own effect."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    numbers = itertools.count()
    for size in (10, 100, 500, 2000, 10000):
        rates: dict[str, list[float]] = {"copy": [], "arrays": []}
        for _ in range(RUNS):
            for name, write in (("copy", by_copy), ("arrays", by_arrays)):
                recorder = Recorder(store.engine, store.layout, write)
                batches = [_batch(size, next(numbers)) for _ in range(max(2, min(100, 20_000 // size)))]
                began = time.perf_counter()
                for batch in batches:
                    async with store.engine.begin() as connection:
                        await recorder.keep(connection, batch)
                rates[name].append(size * len(batches) / (time.perf_counter() - began))
        found[str(size)] = {name: spread(values) for name, values in rates.items()}
        store.says(f"batches of {size}: {json.dumps(found[str(size)])}")
    return found


def _batch(size: int, nth: int) -> list[Stored]:
    first = NOW + timedelta(seconds=30 * nth)
    readings = (
        Reading(f"QT-R-{n % 500:03}", "rain", first + timedelta(seconds=n // 500), 0.5, "S", "G")
        for n in range(size)
    )
    return [
        Stored(0, n, "S", wire.READINGS.encode(gathered([reading]))) for n, reading in enumerate(readings)
    ]


def _ratio(above: dict[str, float], below: dict[str, float]) -> float:
    return round(above["median"] / below["median"], 2)


async def bench() -> None:
    with tempfile.TemporaryDirectory(prefix="tongluo-bench-") as name:
        folder = Path(name)
        ours = await timescaledb(folder / "hypertable")
        async with native(folder) as store:
            beside = await plain(store)
            recorded = await recorded_per_second(store)
        async with in_webassembly(folder / "months", Layout.MONTHS) as store:
            alike = await plain(store)
    closing_line(
        name="bytes_per_reading_compressed",
        value=ours["bytes_after"],
        unit="bytes",
        spread=spread([ours["bytes_after"]]),
        readings=STATIONS * DAYS * 288,
        stations=STATIONS,
        timescaledb=ours,
        recorded_per_s=recorded,
        peers={
            "monthly partitions, same WebAssembly server": alike,
            "monthly partitions, native PostgreSQL": beside,
        },
        ratios={
            "bytes before over after": round(ours["bytes_before"] / ours["bytes_after"], 1),
            "chart by days, compressed rows over aggregates": _ratio(
                ours["chart_from_compressed_ms"]["1d"], ours["chart_from_aggregates_ms"]["1d"]
            ),
            "chart by hours, compressed rows over aggregates": _ratio(
                ours["chart_from_compressed_ms"]["1h"], ours["chart_from_aggregates_ms"]["1h"]
            ),
            "chart by hours, plain partitions over aggregates": _ratio(
                alike["chart_ms"]["1h"], ours["chart_from_aggregates_ms"]["1h"]
            ),
            "copy over arrays at 2000": _ratio(recorded["2000"]["copy"], recorded["2000"]["arrays"]),
        },
    )


if __name__ == "__main__":
    asyncio.run(bench())
