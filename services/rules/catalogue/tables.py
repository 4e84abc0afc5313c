"""The county's tables: thresholds.csv, parameters.csv, relations.csv. Rows with their lines, and what is wrong in them."""

import csv
import io
import math
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from services.rules.catalogue.faults import Page, nearest, shown
from services.rules.catalogue.model import Soil, ThresholdRow
from services.rules.catalogue.shape import MOST
from tongluo.finding import Level

THRESHOLDS, PARAMETERS, RELATIONS = "thresholds.csv", "parameters.csv", "relations.csv"
MOST_ROWS: Final = 20_000
_DELIMITERS: Final = (",", "\t", ";")
_LEVELS: Final = tuple(level.value for level in Level)

#: The columns of each table; a table with other columns too is only parameters.csv (who reviewed it, when).
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    THRESHOLDS: ("rule", "site", "station", "soil", "indicator", *_LEVELS),
    PARAMETERS: ("site", "station", "parameter", "value"),
    RELATIONS: ("relation", "site", "other"),
}


class ParameterRow(msgspec.Struct, frozen=True):
    """A row of parameters.csv."""

    site: str
    station: str
    parameter: str
    value: float


class RelationRow(msgspec.Struct, frozen=True):
    """A row of relations.csv: `other` is, say, upstream of `site`."""

    relation: str
    site: str
    other: str


class Tables(msgspec.Struct):
    """The rows of each table by their lines."""

    thresholds: dict[int, ThresholdRow] = {}
    parameters: dict[int, ParameterRow] = {}
    relations: dict[int, RelationRow] = {}


def read_table(page: Page, text: str, into: Tables) -> None:
    """The rows of one table, by its file's name; a row with a fault is left out."""
    seen: dict[tuple[str, ...], int] = {}
    for line, cells in _rows(page, text):
        before = len(page.faults)
        key = _KEYS[page.file](cells)
        _READERS[page.file](page, line, cells, into)
        if len(page.faults) == before:
            first = seen.setdefault(key, line)
            if first != line:
                page.fault((line,), f"与第 {first} 行重复", f"says again what line {first} says")


def _rows(page: Page, text: str) -> list[tuple[int, dict[str, str]]]:
    """Rows by column, with the line each begins on."""
    text = text.removeprefix("\ufeff")
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, dict[str, str]]] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        page.lines[1,] = 1
        if not _header(page, header):
            return []
        line = reader.line_num + 1
        for cells in reader:
            page.lines[line,] = line
            if any(cell.strip() for cell in cells):
                if len(cells) > len(header):
                    page.fault((line,), "比表头多出一格", "has a cell more than the header")
                padded = [cell.strip() for cell in cells] + [""] * (len(header) - len(cells))
                found.append((line, dict(zip(header, padded, strict=False))))
            if len(found) > MOST_ROWS:
                page.fault((line,), f"超过 {MOST_ROWS} 行", f"more than {MOST_ROWS} rows")
                break
            line = reader.line_num + 1
    except csv.Error as error:
        page.lines[reader.line_num,] = reader.line_num
        page.fault((reader.line_num,), f"不是 CSV：{error}", f"not CSV: {error}")
    return found


def _header(page: Page, header: list[str]) -> bool:
    known = COLUMNS[page.file]
    before = len(page.faults)
    for name in known:
        if name not in header:
            page.fault((1, name), f"缺少列 {name}", f"column {name} is missing")
    for n, name in enumerate(header):
        if name and name in header[:n]:
            page.fault(
                (1, f"{name}, {n + 1}"), f"列 {shown(name)} 出现两次", f"column {shown(name)} is there twice"
            )
        elif name not in known and page.file != PARAMETERS:
            near = nearest(name, known)
            page.fault(
                (1, name), f"没有列 {shown(name)}{near[0]}", f"there is no column {shown(name)}{near[1]}"
            )
    return len(page.faults) == before


def _number(page: Page, line: int, column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        page.fault((line, column), f"“{shown(cell)}”不是数", f"“{shown(cell)}” is not a number")
        return 0.0
    if not math.isfinite(value) or abs(value) > MOST:
        page.fault(
            (line, column),
            f"“{shown(cell)}”应为绝对值至多 {MOST:g} 的有限数",
            f"must be finite, at most {MOST:g}",
        )
        return 0.0
    return value


def _given(page: Page, line: int, cells: Mapping[str, str], *columns: str) -> None:
    for column in columns:
        if not cells[column]:
            page.fault((line, column), "不能为空", "must not be empty")


def _placed(page: Page, line: int, cells: Mapping[str, str]) -> None:
    if not cells["site"] and not cells["station"]:
        page.fault((line, "site"), "须写 site 或 station", "needs a site or a station")


def _threshold(page: Page, line: int, cells: Mapping[str, str], into: Tables) -> None:
    before = len(page.faults)
    _given(page, line, cells, "rule", "indicator")
    _placed(page, line, cells)
    soils = [soil.value for soil in Soil]
    known = not cells["soil"] or cells["soil"] in soils
    if not known:
        near = nearest(cells["soil"], soils)
        page.fault((line, "soil"), f"没有这种土壤状态{near[0]}", f"unknown state of the ground{near[1]}")
    reach = {Level(name): _number(page, line, name, cells[name]) for name in _LEVELS if cells[name]}
    if not any(cells[name] for name in _LEVELS):
        page.fault((line, _LEVELS[0]), "没有给出任何阈值", "gives no threshold")
    # A fault that was told before is not counted again.
    if known and len(page.faults) == before:
        soil = Soil(cells["soil"]) if cells["soil"] else None
        into.thresholds[line] = ThresholdRow(
            cells["rule"], cells["indicator"], cells["site"], cells["station"], soil, reach
        )


def _parameter(page: Page, line: int, cells: Mapping[str, str], into: Tables) -> None:
    before = len(page.faults)
    _given(page, line, cells, "parameter", "value")
    _placed(page, line, cells)
    value = _number(page, line, "value", cells["value"]) if cells["value"] else 0.0
    if len(page.faults) == before:
        into.parameters[line] = ParameterRow(cells["site"], cells["station"], cells["parameter"], value)


def _relation(page: Page, line: int, cells: Mapping[str, str], into: Tables) -> None:
    before = len(page.faults)
    _given(page, line, cells, "relation", "site", "other")
    if cells["site"] and cells["site"] == cells["other"]:
        page.fault((line, "other"), "不能是隐患点自己", "must be another site")
    if len(page.faults) == before:
        into.relations[line] = RelationRow(cells["relation"], cells["site"], cells["other"])


_READERS: Final[Mapping[str, Callable[[Page, int, Mapping[str, str], Tables], None]]] = {
    THRESHOLDS: _threshold,
    PARAMETERS: _parameter,
    RELATIONS: _relation,
}
# What a row is about: of a station, the site beside it is only for the reader.
_KEYS: Final[Mapping[str, Callable[[Mapping[str, str]], tuple[str, ...]]]] = {
    THRESHOLDS: lambda c: (c["rule"], c["station"] or f"site {c['site']}", c["soil"], c["indicator"]),
    PARAMETERS: lambda c: (c["station"] or f"site {c['site']}", c["parameter"]),
    RELATIONS: lambda c: (c["relation"], c["site"], c["other"]),
}
