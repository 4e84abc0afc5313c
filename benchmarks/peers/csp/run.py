"""csp (C++ with Python at the edges): exact sliding sums of every gauge by `csp.stats`, their levels, each change told.

It keeps nothing over a restart. Levels are given up at once, without a release line: less than ours has to do.

    python run.py FOLDER OUT [WARM]     FOLDER holds gauge.npy, time_us.npy, rain_mm.npy in order of time
"""

import json
import resource
import sys
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

import csp
import numpy as np
from csp import stats, ts

WINDOWS_H = (1, 3, 6, 12, 24)


@csp.node  # noqa: RET503  (where nothing is returned, nothing ticks)
def changed(h1: ts[float], h3: ts[float], h6: ts[float], h12: ts[float], h24: ts[float]) -> ts[int]:
    """The level of one gauge whenever it is another one. Half a hundredth of a millimetre is what floats may drift."""
    with csp.state():
        s_told = 0
    if csp.ticked(h24):
        if h3 >= 99.995:
            level = 4
        elif h3 >= 49.995:
            level = 3
        elif h6 >= 49.995:
            level = 2
        else:
            level = 1 if h12 >= 49.995 else 0
        if level != s_told:
            s_told = level
            return level


@csp.node
def clock(begins: ts[bool], notes: dict):
    """Notes when it is time to measure."""
    if csp.ticked(begins):
        notes["wall_s"], notes["cpu_s"] = perf_counter(), process_time()


@csp.graph
def county(columns: object, warm: datetime, notes: dict):
    clock(csp.curve(bool, [(warm, True)]), notes)
    for gauge, (times, values) in columns.items():
        rain = csp.curve(float, (times, values))
        sums = [stats.sum(rain, timedelta(hours=h), timedelta(0)) for h in WINDOWS_H]
        csp.add_graph_output(gauge, changed(*sums))


def by_gauge(folder: Path) -> dict:
    gauge, time_us, rain = (np.load(folder / f"{name}.npy") for name in ("gauge", "time_us", "rain_mm"))
    order = np.argsort(gauge, kind="stable")
    edges = np.flatnonzero(np.diff(gauge[order])) + 1
    times = time_us[order].astype("datetime64[us]").astype("datetime64[ns]")
    parts = zip(np.split(times, edges), np.split(rain[order], edges), strict=True)
    return dict(zip(np.unique(gauge).tolist(), parts, strict=True))


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    time_us = np.load(folder / "time_us.npy")
    warm_us = int(sys.argv[3]) if len(sys.argv) > 3 else int(time_us[0])
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001  (its times are naive, and UTC)
    first, warm, last = (epoch + timedelta(microseconds=int(t)) for t in (time_us[0], warm_us, time_us[-1]))
    columns, notes = by_gauge(folder), {}
    found = csp.run(county, columns, warm, notes, starttime=min(first, warm), endtime=last)
    wall_s, cpu_s = perf_counter() - notes["wall_s"], process_time() - notes["cpu_s"]
    with out.open("w") as file:
        for gauge, changes in found.items():
            for time, level in changes:
                file.write(f"{gauge},{(time - epoch) // timedelta(microseconds=1)},{level}\n")
    print(json.dumps({
        "readings": int((time_us >= warm_us).sum()), "wall_s": wall_s, "cpu_s": cpu_s,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
