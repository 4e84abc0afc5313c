"""What a kernel tells: changes of level of one station under one rule, as rows of two arrays."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.rules.stations.compiled import inlined

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Columns of `ints`. LATE: found by readings that came after later ones had been judged. COUNT and FIRST: the readings in
# the longest window. SOIL: how wet the ground was (0 to 2).
ROW: Final = 0
RULE: Final = 1
TIME: Final = 2
LEVEL: Final = 3
LINE: Final = 4
LATE: Final = 5
COUNT: Final = 6
FIRST: Final = 7
NTH: Final = 8
SOIL: Final = 9
COLUMNS: Final = 10

# A trigger, one number for each line of each station: not held, held, or held and calm since that time.
NOT_HELD: Final = -(2**63)
STEADY: Final = NOT_HELD + 1
NEVER: Final = NOT_HELD + 2
LAST_TIME: Final = 2**63 - 1

# The slots of a station's state: as of its newest reading, and two earlier ones to judge again from.
LIVE: Final = 0
OLDER: Final = 1
NEWER: Final = 2
SLOTS: Final = 3

# Why a kernel came back: it is through, a station's memory is full, or the sheet is.
DONE: Final = 0
ROOM: Final = 1
FULL: Final = 2


class Sheet(NamedTuple):
    """Where changes are written: `ints` by the columns above, `values` the indicators at that moment.

    `number` holds how many there are.
    """

    ints: Ints
    values: Floats
    number: Ints


def sheet(indicators: int, room: int = 4096) -> Sheet:
    """An empty one."""
    return Sheet(
        np.zeros((room, COLUMNS), np.int64), np.zeros((room, max(indicators, 1))), np.zeros(1, np.int64)
    )


class Told(NamedTuple):
    """A change of level as a kernel writes it down: under which rule, when, to what and by which line, whether late, and the
    reading that showed it."""

    row: int
    rule: int
    time: int
    level: int
    line: int
    late: int
    nth: int


@inlined
def write(out: Sheet, change: Told, count: int, first: int, soil: int) -> int:
    """Write a change down, but for its indicators; returns at which place."""
    place: int = out.number[0]
    out.ints[place, ROW] = change.row
    out.ints[place, RULE] = change.rule
    out.ints[place, TIME] = change.time
    out.ints[place, LEVEL] = change.level
    out.ints[place, LINE] = change.line
    out.ints[place, LATE] = change.late
    out.ints[place, NTH] = change.nth
    out.ints[place, COUNT] = count
    out.ints[place, FIRST] = first
    out.ints[place, SOIL] = soil
    out.number[0] = place + 1
    return place
