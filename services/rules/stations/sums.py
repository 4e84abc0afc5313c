"""Rolling sums of rain at all stations at once, against all lines of all rules: the compiled kernel.

A sum is a function of event time: it rises when rain falls and falls, at a moment known exactly, when rain leaves its
window (t - span, t]. So only wet readings are remembered, dry ones move a station's clock, and what is found does not
depend on how readings are cut into batches. Amounts are whole thousandths of a millimetre: nothing drifts.

Each station has its own clock, its newest reading. A reading behind it by less than `lateness` is put in its place and
the time since is judged again, from a state kept for that; what that finds is what the right order would have found,
told late. One further behind, or flagged as back-fill, counts toward the sums of now and raises nothing for the past.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.rules.stations import memory
from services.rules.stations.compiled import compiled, inlined
from services.rules.stations.memory import Rings
from services.rules.stations.told import (
    COUNT,
    DONE,
    FIRST,
    FULL,
    LAST_TIME,
    LATE,
    LEVEL,
    LINE,
    LIVE,
    NEWER,
    NOT_HELD,
    NTH,
    OLDER,
    ROOM,
    ROW,
    RULE,
    SOIL,
    STEADY,
    TIME,
    Floats,
    Ints,
    Sheet,
)

# What an indicator is.
WINDOW: Final = 0
WEIGHTED: Final = 1
EVENT: Final = 2

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000
# After this many dry days the ground remembers nothing.
MOST_DAYS: Final = 400

# Before any time that a reading can have, and far enough from the ends that spans can be added and taken away.
LONG_AGO: Final = -(2**62)

# A station's state, in 64-bit words: its clock, how many entries it has had, how many triggers are held, whether back-fill
# waits to be judged, before when nothing changes by itself; then by the layout the windows' first entries and sums, the
# events (start, rain, last), the soils (end of the day, its rain, Pa), the triggers.
NEWEST: Final = 0
TAIL: Final = 1
HELD: Final = 2
PENDING: Final = 3
NEXT: Final = 4
FIXED: Final = 5


class Layout(NamedTuple):
    """What the rules ask, the same for all stations. Windows k, indicators j, events e, soils s, lines c, rules r.

    `span` of each window (microseconds). Indicators: `kind`, the `window` or event they are of, their `weight` on each
    window. Events: `curve` (a, b, c, shortest and longest duration in hours), `dry` that ends them. Soils: `soil`
    (k, capacity, normal from, wet from: thousandths of mm), `day_starts` (microseconds UTC). Lines: `indicator`, `rule`,
    `level`, `after` (microseconds), `soil_of` (-1: none). `at` are the places of heads, sums, events, soils, triggers.
    """

    lateness: int
    span: Ints
    kind: Ints
    window: Ints
    weight: Floats
    curve: Floats
    dry: Ints
    soil: Floats
    day_starts: Ints
    indicator: Ints
    rule: Ints
    level: Ints
    after: Ints
    soil_of: Ints
    rules: int
    at: Ints


class Columns(NamedTuple):
    """What is known of the stations, a row each: `state` by slot, `told` the level last told by rule, `profile` which of
    the `reach` and `release` lines (by profile, line and soil state) are its, `interval` between its readings."""

    state: NDArray[np.int64]
    told: NDArray[np.int64]
    profile: Ints
    interval: Ints
    reach: NDArray[np.float64]
    release: NDArray[np.float64]


class Batch(NamedTuple):
    """Readings in the order in which they came: rows, times, amounts (thousandths of mm), back-fill or not."""

    row: Ints
    time: Ints
    amount: Floats
    backfill: Ints


@compiled
def judge(
    layout: Layout, columns: Columns, rings: Rings, batch: Batch, start: int, out: Sheet
) -> tuple[int, int]:
    """Judge readings from `start` on; returns up to which, and why no further."""
    for nth in range(start, len(batch.row)):
        # What one reading can lead to: each line given up by itself, each rule raised through every level and lowered.
        if out.number[0] + len(layout.rule) + 8 * layout.rules > len(out.ints):
            return nth, FULL
        row = batch.row[nth]
        live = columns.state[row, LIVE]
        wet = batch.amount[nth] > 0
        if wet and live[TAIL] - _first(layout, columns.state[row, OLDER]) > rings.mask[row]:
            return nth, ROOM
        if batch.time[nth] > live[NEWEST]:
            _next(layout, columns, rings, batch, nth, out)
        elif wet:
            _late(layout, columns, rings, batch, nth, _first(layout, columns.state[row, OLDER]), out)
    return len(batch.row), DONE


@inlined
def _first(layout: Layout, state: Ints) -> int:
    """The oldest entry that a state still needs."""
    first = state[TAIL]
    for k in range(len(layout.span)):
        first = min(first, state[layout.at[0] + k])
    return first


@inlined
def _next(layout: Layout, columns: Columns, rings: Rings, batch: Batch, nth: int, out: Sheet) -> None:
    """A reading newer than all before."""
    row, time = batch.row[nth], batch.time[nth]
    live = columns.state[row, LIVE]
    if live[NEWEST] >= columns.state[row, NEWER, NEWEST] + layout.lateness:
        columns.state[row, OLDER] = columns.state[row, NEWER]
        columns.state[row, NEWER] = live
    backfill = batch.backfill[nth] != 0
    told = -1 if backfill else nth
    if time >= live[NEXT]:
        _advance(layout, columns, rings, row, time, told, out)
    elif live[HELD] > 0:
        _release(layout, columns, rings, row, time, False, told, out)
    if batch.amount[nth] > 0:
        memory.put(rings, row, live[TAIL], time, batch.amount[nth])
        _take(layout, columns, rings, row)
    live[NEWEST] = time
    if backfill:
        live[PENDING] = 1
        return
    if batch.amount[nth] > 0 or live[PENDING]:
        live[PENDING] = 0
        _raise(layout, columns, row, time)
    if live[HELD] > 0:
        _release(layout, columns, rings, row, time, True, nth, out)
    if live[HELD] > 0 or columns.told[row].any():
        _tell(layout, columns, rings, row, time, 0, nth, out)


@compiled
def _advance(
    layout: Layout, columns: Columns, rings: Rings, row: int, until: int, nth: int, out: Sheet
) -> None:
    """Let pass, in their order, all moments up to `until` at which something changes by itself: rain leaves a window,
    an event ends, a day begins, a level has been calm for long enough. `nth` -1: without telling."""
    live = columns.state[row, LIVE]
    while True:
        moment, what, which = _soonest(layout, live, rings, row, columns.interval[row])
        live[NEXT] = moment
        if moment > until:
            break
        if live[HELD] > 0:
            _release(layout, columns, rings, row, moment, False, nth, out)
        _pass(layout, live, rings, row, what, which, until)
        if live[HELD] > 0:
            _calm(layout, columns, row, moment)
    if live[HELD] > 0:
        _release(layout, columns, rings, row, until, False, nth, out)


@inlined
def _soonest(layout: Layout, live: Ints, rings: Rings, row: int, interval: int) -> tuple[int, int, int]:
    """The next such moment, what it is and of which window (1), event (2) or soil (3).

    Rain belongs to the interval before its reading: an event has ended when none can begin within its dry gap any more.
    """
    moment, what, which = LAST_TIME, 0, 0
    base, mask, heads = rings.offset[row], rings.mask[row], layout.at[0]
    for k in range(len(layout.span)):
        head = live[heads + k]
        if head < live[TAIL]:
            leaves = rings.times[base + (head & mask)] + layout.span[k]
            if leaves < moment:
                moment, what, which = leaves, 1, k
    for e in range(len(layout.dry)):
        at = layout.at[2] + 3 * e
        if live[at + 1] > 0 and live[at + 2] + layout.dry[e] + interval < moment:
            moment, what, which = live[at + 2] + layout.dry[e] + interval, 2, e
    for s in range(len(layout.day_starts)):
        begins = live[layout.at[3] + 3 * s] + 1
        if begins < moment:
            moment, what, which = begins, 3, s
    return moment, what, which


@inlined
def _pass(layout: Layout, live: Ints, rings: Rings, row: int, what: int, which: int, until: int) -> None:
    """One such moment."""
    if what == 1:
        head = live[layout.at[0] + which]
        live[layout.at[1] + which] -= int(rings.values[rings.offset[row] + (head & rings.mask[row])])
        live[layout.at[0] + which] = head + 1
    elif what == 2:
        at = layout.at[2] + 3 * which
        live[at] = live[at + 1] = live[at + 2] = 0
    else:
        _new_day(layout, live, which, until)


@compiled
def _new_day(layout: Layout, live: Ints, s: int, until: int) -> None:
    """Pa(t+1) = k (Pa(t) + P(t)), at most the capacity. A station that was away for very long begins with dry ground."""
    at = layout.at[3] + 3 * s
    wet = layout.soil[s, 0] * (live[at + 2] + live[at + 1])
    live[at + 2] = np.int64(np.rint(min(layout.soil[s, 1], wet)))
    live[at + 1] = 0
    live[at] += DAY_US
    if until - live[at] > MOST_DAYS * DAY_US:
        live[at] += (until - live[at]) // DAY_US * DAY_US
        live[at + 2] = 0


@inlined
def _take(layout: Layout, columns: Columns, rings: Rings, row: int) -> None:
    """The entry at the tail becomes part of every sum."""
    live = columns.state[row, LIVE]
    at = rings.offset[row] + (live[TAIL] & rings.mask[row])
    time, amount = rings.times[at], int(rings.values[at])
    live[TAIL] += 1
    for k in range(len(layout.span)):
        live[layout.at[1] + k] += amount
        live[NEXT] = min(live[NEXT], time + layout.span[k])
    for e in range(len(layout.dry)):
        place = layout.at[2] + 3 * e
        if live[place + 1] == 0:
            # A storm starts with the stamp before its first wet reading.
            live[place] = time - columns.interval[row]
        live[place + 1] += amount
        live[place + 2] = time
        live[NEXT] = min(live[NEXT], time + layout.dry[e])
    for s in range(len(layout.day_starts)):
        live[layout.at[3] + 3 * s + 1] += amount


@inlined
def value(layout: Layout, live: Ints, j: int, time: int) -> float:
    """An indicator at `time`: thousandths of a millimetre, or an event's rain as a share of what its curve allows."""
    if layout.kind[j] == WINDOW:
        return float(live[layout.at[1] + layout.window[j]])
    if layout.kind[j] == WEIGHTED:
        total = 0.0
        for k in range(len(layout.span)):
            total += layout.weight[j, k] * live[layout.at[1] + k]
        return total
    e = layout.window[j]
    at = layout.at[2] + 3 * e
    if live[at + 1] == 0:
        return 0.0
    hours = (live[at + 2] - live[at]) / HOUR_US
    hours = min(max(hours, layout.curve[e, 3]), layout.curve[e, 4])
    allowed = layout.curve[e, 2] * hours + layout.curve[e, 0] * hours ** (1.0 - layout.curve[e, 1])
    return live[at + 1] / 1000.0 / allowed


@inlined
def soil_state(layout: Layout, live: Ints, s: int) -> int:
    """0 dry, 1 normal, 2 wet; without a model 1."""
    if s < 0:
        return 1
    wet = live[layout.at[3] + 3 * s + 2]
    if wet >= layout.soil[s, 3]:
        return 2
    return 1 if wet >= layout.soil[s, 2] else 0


@compiled
def _raise(layout: Layout, columns: Columns, row: int, time: int) -> None:
    """Hold what is at its line; what is above its release line is calm no longer."""
    live = columns.state[row, LIVE]
    profile = columns.profile[row]
    for c in range(len(layout.rule)):
        soil = soil_state(layout, live, layout.soil_of[c])
        now = value(layout, live, layout.indicator[c], time)
        trigger = live[layout.at[4] + c]
        if now >= columns.reach[profile, c, soil]:
            if trigger == NOT_HELD:
                live[HELD] += 1
            live[layout.at[4] + c] = STEADY
        elif trigger != NOT_HELD:
            if now >= columns.release[profile, c, soil]:
                live[layout.at[4] + c] = STEADY
            elif trigger == STEADY:
                live[layout.at[4] + c] = time


@compiled
def _calm(layout: Layout, columns: Columns, row: int, time: int) -> None:
    """Note what has fallen below its release line."""
    live = columns.state[row, LIVE]
    profile = columns.profile[row]
    for c in range(len(layout.rule)):
        if live[layout.at[4] + c] == STEADY:
            soil = soil_state(layout, live, layout.soil_of[c])
            if not value(layout, live, layout.indicator[c], time) >= columns.release[profile, c, soil]:
                live[layout.at[4] + c] = time


@compiled
def _release(
    layout: Layout, columns: Columns, rings: Rings, row: int, until: int, now: bool, nth: int, out: Sheet
) -> None:
    """Give up what has been calm for long enough before `until`, or `now` also at it, in the order of those moments."""
    live = columns.state[row, LIVE]
    while True:
        moment = LAST_TIME
        for c in range(len(layout.rule)):
            trigger = live[layout.at[4] + c]
            if trigger > STEADY:
                moment = min(moment, trigger + layout.after[c])
        if moment > until or (moment == until and not now):
            return
        for c in range(len(layout.rule)):
            trigger = live[layout.at[4] + c]
            if trigger > STEADY and trigger + layout.after[c] == moment:
                live[layout.at[4] + c] = NOT_HELD
                live[HELD] -= 1
        if nth >= 0:
            _tell(layout, columns, rings, row, moment, 0, nth, out)


@compiled
def _level(layout: Layout, live: Ints, r: int) -> tuple[int, int]:
    """The highest level held under a rule, and the line that holds it; 0 and -1 for none."""
    level, line = 0, -1
    if live[HELD] > 0:
        for c in range(len(layout.rule)):
            held = layout.rule[c] == r and live[layout.at[4] + c] != NOT_HELD
            if held and layout.level[c] > level:
                level, line = layout.level[c], c
    return level, line


@compiled
def _tell(
    layout: Layout, columns: Columns, rings: Rings, row: int, time: int, late: int, nth: int, out: Sheet
) -> None:
    """Write down each rule's level that is not the one last told."""
    live = columns.state[row, LIVE]
    for r in range(layout.rules):
        if live[HELD] == 0 and columns.told[row, r] == 0:
            continue
        level, line = _level(layout, live, r)
        if level != columns.told[row, r]:
            columns.told[row, r] = level
            _write(layout, live, rings, row, r, level, line, time, late, nth, out)


@compiled
def _write(
    layout: Layout, live: Ints, rings: Rings, row: int, r: int, level: int, line: int, time: int, late: int,
    nth: int, out: Sheet,
) -> None:  # fmt: skip
    place = out.number[0]
    first = _first(layout, live)
    out.ints[place, ROW] = row
    out.ints[place, RULE] = r
    out.ints[place, TIME] = time
    out.ints[place, LEVEL] = level
    out.ints[place, LINE] = line
    out.ints[place, LATE] = late
    out.ints[place, COUNT] = live[TAIL] - first
    out.ints[place, FIRST] = (
        rings.times[rings.offset[row] + (first & rings.mask[row])] if first < live[TAIL] else time
    )
    out.ints[place, NTH] = nth
    out.ints[place, SOIL] = soil_state(layout, live, layout.soil_of[line]) if line >= 0 else 1
    for j in range(len(layout.kind)):
        out.values[place, j] = value(layout, live, j, time)
    out.number[0] = place + 1


@compiled
def _late(
    layout: Layout, columns: Columns, rings: Rings, batch: Batch, nth: int, first: int, out: Sheet
) -> None:
    """Rain behind the station's clock."""
    row, time, amount = batch.row[nth], batch.time[nth], batch.amount[nth]
    live = columns.state[row, LIVE]
    place = memory.place_of(rings, row, first, live[TAIL], time)
    if place < 0:
        return
    if batch.backfill[nth] == 0 and time > live[NEWEST] - layout.lateness:
        memory.insert(rings, row, place, live[TAIL], time, amount)
        _again(layout, columns, rings, row, time, nth, out)
        return
    counts = False
    for k in range(len(layout.span)):
        counts = counts or time + layout.span[k] > columns.state[row, OLDER, NEWEST]
    if not counts:
        return
    memory.insert(rings, row, place, live[TAIL], time, amount)
    for slot in range(3):
        _count(layout, columns.state[row, slot], time, int(amount))
    if live[PENDING] == 0:
        _raise(layout, columns, row, live[NEWEST])
        _tell(layout, columns, rings, row, live[NEWEST], 1, nth, out)


@compiled
def _count(layout: Layout, state: Ints, time: int, amount: int) -> None:
    """Back-fill becomes part of the sums of a state that is already past it."""
    if time > state[NEWEST]:
        return
    state[TAIL] += 1
    state[NEXT] = LONG_AGO
    for k in range(len(layout.span)):
        if time + layout.span[k] > state[NEWEST]:
            state[layout.at[1] + k] += amount
        else:
            state[layout.at[0] + k] += 1
    for e in range(len(layout.dry)):
        at = layout.at[2] + 3 * e
        if state[at + 1] > 0 and time > state[at]:
            state[at + 1] += amount
    for s in range(len(layout.day_starts)):
        at = layout.at[3] + 3 * s
        days = (state[at] - time) // DAY_US
        if days <= 0:
            state[at + 1] += amount
        else:
            wet = state[at + 2] + amount * layout.soil[s, 0] ** days
            state[at + 2] = np.int64(np.rint(min(layout.soil[s, 1], wet)))


@compiled
def _again(layout: Layout, columns: Columns, rings: Rings, row: int, time: int, nth: int, out: Sheet) -> None:
    """Judge anew from before `time` on: what was too low is told late, what is still so at the end is what holds."""
    state = columns.state[row]
    newest, tail, pending = state[LIVE, NEWEST], state[LIVE, TAIL] + 1, state[LIVE, PENDING]
    if time > state[NEWER, NEWEST]:
        state[LIVE] = state[NEWER]
    else:
        state[LIVE] = state[OLDER]
        state[NEWER] = state[OLDER]
    live = state[LIVE]
    while live[TAIL] < tail:
        moment = rings.times[rings.offset[row] + (live[TAIL] & rings.mask[row])]
        _advance(layout, columns, rings, row, moment, -1, out)
        _take(layout, columns, rings, row)
        live[NEWEST] = moment
        _raise(layout, columns, row, moment)
        for r in range(layout.rules):
            level, line = _level(layout, live, r)
            if level > columns.told[row, r]:
                columns.told[row, r] = level
                _write(layout, live, rings, row, r, level, line, moment, 1, nth, out)
    _advance(layout, columns, rings, row, newest, -1, out)
    if live[HELD] > 0:
        _release(layout, columns, rings, row, newest, True, -1, out)
    live[NEWEST], live[PENDING] = newest, pending
    _tell(layout, columns, rings, row, newest, 1, nth, out)
