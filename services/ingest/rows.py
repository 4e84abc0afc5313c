"""What a batch of messages holds, as columns in the making; and how they become entries of the log."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.places import Places
from services.ingest.quality.inspector import Inspected
from services.ingest.quality.memory import Batch
from tongluo import wire
from tongluo.log.port import Entry
from tongluo.readings import Readings, moment
from tongluo.topics import READINGS

# So many readings at most in one entry: what a consumer takes in one piece stays small.
MOST_PER_ENTRY: Final = 1000


@dataclass
class Rows:
    """Accepted readings in the order in which they came, one element of each list a reading.

    `which` are numbers of series (Places), times microseconds since 1970, `value` in the metric's own unit;
    `received_us` is when the message came in.
    """

    which: list[int] = field(default_factory=list)
    time_us: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    seq: list[int | None] = field(default_factory=list)
    received_us: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.which)

    def batch(self) -> Batch:
        return Batch(
            np.array(self.which, np.int64),
            np.array(self.time_us, np.int64),
            np.array(self.value, np.float64),
            np.array(self.received_us, np.int64),
        )


def entries(rows: Rows, inspected: Inspected, places: Places, by: str) -> Iterator[Entry]:
    """The log's entries for accepted readings: partition by partition, in order, at most a thousand in each.

    An entry has the key of its first reading's site and the time of its newest reading. All sites of a partition share
    it, so what is promised for one key holds for each of them.
    """
    if not len(rows):
        return
    batch, flags = inspected.batch, inspected.flags
    # The same objects in a column that can be taken from by index.
    seq: NDArray[Any] = np.empty(len(rows), object)
    seq[:] = rows.seq
    partition = places.partition[batch.which]
    order = np.argsort(partition, kind="stable")
    edges = np.flatnonzero(np.diff(partition[order])) + 1
    for part in np.split(order, edges):
        for start in range(0, len(part), MOST_PER_ENTRY):
            yield _entry(batch, seq, flags, part[start : start + MOST_PER_ENTRY], places, by)


def _entry(
    batch: Batch,
    seq: NDArray[Any],
    flags: NDArray[np.int32],
    chosen: NDArray[np.int64],
    places: Places,
    by: str,
) -> Entry:
    numbers, which = np.unique(batch.which[chosen], return_inverse=True)
    time_us = batch.time_us[chosen]
    flagged, counted = flags[chosen], seq[chosen].tolist()
    readings = Readings(
        tuple(places.series[number] for number in numbers.tolist()),
        which.tolist(),
        time_us.tolist(),
        batch.value[chosen].tolist(),
        flagged.tolist() if flagged.any() else [],
        counted if any(one is not None for one in counted) else [],
        by,
    )
    site = places.series[int(batch.which[chosen[0]])].site
    return Entry(READINGS, site, wire.READINGS.encode(readings), moment(int(time_us.max())))
