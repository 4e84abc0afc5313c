"""Quality control as the ingest role has it: batches in, flags out, and what is remembered in between."""

from collections.abc import Sequence as Several
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from services.ingest.places import Places
from services.ingest.quality.limits import LimitTable
from services.ingest.quality.memory import RECENT, Batch, Bools, Ints, Memory, Sequence, in_sequence
from services.ingest.quality.neighbours import Neighbours
from services.ingest.quality.steps import (
    STEPS,
    Flags,
    Look,
    Step,
    battery_states,
    same_since_us,
    slot_of,
    spikes_and_sound,
)
from tongluo.quality import Flag
from tongluo.readings import Readings


@dataclass(frozen=True)
class Inspected:
    """A batch with its flags, and what is needed to remember it."""

    batch: Batch
    flags: Flags
    sequence: Sequence
    believed: Bools


class Inspector:
    """Inspects what comes in. `late_after` None: replay mode, in which nothing comes at its own time."""

    def __init__(self, places: Places, late_after: timedelta | None, steps: Several[Step] = STEPS) -> None:
        self._late_after = late_after
        self._steps = steps
        self._places = places
        self._limits = LimitTable(places, late_after)
        self._neighbours = Neighbours(places)
        self._memory = Memory.of(places)

    def know(self, places: Places) -> None:
        """The registry has changed: what is still there is remembered."""
        self._memory = self._memory.moved(self._places, places)
        self._places = places
        self._limits = LimitTable(places, self._late_after)
        self._neighbours = Neighbours(places)

    def inspect(self, batch: Batch) -> Inspected:
        """The flags of each row. Nothing is remembered before `learn`, which is for when the log has the batch."""
        limits, believed = self._limits, self._believed(batch)
        sequence = in_sequence(batch, self._memory, believed)
        timely = self._late_after is not None
        look = Look(batch, sequence, self._memory, limits, self._neighbours, timely)
        flags = np.zeros(len(batch), np.int32)
        if len(batch):
            for step in self._steps:
                flags |= step(look)
        return Inspected(batch, flags, sequence, believed)

    def learn(self, inspected: Inspected) -> None:
        """Remember the batch that was inspected last, for those that follow."""
        if len(inspected.batch):
            self._remember_rain(inspected)
            self._remember(inspected.batch, inspected.sequence)

    def recall(self, readings: Readings) -> None:
        """Remember readings that the log holds and that were not inspected here; what is not registered is left out."""
        numbers = np.array([self._places.number_of(series) for series in readings.series], np.int64)
        if not len(numbers):
            return
        which = numbers[readings.which]
        known = which >= 0
        time_us = np.array(readings.time_us, np.int64)[known]
        # When they came in is no longer known, and nothing that is remembered depends on it.
        batch = Batch(which[known], time_us, np.array(readings.value, np.float64)[known], time_us)
        if not len(batch):
            return
        believed = self._believed(batch)
        flags = np.array(readings.flags or np.zeros(len(readings)), np.int32)[known]
        self.learn(Inspected(batch, flags, in_sequence(batch, self._memory, believed), believed))
        self._recall_stuck(batch, flags)

    def _recall_stuck(self, batch: Batch, flags: Flags) -> None:
        """A value that was found stuck has been there for longer than its limit, however far back we looked."""
        memory = self._memory
        for row in np.flatnonzero(flags & np.int32(Flag.STUCK)):
            number = batch.which[row]
            limit = self._limits.stuck_after_us[number]
            if memory.value[number] == batch.value[row] and not np.isnan(limit):
                since = batch.time_us[row] - int(limit) - 1
                memory.same_since_us[number] = min(memory.same_since_us[number], since)

    def _believed(self, batch: Batch) -> Bools:
        which = batch.which
        found: Bools = (batch.value >= self._limits.lowest[which]) & (
            batch.value <= self._limits.highest[which]
        )
        return found

    def _remember_rain(self, inspected: Inspected) -> None:
        batch, sequence = inspected.batch, inspected.sequence
        once = np.ones(len(batch), bool)
        once[sequence.rows] = ~sequence.repeated
        rain = np.flatnonzero(self._limits.rain[batch.which] & inspected.believed & once)
        if len(rain):
            self._memory.hours.learn(batch.which[rain], slot_of(batch.time_us[rain]), batch.value[rain])

    def _remember(self, batch: Batch, chain: Sequence) -> None:
        memory = self._memory
        _, sound = spikes_and_sound(chain, memory, self._limits)
        since = same_since_us(chain, memory, self._limits)
        # The last of each series in the chain is its newest.
        last = np.ones(len(chain.chain), bool)
        last[:-1] = chain.chain_which[1:] != chain.chain_which[:-1]
        series = chain.chain_which[last]
        memory.newest_us[series] = chain.chain_time_us[last]
        memory.value[series] = chain.chain_value[last]
        memory.sound[series] = sound[last]
        memory.same_since_us[series] = since[last]
        low = battery_states(batch, memory, self._limits)
        # The last of a station's rows is what is known of it.
        memory.low[self._limits.station_of[batch.which]] = low
        self._remember_times(batch, chain)

    def _remember_times(self, batch: Batch, sequence: Sequence) -> None:
        memory = self._memory
        rows = sequence.rows[~sequence.repeated]
        which = batch.which[rows]
        begins = np.ones(len(rows), bool)
        begins[1:] = which[1:] != which[:-1]
        starts = np.flatnonzero(begins)
        nth = np.arange(len(rows)) - starts[np.cumsum(begins) - 1] if len(rows) else rows
        memory.rings[which, (memory.turns[which] + nth) % RECENT] = batch.time_us[rows]
        counts: Ints = np.diff(np.append(starts, len(rows)))
        memory.turns[which[starts]] += counts
