"""History from CSV and Parquet files: columns `time, station, metric, value`, `flags` if there is one, others ignored.

Bad rows are named by line, the first MOST_FAULTS of a file, with how many there are.
"""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

import msgspec

from services.rules_command.history import History, HistoryError
from tongluo.reading import METRICS

MOST_FAULTS: Final = 20
_AWARE: Final = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)? ?(Z|[+-]\d{2}(:?\d{2})?)"
_NAIVE: Final = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)?)?"
_NUMBER: Final = r"[+-]?(\d+([.]\d*)?|[.]\d+)([eE][+-]?\d{1,3})?"
_FLAGS: Final = r"\d{1,4}"
_NAME: Final = r"[^\p{Cc}]{1,200}"
#: How published series say that there is no value.
_NO_VALUE: Final = ("", "na", "nan", "null", "none", "-", "--")
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_WELL_DATED: Final = "t BETWEEN epoch_us(TIMESTAMPTZ '1900-01-01') AND epoch_us(TIMESTAMPTZ '2200-01-01') - 1"


class Given(msgspec.Struct, frozen=True):
    """What the command line says of files that do not: their station, their metric, the offset of times without one."""

    station: str | None = None
    metric: str | None = None
    zone: str | None = None


class _Sheet(msgspec.Struct, frozen=True):
    """Where things stand in a file: columns by number from 0; None where the command line says it."""

    path: Path
    names: tuple[str, ...]
    time: int
    value: int
    station: int | None
    metric: int | None
    flags: int | None
    delimiter: str = ","


def load(history: History, paths: Sequence[Path], given: Given) -> None:
    """Read files into a history. Raises HistoryError with the faults of all of them."""
    if given.metric is not None and given.metric not in METRICS:
        raise HistoryError(f"--metric {given.metric}: unknown; known are {', '.join(METRICS)}")
    if given.zone is not None and not re.fullmatch(r"Z|[+-]\d{2}:\d{2}", given.zone):
        raise HistoryError(f"--zone {given.zone}: an offset such as +08:00 is needed")
    faults: list[str] = []
    for nth, path in enumerate(paths):
        try:
            faults += _load(history, nth, path, given)
        except HistoryError as error:
            faults.append(str(error))
        except OSError as error:
            faults.append(f"{path}: cannot be read: {error.strerror}")
    if faults:
        raise HistoryError("the history cannot be read:\n" + "\n".join(f"  - {fault}" for fault in faults))


def _load(history: History, nth: int, path: Path, given: Given) -> list[str]:
    """Read one file; returns its faults."""
    with path.open("rb") as file:
        parquet = file.read(4) == b"PAR1"
    # Under a name of our own: what a path says is never a pattern or an address to the reader.
    link = history.folder / f"input-{nth}.{'parquet' if parquet else 'csv'}"
    link.symlink_to(path.resolve())
    return _parquet(history, link, path, given) if parquet else _csv(history, link, path, given)


def _sheet(path: Path, names: Sequence[str], given: Given, delimiter: str = ",") -> _Sheet:
    """Raises HistoryError naming the column that is missing."""
    lower = [name.strip().lower() for name in names]

    def at(name: str) -> int | None:
        if lower.count(name) > 1:
            raise HistoryError(f"{path}: there are {lower.count(name)} columns `{name}`")
        return lower.index(name) if name in lower else None

    time, station, metric = at("time"), at("station"), at("metric")
    listed = ", ".join(names) or "none"
    if time is None:
        raise HistoryError(f"{path}: no column `time` (columns: {listed})")
    if station is None and given.station is None:
        raise HistoryError(f"{path}: no column `station`: name the station with --station")
    if metric is None and given.metric is None:
        raise HistoryError(f"{path}: no column `metric`: name the metric with --metric")
    value = at("value")
    if value is None and metric is None:
        fitting = [
            n for n, name in enumerate(lower) if name == given.metric or name.startswith(f"{given.metric}_")
        ]
        value = fitting[0] if len(fitting) == 1 else None
    if value is None:
        raise HistoryError(f"{path}: which column holds the value? name it `value` (columns: {listed})")
    return _Sheet(path, tuple(names), time, value, station, metric, at("flags"), delimiter)


# -- CSV


def _csv(history: History, link: Path, path: Path, given: Given) -> list[str]:
    sheet = _header(path, given)
    columns = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(len(sheet.names)))
    source = (
        f"read_csv('{link}', auto_detect=false, header=true, delim='{sheet.delimiter}', quote='\"', escape='\"', "
        f"columns={{{columns}}}, nullstr='', store_rejects=true, strict_mode=true, max_line_size=1000000)"
    )
    bad = _insert(history, sheet, given, _words(sheet), source)
    rejected = history.db.execute("SELECT count(DISTINCT line) FROM reject_errors").fetchone()
    history.db.execute("DROP TABLE reject_errors")
    history.db.execute("DROP TABLE reject_scans")
    bad += rejected[0] if rejected is not None else 0
    return _told(path, list(_explained(sheet, given)), bad) if bad else []


def _header(path: Path, given: Given) -> _Sheet:
    with path.open("rb") as file:
        line = file.readline(100_000)
    try:
        first = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HistoryError(f"{path}: is not UTF-8: save it as CSV UTF-8") from error
    for delimiter in (",", ";", "\t"):
        names = next(csv.reader([first], delimiter=delimiter), [])
        if len(names) > 1:
            return _sheet(path, names, given, delimiter)
    return _sheet(path, [first.strip()] if first.strip() else [], given)


def _words(sheet: _Sheet) -> dict[str, str]:
    """The columns as text."""
    return {
        name: f"trim(coalesce(c{at}, ''))"
        for name in ("time", "value", "station", "metric", "flags")
        if (at := getattr(sheet, name)) is not None
    }


def _insert(history: History, sheet: _Sheet, given: Given, words: dict[str, str], source: str) -> int:
    """Load a file's rows; returns how many cannot be."""
    picked = _picked(given, words)
    history.db.execute(f"CREATE TEMP TABLE picked AS {picked} FROM {source}", _parameters(given, words))
    history.db.execute(f"INSERT INTO loaded SELECT station, metric, t, v, f FROM picked WHERE {_GOOD}")
    bad = history.db.execute(f"SELECT count(*) FROM picked WHERE NOT ({_GOOD})").fetchone()
    history.db.execute("DROP TABLE picked")
    history.flagged = history.flagged or sheet.flags is not None
    return int(bad[0]) if bad is not None else 0


_GOOD: Final = (
    f"coalesce({_WELL_DATED} AND regexp_full_match(station, '{_NAME}') AND regexp_full_match(metric, '{_NAME}') "
    "AND f BETWEEN 0 AND 1023 AND (missing OR isfinite(v)), false)"
)


def _parameters(given: Given, words: dict[str, str]) -> dict[str, str]:
    found = {"station": given.station, "metric": given.metric}
    return {name: value for name, value in found.items() if name not in words and value is not None}


def _picked(given: Given, words: dict[str, str]) -> str:
    """SELECT of station, metric, t (microseconds, NULL where wrong), v, f, missing."""
    time, value = words["time"], words["value"]
    zoned = f"WHEN regexp_full_match({time}, '{_NAIVE}') THEN {time} || '{given.zone}'" if given.zone else ""
    flags = "0"
    if "flags" in words:
        flags = f"CASE WHEN regexp_full_match({words['flags']}, '{_FLAGS}') THEN CAST({words['flags']} AS INTEGER) END"
    nothing = ", ".join(f"'{word}'" for word in _NO_VALUE)
    return (
        f"SELECT {words.get('station', '$station')} AS station, {words.get('metric', '$metric')} AS metric, "
        f"epoch_us(TRY_CAST(CASE WHEN regexp_full_match({time}, '{_AWARE}') THEN {time} {zoned} END AS TIMESTAMPTZ)) "
        f"AS t, CASE WHEN regexp_full_match({value}, '{_NUMBER}') THEN TRY_CAST({value} AS DOUBLE) END AS v, "
        f"{flags} AS f, lower({value}) IN ({nothing}) AS missing"
    )


def _explained(sheet: _Sheet, given: Given) -> Iterator[str]:
    """What is wrong with the first rows that have a fault, by line: read once more, slowly."""
    with sheet.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(_bounded(file), delimiter=sheet.delimiter, strict=True)
        try:
            next(rows, None)
            for row in rows:
                fault = _fault(sheet, given, row) if row else None
                if fault is not None:
                    yield f"{sheet.path}:{rows.line_num}: {fault}"
        except csv.Error as error:
            yield f"{sheet.path}:{rows.line_num}: is not CSV: {error}"


def _bounded(file: TextIO) -> Iterator[str]:
    while line := file.readline(1_000_000):
        yield line


def _fault(sheet: _Sheet, given: Given, row: Sequence[str]) -> str | None:
    if len(row) != len(sheet.names):
        return f"has {len(row)} columns, the header {len(sheet.names)}"
    if any("\udc80" <= c <= "\udcff" for cell in row for c in cell):
        return "is not UTF-8"
    of = {name: row[at].strip() for name in ("time", "value") if (at := getattr(sheet, name)) is not None}
    for name in ("station", "metric"):
        at = getattr(sheet, name)
        words = row[at].strip() if at is not None else getattr(given, name)
        if not 1 <= len(words) <= 200 or not words.isprintable():
            return f"{name} {words[:60]!r} is not a name"
    if sheet.flags is not None and (
        not re.fullmatch(_FLAGS, row[sheet.flags].strip()) or int(row[sheet.flags]) > 1023
    ):
        return f"flags {row[sheet.flags][:60]!r} are not a number from 0 to 1023"
    if of["value"].lower() not in _NO_VALUE and not _is_number(of["value"]):
        return f"value {of['value'][:60]!r} is not a number"
    return _time_fault(of["time"], given)


def _is_number(words: str) -> bool:
    return bool(re.fullmatch(_NUMBER, words)) and math.isfinite(float(words))


def _time_fault(words: str, given: Given) -> str | None:
    if re.fullmatch(_NAIVE, words):
        if given.zone is None:
            return f"time {words!r} has no zone: write +08:00 (or Z) behind it, or say --zone +08:00 for the whole file"
        words = f"{words}{given.zone}" if len(words) > 10 else f"{words}T00:00{given.zone}"
    wrong = f"time {words[:60]!r} is not a time with its zone between 1900 and 2199, such as 2006-09-17T14:00:00+08:00"
    if not re.fullmatch(_AWARE, words):
        return wrong
    try:
        parsed = datetime.fromisoformat(words.replace(" Z", "Z").replace(" +", "+"))
    except ValueError:
        return wrong
    return None if _FIRST <= parsed < _LAST else wrong


def _told(path: Path, explained: Sequence[str], bad: int) -> list[str]:
    """The first faults, and how many there are in all."""
    shown = list(explained[:MOST_FAULTS])
    if bad > len(shown):
        shown.append(f"{path}: {bad} rows in all cannot be read")
    return shown


# -- Parquet


def _parquet(history: History, link: Path, path: Path, given: Given) -> list[str]:
    described = history.db.execute(f"DESCRIBE SELECT * FROM read_parquet('{link}')").fetchall()
    types = [str(row[1]) for row in described]
    sheet = _sheet(path, [str(row[0]) for row in described], given)
    words = _typed(sheet, types, given)
    renamed = ", ".join(f"c{n}" for n in range(len(types)))
    source = f"(SELECT * FROM read_parquet('{link}')) AS file({renamed})"
    bad = _insert(history, sheet, given, words, source)
    if not bad:
        return []
    numbered = f"(SELECT * FROM read_parquet('{link}', file_row_number=true)) AS file({renamed}, row_number)"
    rows = history.db.execute(
        f"SELECT row_number + 1, {words['time']}, {words['value']} FROM "
        f"({_picked(given, words)}, * FROM {numbered}) WHERE NOT ({_GOOD}) ORDER BY row_number LIMIT {MOST_FAULTS}",
        _parameters(given, words),
    ).fetchall()
    explained = [
        f"{path}: row {number}: {_time_fault(str(time), given) or f'value {str(value)[:60]!r}, station or flags are wrong'}"
        for number, time, value in rows
    ]
    return _told(path, explained, bad)


def _typed(sheet: _Sheet, types: Sequence[str], given: Given) -> dict[str, str]:
    """The columns as text, from whatever type they have. Raises HistoryError for a time that says no instant."""
    kind = types[sheet.time]
    if kind.startswith("TIMESTAMP") and kind != "TIMESTAMP WITH TIME ZONE" and given.zone is None:
        raise HistoryError(
            f"{sheet.path}: column `time` has no zone ({kind}): write it as UTC timestamps, or say --zone +08:00"
        )
    if not kind.startswith("TIMESTAMP") and kind not in ("VARCHAR", "DATE"):
        raise HistoryError(f"{sheet.path}: column `time` is {kind}: timestamps or ISO 8601 text are needed")
    return _words(sheet) | {
        name: f"trim(coalesce(CAST(c{at} AS VARCHAR), ''))"
        for name in ("time", "value", "station", "metric", "flags")
        if (at := getattr(sheet, name)) is not None
    }


__all__ = ["Given", "load"]
