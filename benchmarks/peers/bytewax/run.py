"""Bytewax (Rust and Python): rain sums over five windows, its recovery store on.

`windows`: its sliding windows, which hop by five minutes, on its event clock; whatever sum is at one of the lines is told
at each window's end. `exact`: its stateful operator over deques, exact sums at every reading, each change of level told.
Levels are given up at once, without a release line: less than ours has to do.

    python run.py windows|exact FOLDER OUT [WARM]     FOLDER holds gauge.npy, time_us.npy, rain_mm.npy in order of time
"""

import json
import resource
import sys
import tempfile
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

import bytewax.operators as op
import bytewax.operators.windowing as win
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import run_main

HOUR_US = 3_600_000_000
WINDOWS_H = (1, 3, 6, 12, 24)
LINES_MM = {3: 50.0, 6: 50.0, 12: 50.0}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOP = timedelta(minutes=5)
# What its command line takes when a recovery store is named.
SNAPSHOT_EVERY = timedelta(seconds=10)
BATCH = 1000
notes: dict = {}


class Columns(FixedPartitionedSource):
    """Readings as (gauge, (time, thousandths of mm)); time is what the operator wants to have it as."""

    def __init__(self, folder: Path, warm_us: int, *, as_datetime: bool) -> None:
        self._of = folder, warm_us, as_datetime

    def list_parts(self) -> list:
        return ["rain"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "Part":
        return Part(*self._of, resume_state or 0)


class Part(StatefulSourcePartition):
    def __init__(self, folder: Path, warm_us: int, as_datetime: bool, at: int) -> None:
        gauge, time_us, rain = (np.load(folder / f"{name}.npy") for name in ("gauge", "time_us", "rain_mm"))
        times = (
            [EPOCH + timedelta(microseconds=t) for t in time_us.tolist()] if as_datetime else time_us.tolist()
        )
        amounts = np.rint(rain * 1000).astype(int).tolist()
        self._items = list(zip(map(str, gauge.tolist()), zip(times, amounts, strict=True), strict=True))
        self._warm = int(np.searchsorted(time_us, warm_us))
        notes["readings"] = len(self._items) - self._warm
        self._at = at

    def next_batch(self) -> list:
        if self._at >= self._warm and "wall_s" not in notes:
            notes["wall_s"], notes["cpu_s"] = perf_counter(), process_time()
        if self._at >= len(self._items):
            raise StopIteration
        batch = self._items[self._at : self._at + BATCH]
        self._at += len(batch)
        return batch

    def snapshot(self) -> int:
        return self._at


class Alarms(DynamicSink, StatelessSinkPartition):
    """Lines of a file."""

    def __init__(self, out: Path) -> None:
        self._file = out.open("w")

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "Alarms":
        return self

    def write_batch(self, items: list) -> None:
        self._file.writelines(items)

    def close(self) -> None:
        self._file.close()


class Exact(op.StatefulBatchLogic):
    """A gauge's wet readings, for each window where it begins and its sum, and the level last told."""

    def __init__(self, state: tuple | None) -> None:
        self.wet, self.sums, self.level = state or ([deque() for _ in WINDOWS_H], [0] * len(WINDOWS_H), 0)

    def on_batch(self, values: list) -> tuple:
        found = []
        for time, amount in values:
            for nth, hours in enumerate(WINDOWS_H):
                wet, gone = self.wet[nth], time - hours * HOUR_US
                while wet and wet[0][0] <= gone:
                    self.sums[nth] -= wet.popleft()[1]
                if amount:
                    wet.append((time, amount))
                    self.sums[nth] += amount
            _, h3, h6, h12, _ = self.sums
            level = (
                4
                if h3 >= 100_000
                else 3
                if h3 >= 50_000
                else 2
                if h6 >= 50_000
                else 1
                if h12 >= 50_000
                else 0
            )
            if level != self.level:
                self.level = level
                found.append((time, level))
        return found, False

    def snapshot(self) -> tuple:
        return [deque(one) for one in self.wet], list(self.sums), self.level


def exact(folder: Path, out: Path, warm_us: int) -> Dataflow:
    flow = Dataflow("exact")
    rain = op.input("rain", flow, Columns(folder, warm_us, as_datetime=False))
    levels = op.stateful_batch("levels", rain, Exact)
    op.output("out", op.map("text", levels, lambda one: f"{one[0]},{one[1][0]},{one[1][1]}\n"), Alarms(out))
    return flow


def windows(folder: Path, out: Path, warm_us: int) -> Dataflow:
    flow = Dataflow("windows")
    rain = op.input("rain", flow, Columns(folder, warm_us, as_datetime=True))
    clock = win.EventClock(lambda one: one[0], wait_for_system_duration=timedelta(minutes=1))
    alarms = []
    for hours in WINDOWS_H:
        windower = win.SlidingWindower(length=timedelta(hours=hours), offset=HOP, align_to=EPOCH)
        summed = win.fold_window(
            f"sum_{hours}h", rain, clock, windower, int, lambda total, one: total + one[1], lambda a, b: a + b
        )
        alarms.append(op.filter_map(f"line_{hours}h", summed.down, at_line(hours)))
    op.output("out", op.merge("all", *alarms), Alarms(out))
    return flow


def at_line(hours: int):
    def line(one: tuple) -> str | None:
        gauge, (window, total) = one
        if hours not in LINES_MM or total < LINES_MM[hours] * 1000:
            return None
        end_us = window * 300_000_000 + hours * HOUR_US
        return f"{gauge},{end_us},{hours},{total}\n"

    return line


def main() -> None:
    way, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    warm_us = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    flow = {"windows": windows, "exact": exact}[way](folder, out, warm_us)
    with tempfile.TemporaryDirectory(prefix="tongluo-bench-") as store:
        init_db_dir(Path(store), 1)
        run_main(flow, epoch_interval=SNAPSHOT_EVERY, recovery_config=RecoveryConfig(store))
        stored = sum(file.stat().st_size for file in Path(store).iterdir())
    print(json.dumps({
        "readings": notes["readings"], "wall_s": perf_counter() - notes["wall_s"],
        "cpu_s": process_time() - notes["cpu_s"],
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "stored_mib": stored / 2**20,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
