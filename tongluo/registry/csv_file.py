"""CSV, one file per kind, as spreadsheets write it: comma, semicolon or tab; lists with `;` inside a cell.

A dotted column reaches into limits and thresholds: `limits.rain.highest`, `thresholds.rain_3h.orange`. A column that is
not there leaves what is registered; an empty cell takes it away.
"""

import csv
import io
from collections import Counter
from pathlib import PurePath
from typing import Any, Final

from tongluo.hazards import Words
from tongluo.registry.kinds import CHINESE, KINDS
from tongluo.registry.rows import MOST_ROWS, Fault, Found, Row, shown

_DELIMITERS: Final = (",", "\t", ";")
_NAMES: Final = {
    **{kind.plural: kind.name for kind in KINDS.values()},
    **{kind.name: kind.name for kind in KINDS.values()},
    **{kind.words.zh: kind.name for kind in KINDS.values()},
}
LISTS: Final = frozenset({"metrics", "areas", "rain_elements", "outline"})


def read(name: str, text: str) -> Found:
    """The rows of a file, or why they cannot be read."""
    found = Found()
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        header = [_column(cell) for cell in next(reader, [])]
        kind = kind_of(name, header)
        if kind is None:
            found.faults.append(_unrecognised(name, header))
            return found
        if twice := [column for column, times in Counter(header).items() if times > 1 and column]:
            words = Words(f"列 {', '.join(twice)} 出现两次", f"column {', '.join(twice)} is there twice")
            found.faults.append(Fault(words, name, 1))
            return found
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                _add(found, Row(kind, {}, name, line, partial=True, lax=True), header, cells)
            line = reader.line_num + 1
            if len(found.rows) > MOST_ROWS:
                break
    except csv.Error as error:
        words = Words(f"不是 CSV：{error}", f"not CSV: {error}")
        found.faults.append(Fault(words, name, reader.line_num))
    return found


def kind_of(name: str, header: list[str]) -> str | None:
    """What a file lists: by its name, else by its columns."""
    stem = PurePath(name.replace("\\", "/")).stem.strip().lower()
    if stem in _NAMES:
        return _NAMES[stem]
    columns = {column.split(".")[0] for column in header}
    for kind in KINDS.values():
        if columns & kind.own:
            return kind.name
    if {"kind", "division"} <= columns:
        return "site"
    if {"code", "latitude"} <= columns:
        return "township"
    return "gateway" if {"id", "name"} <= columns <= {"id", "name", "address"} else None


def _unrecognised(name: str, header: list[str]) -> Fault:
    names = ", ".join(f"{kind.plural}.csv" for kind in KINDS.values())
    columns = shown(", ".join(header))
    return Fault(
        Words(
            f"看不出这张表列的是什么（列：{columns}）：请用 {names} 之一作文件名",
            f"cannot tell what it lists (columns: {columns}): name the file one of {names}",
        ),
        name,
        1,
    )


def _delimiter(text: str) -> str:
    """The one the header has most of."""
    header = text.partition("\n")[0]
    return max(_DELIMITERS, key=header.count)


def _column(cell: str) -> str:
    name = cell.strip()
    return CHINESE.get(name, name)


def _add(found: Found, row: Row, header: list[str], cells: list[str]) -> None:
    if extra := [cell for cell in cells[len(header) :] if cell.strip()]:
        words = Words(
            f"比表头多出一格 {shown(extra[0])}：含分隔符的内容要加引号",
            f"has a cell more than the header, {shown(extra[0])}: quote what contains the delimiter",
        )
        found.faults.append(row.fault(words))
        return
    padded = cells + [""] * (len(header) - len(cells))
    for column, cell in zip(header, padded, strict=False):
        if not column:
            if cell.strip():
                words = Words(
                    f"{shown(cell)} 所在的列没有列名", f"{shown(cell)} stands in a column without a name"
                )
                found.faults.append(row.fault(words))
            continue
        row.fields[column] = _value(column, cell)
    found.rows.append(row)


def _value(column: str, cell: str) -> Any:
    """A cell's text without the spaces around it; of an empty one an empty list, or None."""
    return cell.strip() or ([] if column in LISTS else None)
