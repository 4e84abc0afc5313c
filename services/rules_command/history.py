"""History on disk, as a replay needs it: put in order of time by DuckDB, then read batch by batch.

However large the files and whatever order their rows are in, memory stays bounded (MEMORY); the disk of the temporary folder
must hold about as much as the files themselves.
"""

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from services.rules.past.silences import Presence
from tongluo.errors import TongluoError
from tongluo.liveness import RESOLUTION
from tongluo.readings import Readings, Series

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MEMORY: Final = "1GB"
#: Series of one history: as a large province has.
MOST_SERIES: Final = 200_000
BATCH: Final = 50_000
_RESOLUTION_US: Final = RESOLUTION.seconds * 1_000_000


class HistoryError(TongluoError):
    """A history that cannot be replayed; the message says where and what to mend."""


class Recorded(msgspec.Struct, frozen=True):
    """One metric of one station, as the history calls them. `interval_us`: the usual time between two readings."""

    station: str
    metric: str
    readings: int
    interval_us: int


class Columns(msgspec.Struct, frozen=True):
    """Readings in order of time and series: microseconds, number of the series, value, flags."""

    time_us: Ints
    which: Ints
    value: Floats
    flags: Ints

    def __len__(self) -> int:
        return len(self.time_us)


class History:
    """Rows are loaded into table `loaded` (files.py, stored.py), then `arrange` puts them in order once.

    `twice` counts the readings whose identity (station, metric, time) came before, `contradicting` those of them with
    another value: the greatest of them counts. Both are complete when every batch has been read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = duckdb.connect(
            str(folder / "history.db"),
            config={
                # Nothing is fetched from anywhere: what is needed is built in.
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "memory_limit": MEMORY,
                "threads": "2",
                "temp_directory": str(folder / "spill"),
            },
        )
        self.db.execute("SET TimeZone = 'UTC'")
        self.db.execute(
            "CREATE TABLE loaded (station VARCHAR, metric VARCHAR, t BIGINT, v DOUBLE, f INTEGER)"
        )
        self.series: list[Recorded] = []
        self.flagged = False
        self.missing = 0
        self.readings = 0
        self.first_us = self.last_us = 0
        self.twice = 0
        self.contradicting = 0

    def take(self, file: Path) -> None:
        """Load what stored.copy_out wrote. Raises HistoryError when that was nothing."""
        if file.stat().st_size == 0:
            raise HistoryError("the store holds no reading of that time")
        self.db.execute(
            f"INSERT INTO loaded SELECT * FROM read_csv('{file}', auto_detect=false, header=false, delim=',', "
            "quote='\"', escape='\"', "
            "columns={'station': 'VARCHAR', 'metric': 'VARCHAR', 't': 'BIGINT', 'v': 'DOUBLE', 'f': 'INTEGER'})"
        )
        self.flagged = True

    def arrange(self, until_us: int | None) -> None:
        """Put what was loaded in order; later than `until_us` is left out. Raises HistoryError when nothing is left."""
        given = {"until": until_us if until_us is not None else 2**62}
        self.db.execute(
            "CREATE TABLE series AS SELECT station, metric, count(*) AS number, "
            "CAST(row_number() OVER (ORDER BY station, metric) AS INTEGER) - 1 AS n "
            "FROM loaded WHERE v IS NOT NULL AND t <= $until GROUP BY station, metric",
            given,
        )
        self.db.execute(
            "CREATE TABLE reading AS SELECT t, n, v, f FROM loaded JOIN series USING (station, metric) "
            "WHERE v IS NOT NULL AND t <= $until ORDER BY t, n, v DESC, f",
            given,
        )
        self.missing += self._one("SELECT count(*) FROM loaded WHERE v IS NULL")
        self.db.execute("DROP TABLE loaded")
        self.readings = self._one("SELECT count(*) FROM reading")
        if not self.readings:
            raise HistoryError("the history holds no value (up to --to)")
        if self._one("SELECT count(*) FROM series") > MOST_SERIES:
            raise HistoryError(f"the history has more than {MOST_SERIES} series: replay a part of it")
        self.first_us, self.last_us = self._row("SELECT min(t), max(t) FROM reading")
        rows = self.db.execute(
            "WITH step AS (SELECT n, mode(d) AS usual FROM (SELECT n, t - lag(t) OVER (PARTITION BY n ORDER BY t) AS d "
            "FROM reading) WHERE d > 0 GROUP BY n) "
            "SELECT station, metric, number, coalesce(usual, 0) FROM series LEFT JOIN step USING (n) ORDER BY n"
        ).fetchall()
        self.series = [Recorded(*row) for row in rows]

    def batches(self, size: int = BATCH) -> Iterator[Columns]:
        """Every reading once, in order of time, then of station and metric."""
        last: tuple[int, int, float] | None = None
        for begin in range(0, self.readings, size):
            columns = self._columns(
                "SELECT t, n, v, f FROM reading WHERE rowid >= ? AND rowid < ? ORDER BY rowid",
                [begin, begin + size],
            )
            once, last = self._once(columns, last)
            yield once

    def _once(
        self, columns: Columns, last: tuple[int, int, float] | None
    ) -> tuple[Columns, tuple[int, int, float]]:
        """Of equal identities the first; `last` is the first of the last identity before."""
        t, n, v = columns.time_us, columns.which, columns.value
        new = np.ones(len(columns), bool)
        new[1:] = (t[1:] != t[:-1]) | (n[1:] != n[:-1])
        if last is not None:
            new[0] = (t[0], n[0]) != last[:2]
        starts = np.flatnonzero(new)
        of = np.cumsum(new) - 1
        firsts = v[starts]
        first = np.where(of >= 0, firsts[of] if len(starts) else 0.0, last[2] if last is not None else 0.0)
        self.twice += int((~new).sum())
        self.contradicting += int((~new & (v != first)).sum())
        kept = Columns(t[new], n[new], v[new], columns.flags[new])
        if len(starts):
            last = (int(t[starts[-1]]), int(n[starts[-1]]), float(v[starts[-1]]))
        assert last is not None  # noqa: S101 - the first row of a history is new
        return kept, last

    def window(self, station: str, metric: str, begin_us: int, end_us: int) -> tuple[Ints, Floats]:
        """Times and values of one series with begin < time <= end."""
        columns = self._columns(
            "SELECT t, n, max(v) AS v, 0 AS f FROM reading JOIN series USING (n) WHERE station = ? AND metric = ? "
            "AND t > ? AND t <= ? GROUP BY t, n ORDER BY t",
            [station, metric, begin_us, end_us],
        )
        return columns.time_us, columns.value

    def presence(self, stations: Sequence[str]) -> dict[str, Presence]:
        """When these stations were heard, as far as they were."""
        wanted = "FROM reading JOIN series USING (n) WHERE station IN (SELECT unnest($stations))"
        given = {"stations": list(stations)}
        ends = self.db.execute(
            f"SELECT station, min(t), max(t) {wanted} GROUP BY station ORDER BY station", given
        ).fetchall()
        found = self.db.execute(
            f"SELECT station, p, t FROM (SELECT station, t, lag(t) OVER (PARTITION BY station ORDER BY t) AS p {wanted}) "
            f"WHERE t - p > {_RESOLUTION_US} ORDER BY station, t",
            given,
        ).fetchnumpy()
        names = np.asarray(found["station"]).astype(str)
        began, ended = np.asarray(found["p"], np.int64), np.asarray(found["t"], np.int64)
        edges = {name: (low, high) for name, low, high in _runs(names)}
        none = np.zeros(0, np.int64)
        return {
            station: Presence(first, last, began[slice(*edges[station])], ended[slice(*edges[station])])
            if station in edges
            else Presence(first, last, none, none)
            for station, first, last in ends
        }

    def _columns(self, sql: str, given: list[Any]) -> Columns:
        found = self.db.execute(sql, given).fetchnumpy()
        return Columns(
            np.asarray(found["t"], np.int64),
            np.asarray(found["n"], np.int64),
            np.asarray(found["v"], np.float64),
            np.asarray(found["f"], np.int64),
        )

    def _one(self, sql: str) -> int:
        return int(self._row(sql)[0])

    def _row(self, sql: str) -> tuple[Any, ...]:
        row = self.db.execute(sql).fetchone()
        assert row is not None  # noqa: S101 - aggregates always have a row
        return row


def _runs(names: NDArray[Any]) -> Iterator[tuple[str, int, int]]:
    """Equal names beside each other: the name, where they begin, where they end."""
    if len(names):
        edges = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1], [True]]))
        for low, high in itertools.pairwise(edges):
            yield str(names[low]), int(low), int(high)


def readings(columns: Columns, series: Sequence[Series]) -> Readings:
    """As the engine takes them; only the series that occur are named."""
    present, which = np.unique(columns.which, return_inverse=True)
    return Readings(
        tuple(series[nth] for nth in present),
        which.tolist(),
        columns.time_us.tolist(),
        columns.value.tolist(),
        columns.flags.tolist() if columns.flags.any() else [],
    )


@contextmanager
def opened() -> Iterator[History]:
    """An empty history in a folder of its own, which is gone afterwards. Raises HistoryError for what DuckDB cannot do."""
    with tempfile.TemporaryDirectory(prefix="tongluo-history-") as folder:
        history = History(Path(folder))
        try:
            yield history
        except duckdb.Error as error:
            # Its first line names the file or the limit that was met.
            raise HistoryError(f"the history cannot be read: {str(error).splitlines()[0]}") from error
        finally:
            history.db.close()
