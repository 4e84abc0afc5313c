"""Readings judged a second on one core, beside stream engines that do the same windows and lines; a storm everywhere.

Rain every five minutes at 10,000 gauges of 10,000 sites, sums over 1, 3, 6, 12 and 24 hours, four levels. Each figure is
a process of its own; runs are interleaved. First every engine must find in the same rain what a slow reference finds.

Rates are given twice: by the clock on the wall, and by the processor time of the process (`per_cpu_s`), which is what one
core alone would give and what other programs on the machine hardly touch. Ratios compare us with durable state and
readings already decoded (lists), as the peers have them.

    python -m benchmarks.rules [--readings 1000000] [--runs 3] [--no-peers]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.engines import ENGINES, Engine, agreement
from benchmarks.judging import DAY_ROUNDS, Outcome
from benchmarks.machine import closing_line, spread
from benchmarks.rain import Rain, written

SIZES: Final = (100, 1_000, 10_000, 100_000)
JUDGED: Final = "judged, columns as arrays, 10,000 gauges"
LIKE_PEERS: Final = "judged, columns as lists, durable, 10,000 gauges"
DECODED: Final = "decoded from JSON and judged, 10,000 gauges"
STORMS: Final = ("climb", "burst")
AIMS: Final = {
    "judged_per_s": 1_000_000,
    "decoded_and_judged_per_s": 400_000,
    "peak_mib": 500,
    "times_the_fastest_peer": 10,
}

Measured = dict[str, list[Outcome]]


def figures(readings: int) -> dict[str, list[str]]:
    """By name, the words to benchmarks.judging."""
    number = ["--readings", str(readings)]
    found = {
        JUDGED: ["arrays", *number],
        "judged, columns as lists, 10,000 gauges": ["lists", *number],
        DECODED: ["entries", *number],
        LIKE_PEERS: ["lists", "--durable", *number],
        "decoded, judged, durable, 10,000 gauges": ["entries", "--durable", *number],
        "judged, columns as arrays, 10,000 gauges, all wet": ["arrays", "--wet", *number],
    }
    for gauges in SIZES:
        found.setdefault(
            f"judged, columns as arrays, {gauges:,} gauges", ["arrays", "--gauges", str(gauges), *number]
        )
    return found


def ours(module: str, words: list[str]) -> Outcome:
    """One process of ours."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()[-1000:]}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Outcome)


def theirs(engine: Engine, folder: Path) -> Outcome:
    """One process of a peer, on rain that is written when it is first wanted."""
    rain = folder / f"rain-{engine.gauges}-{engine.rounds}"
    if not rain.exists():
        rain.mkdir()
        written(rain, Rain(engine.gauges), DAY_ROUNDS + engine.rounds)
    took = engine.run(rain, folder / "told")
    lines = len((folder / "told").read_text().splitlines())
    return Outcome(took["readings"], took["wall_s"], took["cpu_s"], lines, 0.0, round(took["peak_mib"], 1))


def _say(name: str, one: Outcome) -> None:
    print(
        f"{name}: {one.readings / one.wall_s:,.0f} readings/s by the clock, {one.readings / one.cpu_s:,.0f} by processor time; "
        f"{one.findings:,} findings, {one.peak_mib:,.0f} MiB {one.detail or ''} (load {os.getloadavg()[0]:.1f})",
        flush=True,
    )


def bench(readings: int, runs: int, peers: bool) -> None:
    load_before = os.getloadavg()[0]
    gone = {e.name: why for e in ENGINES if (why := e.missing() if peers else "not asked for")}
    for name, why in gone.items():
        print(f"missing: {name}: {why}", flush=True)
    engines = [engine for engine in ENGINES if engine.name not in gone]
    measured: Measured = {}

    def note(name: str, one: Outcome) -> None:
        measured.setdefault(name, []).append(one)
        _say(name, one)

    with tempfile.TemporaryDirectory(prefix="tongluo-bench-") as place:
        folder = Path(place)
        (folder / "same").mkdir()
        right = agreement(folder / "same", engines)
        print(f"the same rain: {right}", flush=True)
        if not all(right.agree.values()):
            raise SystemExit("not all engines find what the reference finds")
        for name, why in right.failed.items():
            print(f"failed: {name}: {why}", flush=True)
        gone |= right.failed
        engines = [engine for engine in engines if engine.name not in gone]
        # What is compiled once for good is not compiled within a figure.
        ours("judging", ["arrays", "--gauges", "100", "--readings", "1000"])
        for _ in range(runs):
            for name, words in figures(readings).items():
                note(name, ours("judging", words))
            for engine in engines:
                try:
                    note(engine.name, theirs(engine, folder))
                except RuntimeError as error:
                    gone[engine.name] = str(error)
                    print(f"failed: {error}", flush=True)
            for course in STORMS:
                note(f"storm, {course}", ours("storm", [course]))
    _close(measured, engines, gone, right, load_before)


def _close(
    measured: Measured, engines: list[Engine], gone: dict[str, str], right: Any, load_before: float
) -> None:
    names = {engine.name: engine for engine in engines if engine.name in measured}
    clock = {
        name: statistics.median(o.readings / o.wall_s for o in several) for name, several in measured.items()
    }
    core = {
        name: statistics.median(o.readings / o.cpu_s for o in several) for name, several in measured.items()
    }
    closing_line(
        name="readings_judged_per_second_one_process",
        value=round(clock[JUDGED]),
        unit="1/s",
        spread=spread([one.readings / one.wall_s for one in measured[JUDGED]]),
        ours={name: _figure(several) for name, several in measured.items() if name not in names},
        ns_of_processor_per_reading={
            f"{gauges} gauges": round(1e9 / core[f"judged, columns as arrays, {gauges:,} gauges"]) for gauges in SIZES
        },
        aims=AIMS,
        same_rain=msgspec.to_builtins(right),
        peers={
            name: {
                "durable": engine.durable, "gauges": engine.gauges, "readings": measured[name][0].readings,
                **_figure(measured[name]),
            }
            for name, engine in names.items()
        },
        missing=gone,
        ratios={
            f"tongluo over {name}": {
                "by_the_clock": round(clock[LIKE_PEERS] / clock[name], 1),
                "per_cpu_s": round(core[LIKE_PEERS] / core[name], 1),
            }
            for name in names
        },
        wet_share=round(measured[JUDGED][0].wet_share, 3),
        load_average={"before": load_before, "after": os.getloadavg()[0]},
    )  # fmt: skip


def _figure(several: list[Outcome]) -> dict[str, Any]:
    details = {key for one in several for key in one.detail}
    return {
        "readings_per_s": spread([one.readings / one.wall_s for one in several]),
        "per_cpu_s": spread([one.readings / one.cpu_s for one in several]),
        "findings": several[0].findings,
        "peak_mib": max(one.peak_mib for one in several),
        **{key: spread([one.detail[key] for one in several]) for key in sorted(details)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given = os.environ.get
    parser.add_argument(
        "--readings", type=int, default=int(given("BENCH_READINGS", "1000000")), help="of ours, a figure"
    )
    parser.add_argument("--runs", type=int, default=int(given("BENCH_RUNS", "3")))
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    bench(arguments.readings, arguments.runs, not arguments.no_peers)


if __name__ == "__main__":
    main()
