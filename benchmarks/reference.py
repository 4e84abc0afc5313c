"""What every engine must find in the same rain: slow, obvious, and of nobody's making but this file's.

Two kinds of windows. Exact ones are (t - span, t] at every reading; hopping ones [end - span, end), with an end every five
minutes. Levels here have no release line: a gauge is at the highest line that its sums are at.
"""

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.judging import as_lists
from benchmarks.rain import EVERY_S, LINES, WINDOWS_H, catalogue, series_of
from services.rules.stations.judge import StationJudge
from tongluo.finding import Level, rank
from tongluo.readings import Readings, microseconds

HOUR_US: Final = 3_600_000_000
_RANKED: Final = [(rank(Level(level)), hours, round(mm * 1000)) for level, hours, mm in LINES]

# (gauge, time, rank of the level from then on), each other than the one before.
Changes = list[tuple[int, int, int]]
# (gauge, end of the window, its hours, thousandths of a millimetre).
Hops = list[tuple[int, int, int, int]]


def columns(folder: Path) -> list[tuple[int, int, int]]:
    """Readings in order of time: gauge, time, thousandths of a millimetre."""
    gauge, time_us, rain = (np.load(folder / f"{name}.npy") for name in ("gauge", "time_us", "rain_mm"))
    return list(zip(gauge.tolist(), time_us.tolist(), np.rint(rain * 1000).astype(int).tolist(), strict=True))


def exact(readings: Iterable[tuple[int, int, int]]) -> Changes:
    """By a deque for each gauge and window."""
    held: dict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)
    levels: list[tuple[int, int, int]] = []
    for gauge, time, amount in readings:
        sums = {}
        for hours in WINDOWS_H:
            window = held[gauge, hours]
            window.append((time, amount))
            while window[0][0] <= time - hours * HOUR_US:
                window.popleft()
            sums[hours] = sum(one for _, one in window)
        levels.append((gauge, time, max((r for r, hours, line in _RANKED if sums[hours] >= line), default=0)))
    return changes(levels)


def changes(levels: Iterable[tuple[int, int, int]]) -> Changes:
    """Of levels at every reading, those that are others than before."""
    last: dict[int, int] = {}
    found = []
    for gauge, time, level in levels:
        if level != last.get(gauge, 0):
            last[gauge] = level
            found.append((gauge, time, level))
    return sorted(found)


def hopping(readings: Iterable[tuple[int, int, int]]) -> Hops:
    """By adding up the five minutes of each window."""
    hop_us = EVERY_S * 1_000_000
    steps: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for gauge, time, amount in readings:
        steps[gauge][time // hop_us] += amount
    found = []
    for hours in sorted({hours for _, hours, _ in _RANKED}):
        least = min(line for _, of, line in _RANKED if of == hours)
        length = hours * HOUR_US // hop_us
        for gauge, amounts in steps.items():
            for end in range(min(amounts) + 1, max(amounts) + length + 1):
                total = sum(amounts.get(step, 0) for step in range(end - length, end))
                if total >= least:
                    found.append((gauge, end * hop_us, hours, total))
    return sorted(found)


def ours(readings: list[tuple[int, int, int]], per_entry: int = 1000) -> Changes:
    """What the judgement finds, its findings between two readings told at the later one, as the others can only do."""
    judge = StationJudge(catalogue(release_ratio=1.0, release_after="0s"), None)
    course: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for start in range(0, len(readings), per_entry):
        for finding in judge.judge(_entry(readings[start : start + per_entry])).findings:
            gauge = int(finding.site.removeprefix("S-"))
            course[gauge].append((microseconds(finding.time), rank(finding.level)))
    return changes(_sampled(course, readings))


def _entry(part: list[tuple[int, int, int]]) -> Readings:
    index = {gauge: nth for nth, gauge in enumerate(dict.fromkeys(gauge for gauge, _, _ in part))}
    which, times, amounts = zip(
        *((index[gauge], time, amount / 1000) for gauge, time, amount in part), strict=True
    )
    return as_lists(Readings(tuple(series_of(gauge) for gauge in index), which, times, amounts))  # type: ignore[arg-type]


def _sampled(
    course: dict[int, list[tuple[int, int]]], readings: Iterable[tuple[int, int, int]]
) -> Iterator[tuple[int, int, int]]:
    for gauge, time, _ in readings:
        last = bisect_right(course[gauge], (time, 9)) - 1
        yield gauge, time, course[gauge][last][1] if last >= 0 else 0


def told(file: Path) -> list[tuple[int, ...]]:
    """What a peer has written, a line each."""
    return sorted(tuple(map(int, line.split(","))) for line in file.read_text().splitlines())


def levels_of_lines(lines: Iterable[tuple[int, ...]], readings: Iterable[tuple[int, int, int]]) -> Changes:
    """Where a peer tells every reading that is at a line, the changes that follow."""
    at = {(gauge, time): level for gauge, time, level, *_ in lines}
    return changes((gauge, time, at.get((gauge, time), 0)) for gauge, time, _ in readings)
