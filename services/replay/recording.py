"""A recorded series from CSV: columns `time`, a value, and `station` where there are several. Pure."""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from tongluo.errors import TongluoError

MOST_FAULTS: Final = 20
_AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]


class RecordingError(TongluoError):
    """A file that cannot be replayed; the message lists what is wrong, by line."""


class Sample(msgspec.Struct, frozen=True):
    """One recorded value."""

    time: datetime
    station: str
    value: float


class Recording(msgspec.Struct, frozen=True):
    """Samples in order of time, and how many rows had no value."""

    samples: tuple[Sample, ...]
    missing: int

    @property
    def stations(self) -> tuple[str, ...]:
        return tuple(sorted({sample.station for sample in self.samples}))


def read(lines: Iterable[str], source: str, station: str | None, metric: str) -> Recording:
    """Read a CSV file. `station` names the station of a file without a `station` column.

    Raises RecordingError with the faults of the first lines that have any.
    """
    rows = csv.DictReader(lines)
    value_column, station_column = _columns(rows.fieldnames or [], source, station, metric)
    samples: list[Sample] = []
    faults: list[str] = []
    missing = 0
    for row in _readable(rows, source):
        words = (row.get(value_column) or "").strip()
        if not words:
            missing += 1
            continue
        try:
            samples.append(
                _sample(row, words, (row.get(station_column) or "") if station_column else station or "")
            )
        except ValueError as error:
            faults.append(f"line {rows.line_num}: {error}")
            if len(faults) >= MOST_FAULTS:
                break
    if faults:
        raise RecordingError(
            f"{source} cannot be replayed:\n" + "\n".join(f"  - {fault}" for fault in faults)
        )
    if not samples:
        raise RecordingError(f"{source} holds no value")
    # By time only: of two values for one time the first stays the first, and counts.
    return Recording(tuple(sorted(samples, key=lambda sample: sample.time)), missing)


def _readable(rows: "csv.DictReader[str]", source: str) -> Iterator[dict[str, str | None]]:
    try:
        yield from rows
    except csv.Error as error:
        raise RecordingError(f"{source}: line {rows.line_num + 1} is not CSV: {error}") from error


def _columns(names: Iterable[str], source: str, station: str | None, metric: str) -> tuple[str, str | None]:
    """The names of the value and station columns."""
    present = [name for name in names if name]
    if "time" not in present:
        raise RecordingError(f"{source}: no column `time` (columns: {', '.join(present) or 'none'})")
    station_column = "station" if "station" in present and station is None else None
    if station is None and station_column is None:
        raise RecordingError(f"{source} has no column `station`: name the station with --station")
    rest = [name for name in present if name not in ("time", "station")]
    named = [name for name in rest if name in ("value", metric) or name.startswith(f"{metric}_")]
    candidates = named or rest
    if len(candidates) != 1:
        raise RecordingError(
            f"{source}: which column holds the value? name it `value` or `{metric}` (columns: {', '.join(present)})"
        )
    return candidates[0], station_column


def _sample(row: Mapping[str, str | None], words: str, station: str) -> Sample:
    if not station:
        raise ValueError("no station")
    try:
        time = msgspec.convert((row["time"] or "").strip(), _AwareTime).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        raise ValueError(
            f"time {row['time']!r} is not a time with its zone, such as 2006-09-17T14:00:00+01:00"
        ) from None
    try:
        value = float(words)
    except ValueError:
        raise ValueError(f"value {words!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"value {words!r} is not finite")
    return Sample(time, station, value)
