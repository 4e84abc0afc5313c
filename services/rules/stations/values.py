"""Windows over values that are not summed up (displacement, depth, level, battery): the compiled kernel.

Each line is judged at each reading: an indicator of the readings in (t - span, t], confirmed by n of the last m readings
and held for a time, given up after a time of calm beyond its release line. Behind-time readings as in sums.py.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.rules.stations import memory
from services.rules.stations.compiled import compiled
from services.rules.stations.memory import Rings
from services.rules.stations.state import HELD, HOUR_US, NEWEST, PENDING, TAIL, Batch
from services.rules.stations.told import (
    DONE,
    FULL,
    LIVE,
    NEWER,
    NOT_HELD,
    OLDER,
    ROOM,
    STEADY,
    Floats,
    Ints,
    Sheet,
    Told,
    write,
)

# What is computed of a window.
LAST: Final = 0
SUM: Final = 1
MAX: Final = 2
MEAN: Final = 3
COUNT_OF: Final = 4
CHANGE: Final = 5
RATE: Final = 6
SLOPE: Final = 7
ACCELERATION: Final = 8
SINCE: Final = 9

# A station's state beyond what sums.py begins with: the first entry of the longest window, then three words a line: its
# trigger, whether it was crossed at the last readings (a bit each), since when without a break.
HEAD: Final = 4
LINES: Final = 5


class Layout(NamedTuple):
    """What the rules ask. Indicators j: `function`, `span` (microseconds), `scale`, `divide` (which parameter, -1: none),
    `angle`. Lines c: `indicator`, `rule`, `level`, `side` (1 above, -1 below), `after`, `hold` (microseconds), `n` of `m`.
    `longest` of the spans."""

    lateness: int
    longest: int
    function: Ints
    span: Ints
    scale: Floats
    divide: Ints
    angle: Ints
    indicator: Ints
    rule: Ints
    level: Ints
    side: Floats
    after: Ints
    hold: Ints
    n: Ints
    m: Ints
    rules: int


class Columns(NamedTuple):
    """As in sums.py; `parameter` of each station by place (NaN where it has none); `now` for what each indicator is."""

    state: NDArray[np.int64]
    told: NDArray[np.int64]
    profile: Ints
    parameter: Floats
    reach: Floats
    release: Floats
    now: Floats


@compiled
def judge(
    layout: Layout, columns: Columns, rings: Rings, batch: Batch, start: int, out: Sheet
) -> tuple[int, int]:
    """Judge readings from `start` on; returns up to which, and why no further."""
    for nth in range(start, len(batch.row)):
        if out.number[0] + 8 * layout.rules > len(out.ints):
            return nth, FULL
        row = batch.row[nth]
        live = columns.state[row, LIVE]
        first = columns.state[row, OLDER, HEAD]
        if live[TAIL] - first > rings.mask[row]:
            return nth, ROOM
        if batch.time[nth] > live[NEWEST]:
            _next(layout, columns, rings, batch, nth, out)
        else:
            _late(layout, columns, rings, batch, nth, first, out)
    return len(batch.row), DONE


@compiled
def _next(layout: Layout, columns: Columns, rings: Rings, batch: Batch, nth: int, out: Sheet) -> None:
    row, time = batch.row[nth], batch.time[nth]
    live = columns.state[row, LIVE]
    if live[NEWEST] >= columns.state[row, NEWER, NEWEST] + layout.lateness:
        memory.copy_slot(columns.state, row, NEWER, OLDER)
        memory.copy_slot(columns.state, row, LIVE, NEWER)
    memory.put(rings, row, live[TAIL], time, batch.amount[nth])
    _take(layout, rings, row, live)
    if batch.backfill[nth] != 0:
        live[PENDING] = 1
        return
    live[PENDING] = 0
    _weigh(layout, columns, rings, row, False)
    _tell(layout, columns, rings, row, time, 0, nth, out)


@compiled
def _take(layout: Layout, rings: Rings, row: int, live: Ints) -> None:
    """The entry at the tail becomes the newest."""
    base, mask = rings.offset[row], rings.mask[row]
    time = rings.times[base + (live[TAIL] & mask)]
    live[TAIL] += 1
    live[NEWEST] = time
    while rings.times[base + (live[HEAD] & mask)] <= time - layout.longest and live[HEAD] < live[TAIL] - 1:
        live[HEAD] += 1


@compiled
def value(layout: Layout, columns: Columns, rings: Rings, row: int, live: Ints, j: int) -> float:
    """An indicator at the newest reading of a state; NaN where there is none."""
    found = layout.scale[j] * _function(layout, rings, row, live, j)
    if layout.divide[j] >= 0:
        found /= columns.parameter[row, layout.divide[j]]
    if layout.angle[j] != 0:
        found = math.degrees(math.atan(found))
    return found


@compiled
def _function(layout: Layout, rings: Rings, row: int, live: Ints, j: int) -> float:
    base, mask, last = rings.offset[row], rings.mask[row], live[TAIL] - 1
    function, span = layout.function[j], layout.span[j]
    if function == LAST:
        return rings.values[base + (last & mask)]
    time, first = rings.times[base + (last & mask)], last
    while first > live[HEAD] and rings.times[base + ((first - 1) & mask)] > time - span:
        first -= 1
    if function == SLOPE:
        found = _slope(rings, row, first, last)
    elif function == ACCELERATION:
        found = _acceleration(rings, row, first, last, span)
    elif function == COUNT_OF:
        found = float(last - first + 1)
    elif function in (CHANGE, RATE):
        found = _change(rings, row, first, last, function == RATE)
    elif function == SINCE:
        found = _since(rings, row, first, last)
    else:
        found = _whole(rings, row, first, last, function)
    return found


@compiled
def _whole(rings: Rings, row: int, first: int, last: int, function: int) -> float:
    """SUM, MEAN or MAX of entries `first` to `last`."""
    base, mask = rings.offset[row], rings.mask[row]
    total, most = 0.0, -math.inf
    for nth in range(first, last + 1):
        one = rings.values[base + (nth & mask)]
        total += one
        most = max(most, one)
    if function == MAX:
        return most
    return total if function == SUM else total / (last - first + 1)


@compiled
def _since(rings: Rings, row: int, first: int, last: int) -> float:
    """Hours from the newest entry other than zero to the last one."""
    base, mask = rings.offset[row], rings.mask[row]
    for nth in range(last, first - 1, -1):
        if rings.values[base + (nth & mask)] != 0:
            return (rings.times[base + (last & mask)] - rings.times[base + (nth & mask)]) / HOUR_US
    return math.nan


@compiled
def _change(rings: Rings, row: int, first: int, last: int, rate: bool) -> float:
    base, mask = rings.offset[row], rings.mask[row]
    change = rings.values[base + (last & mask)] - rings.values[base + (first & mask)]
    if not rate:
        return change
    hours = (rings.times[base + (last & mask)] - rings.times[base + (first & mask)]) / HOUR_US
    return change / hours if hours > 0 else math.nan


@compiled
def _acceleration(rings: Rings, row: int, first: int, last: int, span: int) -> float:
    """How much steeper the later half of the span is than the earlier one, by the time between their middles."""
    base, mask = rings.offset[row], rings.mask[row]
    half = rings.times[base + (last & mask)] - span // 2
    middle = first
    while middle < last and rings.times[base + (middle & mask)] <= half:
        middle += 1
    change = _slope(rings, row, middle, last) - _slope(rings, row, first, middle - 1)
    return change / (span / 2 / HOUR_US)


@compiled
def _slope(rings: Rings, row: int, first: int, last: int) -> float:
    """Least squares over entries `first` to `last`, per hour; NaN with fewer than three."""
    count = last - first + 1
    if count < 3:
        return math.nan
    base, mask = rings.offset[row], rings.mask[row]
    # Both counted from the first entry, so that no digits are lost.
    start, level = rings.times[base + (first & mask)], rings.values[base + (first & mask)]
    hours, values = 0.0, 0.0
    for nth in range(first, last + 1):
        hours += (rings.times[base + (nth & mask)] - start) / HOUR_US
        values += rings.values[base + (nth & mask)] - level
    hours /= count
    values /= count
    up, below = 0.0, 0.0
    for nth in range(first, last + 1):
        x = (rings.times[base + (nth & mask)] - start) / HOUR_US - hours
        up += x * (rings.values[base + (nth & mask)] - level - values)
        below += x * x
    return up / below


@compiled
def _weigh(layout: Layout, columns: Columns, rings: Rings, row: int, again: bool) -> None:
    """Bring every line to the newest reading; `again`: it was judged before, by fewer readings."""
    live = columns.state[row, LIVE]
    profile, time = columns.profile[row], live[NEWEST]
    for j in range(len(layout.function)):
        columns.now[j] = value(layout, columns, rings, row, live, j)
    for c in range(len(layout.rule)):
        now = columns.now[layout.indicator[c]]
        if not math.isnan(now):
            side = layout.side[c]
            at = LINES + 3 * c
            hit = side * now >= side * columns.reach[profile, c]
            _count_hit(live, at, hit, time, layout.m[c], again)
            confirmed = hit and _bits(live[at + 1]) >= layout.n[c] and time - live[at + 2] >= layout.hold[c]
            kept = side * now >= side * columns.release[profile, c]
            _trigger(live, at, confirmed, hit or kept, time, layout.after[c])


@compiled
def _count_hit(live: Ints, at: int, hit: bool, time: int, m: int, again: bool) -> None:
    bits = live[at + 1] if not again else live[at + 1] >> 1
    live[at + 1] = ((bits << 1) | (1 if hit else 0)) & ((1 << m) - 1)
    if not hit:
        live[at + 2] = NOT_HELD
    elif live[at + 2] == NOT_HELD:
        live[at + 2] = time


@compiled
def _bits(word: int) -> int:
    count = 0
    while word:
        count += word & 1
        word >>= 1
    return count


@compiled
def _trigger(live: Ints, at: int, confirmed: bool, kept: bool, time: int, after: int) -> None:
    if confirmed:
        if live[at] == NOT_HELD:
            live[HELD] += 1
        live[at] = STEADY
    elif live[at] == NOT_HELD:
        return
    elif kept:
        live[at] = STEADY
    elif live[at] == STEADY:
        live[at] = time
    if live[at] > STEADY and time - live[at] >= after:
        live[at] = NOT_HELD
        live[HELD] -= 1


@compiled
def _level(layout: Layout, live: Ints, r: int) -> tuple[int, int]:
    level, line = 0, -1
    if live[HELD] > 0:
        for c in range(len(layout.rule)):
            held = layout.rule[c] == r and live[LINES + 3 * c] != NOT_HELD
            if held and layout.level[c] > level:
                level, line = layout.level[c], c
    return level, line


@compiled
def _tell(
    layout: Layout, columns: Columns, rings: Rings, row: int, time: int, late: int, nth: int, out: Sheet
) -> None:
    live = columns.state[row, LIVE]
    for r in range(layout.rules):
        level, line = _level(layout, live, r)
        if level != columns.told[row, r]:
            columns.told[row, r] = level
            _write(layout, columns, rings, Told(row, r, time, level, line, late, nth), out)


@compiled
def _write(layout: Layout, columns: Columns, rings: Rings, change: Told, out: Sheet) -> None:
    live = columns.state[change.row, LIVE]
    first = rings.times[rings.offset[change.row] + (live[HEAD] & rings.mask[change.row])]
    place = write(out, change, live[TAIL] - live[HEAD], first, 1)
    for j in range(len(layout.function)):
        out.values[place, j] = value(layout, columns, rings, change.row, live, j)


@compiled
def _late(
    layout: Layout, columns: Columns, rings: Rings, batch: Batch, nth: int, first: int, out: Sheet
) -> None:
    """A reading behind the station's clock."""
    row, time, amount = batch.row[nth], batch.time[nth], batch.amount[nth]
    state = columns.state[row]
    live = state[LIVE]
    place = memory.place_of(rings, row, first, live[TAIL], time)
    if place < 0:
        return
    if batch.backfill[nth] == 0 and time > live[NEWEST] - layout.lateness:
        memory.insert(rings, row, place, live[TAIL], time, amount)
        _again(layout, columns, rings, row, time, nth, out)
        return
    if time <= state[OLDER, NEWEST] - layout.longest:
        return
    memory.insert(rings, row, place, live[TAIL], time, amount)
    for slot in range(3):
        if time <= state[slot, NEWEST]:
            state[slot, TAIL] += 1
            if time <= state[slot, NEWEST] - layout.longest:
                state[slot, HEAD] += 1
    if live[PENDING] == 0:
        _weigh(layout, columns, rings, row, True)
        _tell(layout, columns, rings, row, live[NEWEST], 1, nth, out)


@compiled
def _again(layout: Layout, columns: Columns, rings: Rings, row: int, time: int, nth: int, out: Sheet) -> None:
    """As in sums.py."""
    state = columns.state[row]
    tail, pending = state[LIVE, TAIL] + 1, state[LIVE, PENDING]
    if time > state[NEWER, NEWEST]:
        memory.copy_slot(columns.state, row, NEWER, LIVE)
    else:
        memory.copy_slot(columns.state, row, OLDER, LIVE)
        memory.copy_slot(columns.state, row, OLDER, NEWER)
    live = state[LIVE]
    while live[TAIL] < tail:
        _take(layout, rings, row, live)
        _weigh(layout, columns, rings, row, False)
        for r in range(layout.rules):
            level, line = _level(layout, live, r)
            if level > columns.told[row, r]:
                columns.told[row, r] = level
                _write(layout, columns, rings, Told(row, r, live[NEWEST], level, line, 1, nth), out)
    live[PENDING] = pending
    _tell(layout, columns, rings, row, live[NEWEST], 1, nth, out)
