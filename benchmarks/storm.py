"""A storm everywhere at once, in one process: the time from the last reading handed in to the last finding out.

`climb`: a day of rain that takes every gauge through blue, yellow and orange to red, an hour a step; timed is each round
in which all of them change their level together. `burst`: every gauge is dry for a day, then one reading each of 100 mm.
Entries are decoded from their JSON, findings encoded into theirs.

    python -m benchmarks.storm climb|burst [--gauges 100000]
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np

from benchmarks.judging import PER_ENTRY, Outcome, Watch, encoded, peak_mib
from benchmarks.rain import START_US, catalogue, series_of
from services.rules.stations.judge import StationJudge
from tongluo import wire
from tongluo.finding import Level
from tongluo.readings import Readings

HOUR_US: Final = 3_600_000_000
# Hourly sums (mm): twelve hours to 50 mm (blue), six to 50 (yellow), three to 50 (orange), three to 100 (red).
CLIMB: Final = (*[4.3] * 12, *[9.0] * 6, 25.0, 25.0, 50.0)
BURST: Final = (*[0.0] * 24, 100.0)
COURSES: Final = {"climb": CLIMB, "burst": BURST}


def entries(gauges: int, hour: int, rain_mm: float) -> Iterator[bytes]:
    """One hour's readings of all gauges, each at a time of its own."""
    for start in range(0, gauges, PER_ENTRY):
        several = np.arange(start, min(start + PER_ENTRY, gauges))
        time_us = START_US + hour * HOUR_US + several * 1000
        series = tuple(series_of(gauge) for gauge in several.tolist())
        yield encoded(Readings(series, several - start, time_us, np.full(len(several), rain_mm)))  # type: ignore[arg-type]


def run(course: tuple[float, ...], gauges: int) -> Outcome:
    """Exits unless every gauge was told every level of the course, once."""
    judge = StationJudge(catalogue(), None)
    wall_s = cpu_s = 0.0
    detail = {"peak_mib_before": peak_mib()}
    told: Counter[Level] = Counter()
    for hour, rain_mm in enumerate(course):
        waiting, found, watch = list(entries(gauges, hour, rain_mm)), [], Watch()
        with watch:
            for one in waiting:
                findings = judge.judge(wire.READINGS.decode(one)).findings
                found += [wire.FINDING.encode(finding) for finding in findings]
        if found:
            wall_s, cpu_s = wall_s + watch.wall_s, cpu_s + watch.cpu_s
            level = _only_level(found)
            told[level] += len(found)
            detail[f"{level.value}_s"] = round(watch.wall_s, 3)
    if not told or any(number != gauges for number in told.values()):
        raise SystemExit(f"not every gauge went its way: {told}")
    # Only the rounds with findings are timed.
    return Outcome(gauges * len(told), wall_s, cpu_s, told.total(), 1.0, peak_mib(), detail)


def _only_level(found: list[bytes]) -> Level:
    levels = {wire.FINDING.decode(one).level for one in found}
    [level] = levels if len(levels) == 1 else [None]
    if level is None:
        raise SystemExit(f"gauges that get the same rain are told different levels: {levels}")
    return level


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("course", choices=COURSES)
    parser.add_argument("--gauges", type=int, default=100_000)
    given = parser.parse_args()
    print(msgspec.json.encode(run(COURSES[given.course], given.gauges)).decode())


if __name__ == "__main__":
    main()
