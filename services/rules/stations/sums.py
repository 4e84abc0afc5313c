"""Rolling sums of rain at all stations at once, against all lines of all rules: the compiled kernel.

A sum is a function of event time: it rises when rain falls and falls, at a moment known exactly, when rain leaves its
window (t - span, t]. So only wet readings are remembered, dry ones move a station's clock, and what is found does not
depend on how readings are cut into batches. Amounts are whole thousandths of a millimetre: nothing drifts.

Each station has its own clock, its newest reading. A reading behind it by less than `lateness` is put in its place and
the time since is judged again, from a state kept for that; what that finds is what the right order would have found,
told late. One further behind, or flagged as back-fill, counts toward the sums of now and raises nothing for the past.
"""

from typing import Final

import numpy as np

from services.rules.stations import memory
from services.rules.stations.compiled import compiled, inlined
from services.rules.stations.memory import Rings
from services.rules.stations.state import (
    DAY_ENDS,
    DAY_RAIN,
    DAY_US,
    EVENTS,
    HEAD,
    HELD,
    HOUR_US,
    KEPT,
    LAST,
    LEAVES,
    LONG_AGO,
    NEWEST,
    NEXT,
    PA,
    PENDING,
    RAIN,
    SOILS,
    START,
    SUM,
    TAIL,
    TRIGGERS,
    WEIGHTED,
    WINDOW,
    WINDOWS,
    Batch,
    Columns,
    Layout,
)
from services.rules.stations.told import (
    DONE,
    FULL,
    LAST_TIME,
    LIVE,
    NEWER,
    NOT_HELD,
    OLDER,
    ROOM,
    STEADY,
    Ints,
    Sheet,
    Told,
    write,
)

# After this many dry days the ground remembers nothing.
MOST_DAYS: Final = 400


@compiled
def judge(
    layout: Layout, columns: Columns, rings: Rings, batch: Batch, start: int, out: Sheet
) -> tuple[int, int]:
    """Judge readings from `start` on; returns up to which, and why no further."""
    state = columns.state
    for nth in range(start, len(batch.row)):
        row, time, wet = batch.row[nth], batch.time[nth], batch.amount[nth] > 0
        newer = time > state[row, LIVE, NEWEST]
        quiet = (
            time < state[row, LIVE, NEXT] and state[row, LIVE, HELD] == 0 and state[row, LIVE, PENDING] == 0
        )
        due = state[row, LIVE, NEWEST] >= state[row, LIVE, KEPT] + layout.lateness
        if newer and quiet and not wet and not due and batch.backfill[nth] == 0:
            # Most readings: dry, and nothing else happens.
            state[row, LIVE, NEWEST] = time
            continue
        # What one reading can lead to: each line given up by itself, each rule raised through every level and lowered.
        if out.number[0] + len(layout.rule) + 8 * layout.rules > len(out.ints):
            return nth, FULL
        if wet and state[row, LIVE, TAIL] - _first(layout, state[row, OLDER]) > rings.mask[row]:
            return nth, ROOM
        if newer:
            _next(layout, columns, rings, batch, nth, out)
        elif wet:
            _late(layout, columns, rings, batch, nth, _first(layout, state[row, OLDER]), out)
    return len(batch.row), DONE


@inlined
def _first(layout: Layout, state: Ints) -> int:
    """The oldest entry that a state still needs."""
    first = state[TAIL]
    for k in range(len(layout.span)):
        first = min(first, state[layout.at[WINDOWS] + 3 * k + HEAD])
    return first


@inlined
def _next(layout: Layout, columns: Columns, rings: Rings, batch: Batch, nth: int, out: Sheet) -> None:
    """A reading newer than all before."""
    row, time = batch.row[nth], batch.time[nth]
    live = columns.state[row, LIVE]
    if live[NEWEST] >= live[KEPT] + layout.lateness:
        memory.copy_slot(columns.state, row, NEWER, OLDER)
        memory.copy_slot(columns.state, row, LIVE, NEWER)
        live[KEPT] = live[NEWEST]
    backfill = batch.backfill[nth] != 0
    told = -1 if backfill else nth
    # What was told is what is held, unless back-fill waits.
    silent = live[HELD] == 0 and live[PENDING] == 0
    _advance(layout, columns, rings, row, time, told, out)
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
    if live[HELD] > 0 or not silent:
        _tell(layout, columns, rings, row, time, 0, nth, out)


@inlined
def _advance(
    layout: Layout, columns: Columns, rings: Rings, row: int, until: int, nth: int, out: Sheet
) -> None:
    """Let pass all moments up to `until` at which something changes by itself: rain leaves a window, an event ends, a
    day begins, a level has been calm for long enough. `nth` -1: without telling."""
    if columns.state[row, LIVE, HELD] > 0:
        _in_order(layout, columns, rings, row, until, nth, out)
    elif until >= columns.state[row, LIVE, NEXT]:
        _at_once(layout, columns.state[row, LIVE], rings, row, columns.interval[row], until)


@inlined
def _at_once(layout: Layout, live: Ints, rings: Rings, row: int, interval: int, until: int) -> None:
    """With nothing held the order of those moments does not matter.

    Rain belongs to the interval before its reading: an event has ended when none can begin within its dry gap any more.
    """
    soonest = LAST_TIME
    for k in range(len(layout.span)):
        at = layout.at[WINDOWS] + 3 * k
        while live[at + LEAVES] <= until:
            _leave(layout, live, rings, row, k)
        soonest = min(soonest, live[at + LEAVES])
    for e in range(len(layout.dry)):
        at = layout.at[EVENTS] + 3 * e
        if live[at + RAIN] > 0:
            ends = live[at + LAST] + layout.dry[e] + interval
            if ends <= until:
                _end(live, at)
            else:
                soonest = min(soonest, ends)
    for s in range(len(layout.day_starts)):
        at = layout.at[SOILS] + 3 * s
        while live[at + DAY_ENDS] < until:
            _new_day(layout, live, s, until)
        soonest = min(soonest, live[at + DAY_ENDS] + 1)
    live[NEXT] = soonest


@compiled
def _in_order(
    layout: Layout, columns: Columns, rings: Rings, row: int, until: int, nth: int, out: Sheet
) -> None:
    """Moment after moment, as long as something is held that they may release."""
    live = columns.state[row, LIVE]
    interval = columns.interval[row]
    while True:
        moment, what, which = _soonest(layout, live, interval)
        _release(layout, columns, rings, row, min(moment, until), False, nth, out)
        if moment > until:
            live[NEXT] = moment
            return
        if what == 1:
            _leave(layout, live, rings, row, which)
        elif what == 2:
            _end(live, layout.at[EVENTS] + 3 * which)
        else:
            _new_day(layout, live, which, until)
        _calm(layout, columns, row, moment)


@inlined
def _soonest(layout: Layout, live: Ints, interval: int) -> tuple[int, int, int]:
    """The next such moment, what it is and of which window (1), event (2) or soil (3)."""
    moment, what, which = LAST_TIME, 0, 0
    for k in range(len(layout.span)):
        leaves = live[layout.at[WINDOWS] + 3 * k + LEAVES]
        if leaves < moment:
            moment, what, which = leaves, 1, k
    for e in range(len(layout.dry)):
        at = layout.at[EVENTS] + 3 * e
        if live[at + RAIN] > 0 and live[at + LAST] + layout.dry[e] + interval < moment:
            moment, what, which = live[at + LAST] + layout.dry[e] + interval, 2, e
    for s in range(len(layout.day_starts)):
        begins = live[layout.at[SOILS] + 3 * s + DAY_ENDS] + 1
        if begins < moment:
            moment, what, which = begins, 3, s
    return moment, what, which


@inlined
def _leave(layout: Layout, live: Ints, rings: Rings, row: int, k: int) -> None:
    """The first entry of a window is no longer in it."""
    at = layout.at[WINDOWS] + 3 * k
    base, mask, head = rings.offset[row], rings.mask[row], live[at + HEAD]
    live[at + SUM] -= int(rings.values[base + (head & mask)])
    head += 1
    live[at + HEAD] = head
    live[at + LEAVES] = rings.times[base + (head & mask)] + layout.span[k] if head < live[TAIL] else LAST_TIME


@inlined
def _end(live: Ints, at: int) -> None:
    """An event is over."""
    live[at + START] = live[at + RAIN] = live[at + LAST] = 0


@compiled
def _new_day(layout: Layout, live: Ints, s: int, until: int) -> None:
    """Pa(t+1) = k (Pa(t) + P(t)), at most the capacity. A station that was away for very long begins with dry ground."""
    at = layout.at[SOILS] + 3 * s
    wet = layout.soil[s, 0] * (live[at + PA] + live[at + DAY_RAIN])
    live[at + PA] = np.int64(np.rint(min(layout.soil[s, 1], wet)))
    live[at + DAY_RAIN] = 0
    live[at + DAY_ENDS] += DAY_US
    if until - live[at + DAY_ENDS] > MOST_DAYS * DAY_US:
        live[at + DAY_ENDS] += (until - live[at + DAY_ENDS]) // DAY_US * DAY_US
        live[at + PA] = 0


@inlined
def _take(layout: Layout, columns: Columns, rings: Rings, row: int) -> None:
    """The entry at the tail becomes part of every sum."""
    live = columns.state[row, LIVE]
    at = rings.offset[row] + (live[TAIL] & rings.mask[row])
    time, amount = rings.times[at], int(rings.values[at])
    live[TAIL] += 1
    for k in range(len(layout.span)):
        place = layout.at[WINDOWS] + 3 * k
        live[place + SUM] += amount
        live[place + LEAVES] = min(live[place + LEAVES], time + layout.span[k])
        live[NEXT] = min(live[NEXT], live[place + LEAVES])
    for e in range(len(layout.dry)):
        place = layout.at[EVENTS] + 3 * e
        if live[place + RAIN] == 0:
            # A storm starts with the stamp before its first wet reading.
            live[place + START] = time - columns.interval[row]
        live[place + RAIN] += amount
        live[place + LAST] = time
        live[NEXT] = min(live[NEXT], time + layout.dry[e])
    for s in range(len(layout.day_starts)):
        live[layout.at[SOILS] + 3 * s + DAY_RAIN] += amount


@inlined
def value(layout: Layout, live: Ints, j: int, time: int) -> float:
    """An indicator at `time`: thousandths of a millimetre, or an event's rain as a share of what its curve allows."""
    if layout.kind[j] == WINDOW:
        return float(live[layout.at[WINDOWS] + 3 * layout.window[j] + SUM])
    if layout.kind[j] == WEIGHTED:
        total = 0.0
        for k in range(len(layout.span)):
            total += layout.weight[j, k] * live[layout.at[WINDOWS] + 3 * k + SUM]
        return total
    e = layout.window[j]
    at = layout.at[EVENTS] + 3 * e
    if live[at + RAIN] == 0:
        return 0.0
    hours = (live[at + LAST] - live[at + START]) / HOUR_US
    hours = min(max(hours, layout.curve[e, 3]), layout.curve[e, 4])
    allowed = layout.curve[e, 2] * hours + layout.curve[e, 0] * hours ** (1.0 - layout.curve[e, 1])
    return live[at + RAIN] / 1000.0 / allowed


@inlined
def soil_state(layout: Layout, live: Ints, s: int) -> int:
    """0 dry, 1 normal, 2 wet; without a model 1."""
    if s < 0:
        return 1
    wet = live[layout.at[SOILS] + 3 * s + PA]
    if wet >= layout.soil[s, 3]:
        return 2
    return 1 if wet >= layout.soil[s, 2] else 0


@inlined
def _raise(layout: Layout, columns: Columns, row: int, time: int) -> None:
    """Hold what is at its line; what is above its release line is calm no longer."""
    live = columns.state[row, LIVE]
    profile = columns.profile[row]
    for c in range(len(layout.rule)):
        soil = soil_state(layout, live, layout.soil_of[c])
        now = value(layout, live, layout.indicator[c], time)
        trigger = live[layout.at[TRIGGERS] + c]
        if now >= columns.reach[profile, c, soil]:
            if trigger == NOT_HELD:
                live[HELD] += 1
            live[layout.at[TRIGGERS] + c] = STEADY
        elif trigger != NOT_HELD:
            if now >= columns.release[profile, c, soil]:
                live[layout.at[TRIGGERS] + c] = STEADY
            elif trigger == STEADY:
                live[layout.at[TRIGGERS] + c] = time


@inlined
def _calm(layout: Layout, columns: Columns, row: int, time: int) -> None:
    """Note what has fallen below its release line."""
    live = columns.state[row, LIVE]
    profile = columns.profile[row]
    for c in range(len(layout.rule)):
        if live[layout.at[TRIGGERS] + c] == STEADY:
            soil = soil_state(layout, live, layout.soil_of[c])
            if not value(layout, live, layout.indicator[c], time) >= columns.release[profile, c, soil]:
                live[layout.at[TRIGGERS] + c] = time


@compiled
def _release(
    layout: Layout, columns: Columns, rings: Rings, row: int, until: int, now: bool, nth: int, out: Sheet
) -> None:
    """Give up what has been calm for long enough before `until`, or `now` also at it, in the order of those moments."""
    live = columns.state[row, LIVE]
    while True:
        moment = LAST_TIME
        for c in range(len(layout.rule)):
            trigger = live[layout.at[TRIGGERS] + c]
            if trigger > STEADY:
                moment = min(moment, trigger + layout.after[c])
        if moment > until or (moment == until and not now):
            return
        for c in range(len(layout.rule)):
            trigger = live[layout.at[TRIGGERS] + c]
            if trigger > STEADY and trigger + layout.after[c] == moment:
                live[layout.at[TRIGGERS] + c] = NOT_HELD
                live[HELD] -= 1
        if nth >= 0:
            _tell(layout, columns, rings, row, moment, 0, nth, out)


@compiled
def _level(layout: Layout, live: Ints, r: int) -> tuple[int, int]:
    """The highest level held under a rule, and the line that holds it; 0 and -1 for none."""
    level, line = 0, -1
    if live[HELD] > 0:
        for c in range(len(layout.rule)):
            held = layout.rule[c] == r and live[layout.at[TRIGGERS] + c] != NOT_HELD
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
            _write(layout, live, rings, Told(row, r, time, level, line, late, nth), out)


@compiled
def _write(layout: Layout, live: Ints, rings: Rings, change: Told, out: Sheet) -> None:
    first = _first(layout, live)
    oldest = rings.times[rings.offset[change.row] + (first & rings.mask[change.row])]
    soil = soil_state(layout, live, layout.soil_of[change.line]) if change.line >= 0 else 1
    place = write(out, change, live[TAIL] - first, oldest if first < live[TAIL] else change.time, soil)
    for j in range(len(layout.kind)):
        out.values[place, j] = value(layout, live, j, change.time)


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
        at = layout.at[WINDOWS] + 3 * k
        if time + layout.span[k] > state[NEWEST]:
            state[at + SUM] += amount
            state[at + LEAVES] = min(state[at + LEAVES], time + layout.span[k])
        else:
            state[at + HEAD] += 1
    for e in range(len(layout.dry)):
        at = layout.at[EVENTS] + 3 * e
        if state[at + RAIN] > 0 and time > state[at + START]:
            state[at + RAIN] += amount
    for s in range(len(layout.day_starts)):
        at = layout.at[SOILS] + 3 * s
        days = (state[at + DAY_ENDS] - time) // DAY_US
        if days <= 0:
            state[at + DAY_RAIN] += amount
        else:
            wet = state[at + PA] + amount * layout.soil[s, 0] ** days
            state[at + PA] = np.int64(np.rint(min(layout.soil[s, 1], wet)))


@compiled
def _again(layout: Layout, columns: Columns, rings: Rings, row: int, time: int, nth: int, out: Sheet) -> None:
    """Judge anew from before `time` on: what was too low is told late, what is still so at the end is what holds."""
    state = columns.state[row]
    newest, tail, pending = state[LIVE, NEWEST], state[LIVE, TAIL] + 1, state[LIVE, PENDING]
    if time > state[NEWER, NEWEST]:
        memory.copy_slot(columns.state, row, NEWER, LIVE)
    else:
        memory.copy_slot(columns.state, row, OLDER, LIVE)
        memory.copy_slot(columns.state, row, OLDER, NEWER)
    live = state[LIVE]
    live[KEPT] = live[NEWEST]
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
                _write(layout, live, rings, Told(row, r, moment, level, line, 1, nth), out)
    _advance(layout, columns, rings, row, newest, -1, out)
    if live[HELD] > 0:
        _release(layout, columns, rings, row, newest, True, -1, out)
    live[NEWEST], live[PENDING] = newest, pending
    _tell(layout, columns, rings, row, newest, 1, nth, out)
