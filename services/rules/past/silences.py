"""Silences of the past, from when stations were heard: by the same patience and for the same causes as live. Pure.

What live judgement knows and a history does not: when a gateway was told to be offline, and its battery. Causes are
therefore a sensor's or a whole gateway's or the county's, never power.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongluo import liveness
from tongluo.liveness import Cause, EventKind, Gap, Heard, StationEvent, Turn
from tongluo.readings import microseconds, moment
from tongluo.region import County, Station

Ints = NDArray[np.int64]


class Presence(msgspec.Struct, frozen=True):
    """When a station was heard (microseconds): first, last, and its pauses over liveness.RESOLUTION in order."""

    first: int
    last: int
    began: Ints
    ended: Ints

    def pauses(self, longer: timedelta) -> Heard:
        """With the pauses over `longer` only."""
        long = np.flatnonzero(self.ended - self.began > longer // timedelta(microseconds=1))
        gaps = tuple(Gap(moment(int(self.began[nth])), moment(int(self.ended[nth]))) for nth in long)
        return Heard(moment(self.first), moment(self.last), gaps)

    def by(self, time_us: int) -> Heard:
        """As it was known then."""
        nth = int(np.searchsorted(self.began, time_us, "right")) - 1
        last = min(self.last, time_us)
        if nth >= 0 and time_us < self.ended[nth]:
            last = int(self.began[nth])
        return Heard(moment(self.first), moment(last))


def silences(
    county: County, heard: Mapping[str, Presence], intervals: int, until: datetime
) -> list[StationEvent]:
    """Stations of `heard` that fell silent or spoke again up to `until`, in order of time.

    `intervals`: after how many of its own a station is silent. One that was never heard is not silent.
    """
    found: list[tuple[Station, Turn]] = []
    for name in sorted(heard):
        station = county.stations[name]
        if liveness.speaks(station):
            limit = liveness.patience(station, intervals)
            turns = liveness.turns(heard[name].pauses(limit), limit, None, until, None)
            found += [(station, turn) for turn in turns]
    scenes: dict[datetime, liveness.Scene] = {}

    def why(station: Station, turn: Turn) -> Cause | None:
        if turn.kind is not EventKind.SILENT:
            return None
        if turn.time not in scenes:
            # Events come in order of time: one scene serves all of a moment.
            scenes.clear()
            at_us = microseconds(turn.time)
            known = {name: one.by(at_us) for name, one in heard.items() if one.first <= at_us}
            scenes[turn.time] = liveness.scene(county, known, {})
        return liveness.cause(scenes[turn.time], station, turn.time, None)

    found.sort(key=lambda one: (one[1].time, one[0].id))
    return [liveness.event(station, turn, why(station, turn)) for station, turn in found]
