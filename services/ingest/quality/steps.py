"""The steps, in order: each takes a batch, what is remembered and the limits, and returns flags by row. Pure.

The semantics are those of one reading after the other (tests/services/ingest/quality has that slow reference), so a
batch may be cut anywhere. A reading that comes out of order has no predecessor: it is tested by itself alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.quality.limits import LimitTable
from services.ingest.quality.memory import SLOT_US, Batch, Bools, Floats, Ints, Memory, Sequence
from services.ingest.quality.neighbours import Neighbours
from tongluo.quality import Flag

MINUTE_US: Final = 60_000_000
# A gauge is doubted for its neighbours' sake only where so many of them speak and none has so much, in mm an hour.
LEAST_NEIGHBOURS: Final = 3
DRY_MM: Final = 1.0
# Below this the same rain again is how a tipping bucket counts, not a fault.
CALM_MM: Final = 1.0
# How far ahead of its arrival a reading may be stamped before its gateway's clock is doubted.
CLOCK_AHEAD_US: Final = MINUTE_US


@dataclass(frozen=True)
class Look:
    """What a step may look at. `timely` is False in replay mode, where nothing comes in at its own time."""

    batch: Batch
    sequence: Sequence
    memory: Memory
    limits: LimitTable
    neighbours: Neighbours
    timely: bool


Flags = NDArray[np.int32]
Step = Callable[[Look], Flags]


def gross_range(look: Look) -> Flags:
    """A value its sensor, or nature, cannot give."""
    which, value = look.batch.which, look.batch.value
    return _flags((value < look.limits.lowest[which]) | (value > look.limits.highest[which]), Flag.RANGE)


def rate_of_change(look: Look) -> Flags:
    """More change since the one before than the minutes between allow, or of rain more than can fall in them."""
    chain = look.sequence
    minutes = np.maximum(np.diff(chain.chain_time_us.astype(np.float64), prepend=np.nan) / MINUTE_US, 1.0)
    change = np.abs(np.diff(chain.chain_value, prepend=np.nan))
    which = chain.chain_which
    change = np.where(look.limits.rain[which], chain.chain_value, change)
    # The first of all has nothing before it.
    known = ~chain.first & ~np.isnan(np.roll(chain.chain_value, 1))
    too_fast = known & (change > look.limits.per_minute[which] * minutes)
    return _flags(_by_row(look, too_fast), Flag.RATE)


def stuck_value(look: Look) -> Flags:
    """The very same value for longer than is believed; a bucket's small steps in calm weather are no fault."""
    chain, limits = look.sequence, look.limits
    since = same_since_us(chain, look.memory, limits)
    long = (chain.chain_time_us - since) > limits.stuck_after_us[chain.chain_which]
    calm = limits.rain[chain.chain_which] & (chain.chain_value < CALM_MM)
    return _flags(_by_row(look, long & ~calm & ~chain.first), Flag.STUCK)


def isolated_spike(look: Look) -> Flags:
    """Far from the one before and from the last that was no spike: a step that stays is doubted only once."""
    spikes, _ = spikes_and_sound(look.sequence, look.memory, look.limits)
    return _flags(_by_row(look, spikes), Flag.SPIKE)


def clock_off(look: Look) -> Flags:
    """Stamped later than it came in."""
    ahead = look.batch.time_us - look.batch.received_us > CLOCK_AHEAD_US
    return _flags(ahead & look.timely, Flag.CLOCK)


def duplicate(look: Look) -> Flags:
    """An identity that came before."""
    return _flags(_unsorted(look.sequence, look.sequence.repeated), Flag.DUPLICATE)


def out_of_order(look: Look) -> Flags:
    """Older than what its series had."""
    sequence = look.sequence
    return _flags(_unsorted(sequence, ~sequence.newer & ~sequence.repeated), Flag.ORDER)


def neighbour_disagreement(look: Look) -> Flags:
    """Much rain in an hour where none of the gauges around has any, by what had come in before this batch."""
    batch, limits, hours = look.batch, look.limits, look.memory.hours
    rows = np.flatnonzero(limits.rain[batch.which] & (batch.value > 0.0))
    slots = slot_of(batch.time_us[rows])
    numbers = batch.which[rows]
    # The hour differs from row to row; most have nothing to explain.
    own = hours.totals(numbers, slots) + batch.value[rows]
    found = np.zeros(len(batch), bool)
    for nth in np.flatnonzero(own > limits.neighbours[numbers]):
        around = look.neighbours.of(int(numbers[nth]))
        heard = around[hours.heard(around, int(slots[nth]))]
        dry = len(heard) >= LEAST_NEIGHBOURS and hours.total(heard, int(slots[nth])).max() < DRY_MM
        found[rows[nth]] = dry
    return _flags(found, Flag.NEIGHBOUR)


def low_battery(look: Look) -> Flags:
    """From a battery's low report on until its next good one, everything its station says."""
    return _flags(battery_states(look.batch, look.memory, look.limits), Flag.BATTERY)


def late(look: Look) -> Flags:
    """Back-fill: it came in long after its time."""
    behind = look.batch.received_us - look.batch.time_us
    return _flags((behind > look.limits.late_after_us[look.batch.which]) & look.timely, Flag.LATE)


def same_since_us(chain: Sequence, memory: Memory, limits: LimitTable) -> Ints:
    """Since when each of the chain's series has had the value it has there, without a silence as long as the limit."""
    changed = np.ones(len(chain.chain), bool)
    changed[1:] = chain.chain_value[1:] != chain.chain_value[:-1]
    pause = np.diff(chain.chain_time_us.astype(np.float64), prepend=np.nan)
    changed |= chain.first | (pause > limits.stuck_after_us[chain.chain_which])
    own = np.where(chain.first, memory.same_since_us[chain.chain_which], chain.chain_time_us)
    begins = np.maximum.accumulate(np.where(changed, np.arange(len(own)), 0))
    since: Ints = own[begins]
    return since


def spikes_and_sound(chain: Sequence, memory: Memory, limits: LimitTable) -> tuple[Bools, Floats]:
    """Which elements of the chain are spikes, and the last sound value as each leaves it."""
    spikes = np.zeros(len(chain.chain), bool)
    sound = np.where(chain.first, memory.sound[chain.chain_which], chain.chain_value)
    limit = limits.spike[chain.chain_which]
    jumped = ~chain.first & (np.abs(np.diff(chain.chain_value, prepend=np.nan)) > limit)
    if jumped.any():
        # Whether a jump is a spike depends on what the one before was taken for: the few series that have one go by hand.
        for nth in np.flatnonzero(np.isin(chain.chain_which, chain.chain_which[jumped])):
            if not chain.first[nth]:
                spikes[nth] = jumped[nth] and abs(chain.chain_value[nth] - sound[nth - 1]) > limit[nth]
                sound[nth] = sound[nth - 1] if spikes[nth] else chain.chain_value[nth]
    return spikes, sound


def battery_states(batch: Batch, memory: Memory, limits: LimitTable) -> Bools:
    """Whether each row's station was low on power when it came, its own report included."""
    told = limits.battery[batch.which] & ~np.isnan(limits.warn_below[batch.which])
    station = limits.station_of[batch.which]
    if not told.any():
        remembered: Bools = memory.low[station]
        return remembered
    order = np.argsort(station, kind="stable")
    begins = np.ones(len(order), bool)
    begins[1:] = station[order][1:] != station[order][:-1]
    # The last place at or before each row where something was told, or where its station begins.
    known = told[order]
    last = np.maximum.accumulate(np.where(known | begins, np.arange(len(order)), 0))
    low = np.where(
        known, batch.value[order] < limits.warn_below[batch.which[order]], memory.low[station[order]]
    )
    states = np.zeros(len(order), bool)
    states[order] = low[last]
    return states


def slot_of(time_us: Ints) -> Ints:
    """The slot of five minutes whose end a reading may be the end of: (start, end]."""
    slots: Ints = (time_us - 1) // SLOT_US
    return slots


def _by_row(look: Look, found: Bools) -> Bools:
    """What was found of elements of the chain, by row of the batch."""
    rows = np.zeros(len(look.batch), bool)
    real = ~look.sequence.first
    rows[look.sequence.chain[real]] = found[real]
    return rows


def _unsorted(sequence: Sequence, found: Bools) -> Bools:
    rows = np.zeros(len(found), bool)
    rows[sequence.rows] = found
    return rows


def _flags(found: Bools, flag: Flag) -> Flags:
    return np.where(found, np.int32(flag), np.int32(0))


STEPS: Final[tuple[Step, ...]] = (
    gross_range,
    rate_of_change,
    stuck_value,
    isolated_spike,
    clock_off,
    duplicate,
    out_of_order,
    neighbour_disagreement,
    low_battery,
    late,
)
