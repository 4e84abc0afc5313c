"""One process that judges rain, and says in one line of JSON what it took; `benchmarks.rules` starts one for each figure.

Ways: `arrays` and `lists` are entries of the log already decoded, as numpy columns and as a decoder leaves them;
`entries` decodes each entry from its JSON first. Durable, it also writes what it finds, and a snapshot of all state now
and then and at the end, to files that are on the disk before it goes on. Before the clock runs, a day of rain fills the
longest window.

    python -m benchmarks.judging WAY [--gauges 10000] [--readings 1000000] [--wet] [--durable] [--snapshot-every 1000000]
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

import msgspec
import numpy as np

from benchmarks.rain import Rain, Round, catalogue, series_of
from services.rules.stations.judge import Judgement, StationJudge
from tongluo import wire
from tongluo.readings import Readings, Series

# As ingest cuts them.
PER_ENTRY: Final = 1000
# What a consumer is given at most between two commits.
ENTRIES_PER_COMMIT: Final = 200
DAY_ROUNDS: Final = 290
WAYS: Final = ("arrays", "lists", "entries")


class Outcome(msgspec.Struct, frozen=True):
    """What a process did. `cpu_s` is its own processor time over the same stretches as `wall_s`: other programs on the
    machine take from the one, hardly from the other."""

    readings: int
    wall_s: float
    cpu_s: float
    findings: int
    wet_share: float
    peak_mib: float
    detail: dict[str, float] = {}


class Watch:
    """Sums up stretches of time."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0

    def __enter__(self) -> None:
        self._wall_s, self._cpu_s = perf_counter(), process_time()

    def __exit__(self, *_: object) -> None:
        self.wall_s += perf_counter() - self._wall_s
        self.cpu_s += process_time() - self._cpu_s


class Entries:
    """Rounds of rain as entries of the log; each names the series that it holds, as ingest's do."""

    def __init__(self, rain: Rain, gauges: int) -> None:
        self._rain = rain
        self._every = [series_of(gauge) for gauge in range(gauges)]
        self._known: dict[bytes, tuple[Series, ...]] = {}
        self._together = max(1, PER_ENTRY // gauges)

    def some(self) -> Iterator[Readings]:
        """Those of one round, or of several where a round is less than an entry."""
        several = [self._rain.round() for _ in range(self._together)]
        whole = Round(*(np.concatenate(columns) for columns in zip(*several, strict=True)))
        for start in range(0, len(whole.gauge), PER_ENTRY):
            yield self.entry(Round(*(column[start : start + PER_ENTRY] for column in whole)))

    def entry(self, part: Round) -> Readings:
        key = part.gauge.tobytes()
        if key not in self._known:
            self._known[key] = tuple(self._every[gauge] for gauge in dict.fromkeys(part.gauge.tolist()))
        series = self._known[key]
        which = np.arange(len(part.gauge)) % len(series)
        return Readings(series, which, part.time_us, part.rain_mm)  # type: ignore[arg-type]


def as_lists(entry: Readings) -> Readings:
    """As a decoder leaves it."""
    columns = (np.asarray(column).tolist() for column in (entry.which, entry.time_us, entry.value))
    return Readings(entry.series, *columns)


def encoded(entry: Readings) -> bytes:
    return wire.READINGS.encode(as_lists(entry))


def warm(judge: StationJudge, rain: Rain, gauges: int) -> None:
    """A day, a round a call; the first in order of the gauges' numbers, so that later rounds go about memory at random."""
    every = tuple(series_of(gauge) for gauge in range(gauges))
    for nth in range(DAY_ROUNDS):
        gauge, times, values = rain.round()
        if nth == 0:
            order = np.argsort(gauge)
            gauge, times, values = gauge[order], times[order], values[order]
        judge.judge(Readings(every, gauge, times, values))  # type: ignore[arg-type]


class Durable:
    """Findings and snapshots on the disk, as far as a log would have to put them there."""

    def __init__(self, judge: StationJudge, folder: Path, snapshot_every: int) -> None:
        self._judge, self._folder, self._every = judge, folder, snapshot_every
        self._findings = (folder / "findings").open("ab")
        self._owed = self._since = self._entries = 0
        self.snapshots, self.snapshot_bytes, self.snapshot_s = 0, 0, 0.0

    def take(self, told: Judgement, readings: int) -> None:
        for finding in told.findings:
            self._findings.write(wire.FINDING.encode(finding))
        self._owed += len(told.findings)
        self._entries += 1
        self._since += readings
        if self._entries % ENTRIES_PER_COMMIT == 0:
            self._commit()
        if self._since >= self._every:
            self._snapshot()

    def _commit(self) -> None:
        if self._owed:
            self._findings.flush()
            os.fsync(self._findings.fileno())
            self._owed = 0

    def _snapshot(self) -> None:
        self._commit()
        began_s = perf_counter()
        packed = self._judge.pack()
        with (self._folder / "next").open("wb") as file:
            file.write(packed)
            file.flush()
            os.fsync(file.fileno())
        (self._folder / "next").replace(self._folder / "snapshot")
        self._since = 0
        self.snapshots += 1
        self.snapshot_bytes = len(packed)
        self.snapshot_s += perf_counter() - began_s

    def close(self) -> dict[str, float]:
        self._snapshot()
        self._findings.close()
        return {
            "snapshots": self.snapshots,
            "snapshot_mib": round(self.snapshot_bytes / 2**20, 1),
            "snapshot_s": round(self.snapshot_s / self.snapshots, 3),
        }


def run(way: str, gauges: int, readings: int, snapshot_every: int, rain: Rain) -> Outcome:
    """Judge so many readings one way; `snapshot_every` 0: nothing is kept."""
    judge = StationJudge(catalogue(), None)
    warm(judge, rain, gauges)
    entries, watch, found, done = Entries(rain, gauges), Watch(), 0, 0
    detail: dict[str, float] = {"peak_mib_before": peak_mib()}
    with tempfile.TemporaryDirectory(prefix="tongluo-bench-") as folder:
        durable = Durable(judge, Path(folder), snapshot_every) if snapshot_every else None
        while done < readings:
            given = [_given(way)(entry) for entry in entries.some()]
            with watch:
                for one in given:
                    entry = one if isinstance(one, Readings) else wire.READINGS.decode(one)
                    told = judge.judge(entry)
                    found += len(told.findings)
                    done += len(entry)
                    if durable is not None:
                        durable.take(told, len(entry))
        if durable is not None:
            with watch:
                detail |= durable.close()
    return Outcome(done, watch.wall_s, watch.cpu_s, found, rain.wet_share, peak_mib(), detail)


def _given(way: str) -> Callable[[Readings], Readings | bytes]:
    match way:
        case "arrays":
            return lambda entry: entry
        case "lists":
            return as_lists
        case _:
            return encoded


def peak_mib() -> float:
    """The most memory this process has had resident."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--gauges", type=int, default=10_000)
    parser.add_argument("--readings", type=int, default=1_000_000)
    parser.add_argument("--wet", action="store_true", help="every interval of every gauge")
    parser.add_argument("--durable", action="store_true")
    parser.add_argument("--snapshot-every", type=int, default=1_000_000, help="readings")
    given = parser.parse_args()
    rain = Rain(given.gauges, wet=given.wet)
    outcome = run(given.way, given.gauges, given.readings, given.snapshot_every if given.durable else 0, rain)
    print(msgspec.json.encode(outcome).decode())


if __name__ == "__main__":
    main()
