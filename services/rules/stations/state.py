"""What is remembered of a station, word by word, and what kernels are handed of the rules, the stations and the readings."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.rules.stations.told import Floats, Ints

# What an indicator is.
WINDOW: Final = 0
WEIGHTED: Final = 1
EVENT: Final = 2

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000

# Before any time that a reading can have, and far enough from the ends that spans can be added and taken away.
LONG_AGO: Final = -(2**62)

# A station's state, in 64-bit words: its clock, how many entries it has had, how many triggers are held, whether back-fill
# waits to be judged, before when nothing changes by itself, the clock of the slot NEWER; then by the layout the windows
# (first entry, when it leaves, sum), the events (start, rain, last wet), the soils (end of the day, its rain, Pa), the triggers.
NEWEST: Final = 0
TAIL: Final = 1
HELD: Final = 2
PENDING: Final = 3
NEXT: Final = 4
KEPT: Final = 5
FIXED: Final = 6
# Places of the layout.
WINDOWS: Final = 0
EVENTS: Final = 1
SOILS: Final = 2
TRIGGERS: Final = 3
# Within a window's three words, an event's, a soil's.
HEAD: Final = 0
LEAVES: Final = 1
SUM: Final = 2
START: Final = 0
RAIN: Final = 1
LAST: Final = 2
DAY_ENDS: Final = 0
DAY_RAIN: Final = 1
PA: Final = 2


class Layout(NamedTuple):
    """What the rules ask, the same for all stations. Windows k, indicators j, events e, soils s, lines c, rules r.

    `span` of each window (microseconds). Indicators: `kind`, the `window` or event they are of, their `weight` on each
    window. Events: `curve` (a, b, c, shortest and longest duration in hours), `dry` that ends them. Soils: `soil`
    (k, capacity, normal from, wet from: thousandths of mm), `day_starts` (microseconds UTC). Lines: `indicator`, `rule`,
    `level`, `after` (microseconds), `soil_of` (-1: none). `at` are the places of windows, events, soils, triggers.
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
