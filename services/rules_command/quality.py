"""Readings of files as ingest would have flagged them: the same quality control, in replay mode."""

import numpy as np

from services.ingest.places import Places
from services.ingest.quality.inspector import Inspector
from services.ingest.quality.memory import Batch
from services.rules_command.history import Columns, Ints
from tongluo.readings import Series
from tongluo.region import County


class Control:
    """Flags batches in order of time; it remembers what came before. `series` are the history's, by number."""

    def __init__(self, county: County, series: list[Series]) -> None:
        places = Places(county)
        self._inspector = Inspector(places, late_after=None)
        self._numbers: Ints = np.array([places.number_of(one) for one in series], np.int64)

    def flags(self, columns: Columns) -> Ints:
        """What is known against each reading."""
        which = self._numbers[columns.which]
        batch = Batch(which, columns.time_us, columns.value, columns.time_us)
        inspected = self._inspector.inspect(batch)
        self._inspector.learn(inspected)
        return inspected.flags.astype(np.int64)
