"""PyFlink (Java, its SQL written in Python): rain sums over five windows, checkpoints to the disk on.

`windows`: HOP table functions of five minutes, one for each window; whatever sum is at one of the lines is told at each
window's end. `exact`: five OVER aggregates one behind the other, exact sums at every reading, each reading at a line told.
Readings come from a file of comma-separated values, its quickest ordinary source; levels are given up at once, without a
release line: less than ours has to do. A first job takes what comes before WARM, a second one everything: the difference
between them is what is measured, so that neither the start of the job nor that of the machine counts.

    python run.py windows|exact FOLDER OUT [WARM]     FOLDER holds gauge.npy, time_us.npy, rain_mm.npy in order of time
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from pyflink.table import EnvironmentSettings, TableEnvironment

HOUR_US = 3_600_000_000
WINDOWS_H = (1, 3, 6, 12, 24)
LINES_MM = {3: 50.0, 6: 50.0, 12: 50.0}
CHECKPOINT_EVERY = "10 s"

SOURCE = """CREATE TABLE {name} (gauge INT, time_us BIGINT, um BIGINT, ts AS TO_TIMESTAMP_LTZ(time_us / 1000, 3),
    WATERMARK FOR ts AS ts - INTERVAL '60' SECOND) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv')"""
SINK = """CREATE TABLE {name} (gauge INT, told_us BIGINT, what INT, um BIGINT)
    WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv')"""
HOP = """SELECT gauge, 1000000 * CAST(TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', window_end) AS BIGINT) AS told_us,
    {hours} AS what, SUM(um) AS um
    FROM TABLE(HOP(TABLE {source}, DESCRIPTOR(ts), INTERVAL '5' MINUTES, INTERVAL '{hours}' HOURS))
    GROUP BY gauge, window_start, window_end HAVING SUM(um) >= {line}"""
OVER = """SELECT *, SUM(um) OVER (PARTITION BY gauge ORDER BY ts RANGE BETWEEN INTERVAL '0 {until}:59:59.999' DAY TO SECOND(3)
    PRECEDING AND CURRENT ROW) AS h{hours} FROM ({of})"""


def tables(place: Path) -> TableEnvironment:
    environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    config = environment.get_config()
    config.set("parallelism.default", "1")
    config.set("table.local-time-zone", "UTC")
    config.set("execution.checkpointing.interval", CHECKPOINT_EVERY)
    config.set("execution.checkpointing.dir", f"file://{place}")
    return environment


def query(way: str, source: str) -> str:
    if way == "windows":
        parts = [
            HOP.format(source=source, hours=hours, line=int(LINES_MM.get(hours, 1e9) * 1000))
            for hours in WINDOWS_H
        ]
        return " UNION ALL ".join(parts)
    of = f"SELECT gauge, time_us, um, ts FROM {source}"
    for hours in WINDOWS_H:
        of = OVER.format(until=hours - 1, hours=hours, of=of)
    level = "CASE WHEN h3 >= 100000 THEN 4 WHEN h3 >= 50000 THEN 3 WHEN h6 >= 50000 THEN 2 WHEN h12 >= 50000 THEN 1 ELSE 0 END"
    levels = f"SELECT gauge, time_us AS told_us, {level} AS what, h1 + h24 AS um FROM ({of})"
    return f"SELECT * FROM ({levels}) WHERE what > 0 OR um < 0"


def job(environment: TableEnvironment, way: str, name: str, of: Path, out: Path) -> float:
    """Seconds of one job."""
    environment.execute_sql(SOURCE.format(name=f"{name}_in", path=of))
    environment.execute_sql(SINK.format(name=f"{name}_out", path=out))
    began_s = perf_counter()
    environment.execute_sql(f"INSERT INTO {name}_out {query(way, f'{name}_in')}").wait()
    return perf_counter() - began_s


def java() -> Path:
    """What the system knows of our Java."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "stat").read_text().rsplit(")", 1)[1].split()[1] == str(os.getpid()):
                return entry
        except OSError:
            continue
    raise SystemExit("no Java was started")


def cpu_s(process: Path) -> float:
    words = (process / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(process: Path) -> float:
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    way, folder, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    columns = [np.load(folder / f"{name}.npy") for name in ("gauge", "time_us", "rain_mm")]
    rows = np.stack([columns[0], columns[1], np.rint(columns[2] * 1000).astype(np.int64)], axis=1)
    warm = int(np.searchsorted(columns[1], int(sys.argv[4]))) if len(sys.argv) > 4 else 0
    with tempfile.TemporaryDirectory(prefix="tongluo-bench-") as place:
        for name, part in (("warm", rows[: max(warm, 1)]), ("all", rows)):
            np.savetxt(Path(place) / f"{name}.csv", part, fmt="%d", delimiter=",")
        environment = tables(Path(place) / "checkpoints")
        process = java()
        warm_s = job(environment, way, "warm", Path(place) / "warm.csv", Path(place) / "out-warm")
        before_s = cpu_s(process)
        warm_s = job(environment, way, "again", Path(place) / "warm.csv", Path(place) / "out-again")
        between_s = cpu_s(process)
        all_s = job(environment, way, "whole", Path(place) / "all.csv", Path(place) / "out-all")
        after_s = cpu_s(process)
        with out.open("w") as file:
            for part in sorted((Path(place) / "out-all").glob("part-*")):
                shutil.copyfileobj(part.open(), file)
    print(json.dumps({
        "readings": len(rows) - warm, "wall_s": all_s - warm_s, "cpu_s": (after_s - between_s) - (between_s - before_s),
        "peak_mib": peak_mib(process), "job_s": all_s,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
