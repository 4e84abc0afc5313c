"""What the steps remember of every series, as arrays by its number; and a batch put in the order they need."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.places import Places

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NEVER: Final = np.iinfo(np.int64).min
# How many times of a series are remembered to know a reading that comes twice.
RECENT: Final = 8


@dataclass(frozen=True)
class Batch:
    """Readings in the order in which they came: number of series, event time, value, when their message came in."""

    which: Ints
    time_us: Ints
    value: Floats
    received_us: Ints

    def __len__(self) -> int:
        return len(self.which)


@dataclass
class Memory:
    """By series: its newest in-order reading, since when it has had that value, the last one that was no spike.

    `rings` are the latest event times, `turns` where the next goes. `low` is by station: whether its battery is low.
    """

    newest_us: Ints
    value: Floats
    same_since_us: Ints
    sound: Floats
    rings: Ints
    turns: Ints
    low: Bools
    hours: "Hours"

    @staticmethod
    def of(places: Places) -> "Memory":
        size = len(places.series)
        return Memory(
            np.full(size, NEVER),
            np.full(size, np.nan),
            np.full(size, NEVER),
            np.full(size, np.nan),
            np.full((size, RECENT), NEVER),
            np.zeros(size, np.int64),
            np.zeros(len(places.county.stations), bool),
            Hours.of(size),
        )

    def moved(self, before: Places, after: Places) -> "Memory":
        """The same of what is still registered after the registry changed."""
        known = {(one.station, one.metric): number for number, one in enumerate(before.series)}
        found = [
            (known[one.station, one.metric], number)
            for number, one in enumerate(after.series)
            if (one.station, one.metric) in known
        ]
        new = Memory.of(after)
        if found:
            old, now = np.array(found).T
            for name in ("newest_us", "value", "same_since_us", "sound", "rings", "turns"):
                getattr(new, name)[now] = getattr(self, name)[old]
            new.hours.amounts[now] = self.hours.amounts[old]
            new.hours.slots[now] = self.hours.slots[old]
            new.low[after.station_of[now]] = self.low[before.station_of[old]]
        return new


# Rain is remembered in slots of five minutes, as many as make an hour and the one that is filling.
SLOT_US: Final = 5 * 60 * 1_000_000
SLOTS: Final = 13


@dataclass
class Hours:
    """The rain of the last hour, in slots of event time: `slots` says which one stands where in `amounts`, in mm."""

    amounts: Floats
    slots: Ints

    @staticmethod
    def of(size: int) -> "Hours":
        return Hours(np.zeros((size, SLOTS)), np.full((size, SLOTS), NEVER))

    def learn(self, numbers: Ints, slots: Ints, amounts: Floats) -> None:
        """Take rain in, in the order in which it came."""
        places = slots % SLOTS
        newest = self.slots[numbers, places]
        if (slots >= newest).all() and not _at_odds(numbers, places, slots):
            fresh = slots > newest
            self.amounts[numbers[fresh], places[fresh]] = 0.0
            self.slots[numbers, places] = slots
            np.add.at(self.amounts, (numbers, places), amounts)
            return
        for number, slot, amount in zip(numbers.tolist(), slots.tolist(), amounts.tolist(), strict=True):
            self._add(number, slot, amount)

    def _add(self, number: int, slot: int, amount: float) -> None:
        place = slot % SLOTS
        if self.slots[number, place] < slot:
            self.slots[number, place] = slot
            self.amounts[number, place] = 0.0
        if self.slots[number, place] == slot:
            self.amounts[number, place] += amount

    def totals(self, numbers: Ints, slots: Ints) -> Floats:
        """Millimetres in the hour up to the end of each slot, of the number beside it."""
        kept = self.slots[numbers]
        within = (kept > slots[:, None] - (SLOTS - 1)) & (kept <= slots[:, None])
        found: Floats = np.where(within, self.amounts[numbers], 0.0).sum(axis=-1)
        return found

    def total(self, numbers: Ints, slot: int) -> Floats:
        """The same up to the end of one slot."""
        return self.totals(numbers, np.full(len(numbers), slot))

    def heard(self, numbers: Ints, slot: int) -> Bools:
        """Which of `numbers` have said anything in that hour."""
        slots = self.slots[numbers]
        found: Bools = np.asarray(((slots > slot - (SLOTS - 1)) & (slots <= slot)).any(axis=-1))
        return found


@dataclass
class Sequence:
    """A batch series by series, each after what was remembered of it: what "the one before" means.

    `rows` are the batch's rows, sorted by series and within a series as they came; `newer` says which of them are newer
    than all before them in their series. `chain` holds those of them that are believed and, at the beginning of each
    series, one element (row -1) that stands for the memory; only these have a predecessor. Everything named `chain_` is
    parallel to it.
    """

    rows: Ints
    newer: Bools
    repeated: Bools
    chain: Ints
    chain_which: Ints
    chain_time_us: Ints
    chain_value: Floats
    first: Bools = field(init=False)

    def __post_init__(self) -> None:
        self.first = self.chain < 0


def _at_odds(numbers: Ints, places: Ints, slots: Ints) -> bool:
    """Whether two different slots are to stand in one place."""
    order = np.lexsort((places, numbers))
    same = (np.diff(numbers[order]) == 0) & (np.diff(places[order]) == 0)
    return bool((same & (np.diff(slots[order]) != 0)).any())


def in_sequence(batch: Batch, memory: Memory, believed: Bools) -> Sequence:
    """Sort a batch. Pure: the memory is only looked at. What is not `believed` (by row) comes before nothing."""
    rows = np.argsort(batch.which, kind="stable")
    which, time = batch.which[rows], batch.time_us[rows]
    begins = np.ones(len(rows), bool)
    begins[1:] = which[1:] != which[:-1]
    starts = np.flatnonzero(begins)
    group = np.cumsum(begins) - 1
    # One element more at the head of each series, for what is remembered of it.
    place = np.arange(len(rows)) + group + 1
    heads = starts + np.arange(len(starts))
    size = len(rows) + len(starts)
    all_which, all_time = np.empty(size, np.int64), np.empty(size, np.int64)
    all_which[place], all_which[heads] = which, which[starts]
    all_time[place], all_time[heads] = time, memory.newest_us[which[starts]]
    # The running maximum within each series: times are ranked, so that series and rank fit into one number.
    _, ranks = np.unique(all_time, return_inverse=True)
    all_group = np.empty(size, np.int64)
    all_group[place], all_group[heads] = group, np.arange(len(starts))
    keys = all_group * (size + 1) + ranks
    counted = keys.copy()
    counted[place[~believed[rows]]] = 0
    newer = keys[place] > np.maximum.accumulate(counted)[place - 1]
    forward = newer & believed[rows]
    chosen = np.zeros(size, bool)
    chosen[heads] = True
    chosen[place[forward]] = True
    source = np.full(size, -1, np.int64)
    source[place] = rows
    chain = source[chosen]
    chain_which = all_which[chosen]
    value = np.where(chain < 0, memory.value[chain_which], batch.value[chain])
    return Sequence(
        rows,
        newer,
        _repeated(rows, which, time, memory),
        chain,
        chain_which,
        all_time[chosen],
        value,
    )


def _repeated(rows: Ints, which: Ints, time: Ints, memory: Memory) -> Bools:
    """Which of the sorted rows have the time of one before them, in this batch or among those remembered."""
    known = (memory.rings[which] == time[:, None]).any(axis=1)
    order = np.lexsort((np.arange(len(rows)), time, which))
    again = np.zeros(len(rows), bool)
    same = (which[order][1:] == which[order][:-1]) & (time[order][1:] == time[order][:-1])
    again[order[1:][same]] = True
    found: Bools = known | again
    return found
