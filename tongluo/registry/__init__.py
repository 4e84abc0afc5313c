"""The registry of a county: read from files with every fault at once, compared, written out. Pure: bytes in, words out.

`propose` is the door: files over what is registered give a new registry or the faults that stand against it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tongluo.hazards import Words
from tongluo.region import County, Head
from tongluo.registry.checks import check
from tongluo.registry.convert import entry, key_of
from tongluo.registry.diff import Change, changes
from tongluo.registry.files import read
from tongluo.registry.kinds import KINDS, Kind
from tongluo.registry.rows import MOST_FAULTS, MOST_ROWS, Fault, File, Row, bounded

#: The geography of a county: what a list of instruments does not repeat, and `replace` therefore keeps.
_GEOGRAPHY = ("division", "township")


Key = tuple[str, str]


class Proposal(msgspec.Struct, frozen=True):
    """What files would make of the registry: `county` is None while `faults` has more than warnings."""

    county: County | None
    faults: list[Fault]
    changes: list[Change]


def propose(
    base: County | None, files: Iterable[File], *, replace: bool = False, most_rows: int = MOST_ROWS
) -> Proposal:
    """Lay files over `base`, what is registered (None on a new store).

    What the files name is added or changed, all else stays. With `replace` they are the whole truth: gateways, sites,
    stations and responders they do not name are removed; the county itself, its divisions and townships are kept where
    the files have none.
    """
    found = read(files, most_rows)
    faults = list(found.faults)
    if not found.rows and not faults:
        faults.append(Fault(Words("文件里没有任何条目", "there is no entry in the files")))
    return _judged(base, found.rows, replace, faults)


def put(base: County, kind: Kind, key: str, fields: Mapping[str, Any]) -> Proposal:
    """Add an entry, or change all of it; fields without a value take their default."""
    given = {name: value for name, value in fields.items() if value is not None}
    return _judged(base, [Row(kind.name, {**given, kind.key: key}, "", 0)], False, [])


def remove(base: County, kind: Kind, key: str) -> Proposal:
    """Take an entry out; what refers to it is a fault."""
    table = {name: entry for name, entry in getattr(base, kind.in_county).items() if name != key}
    county = msgspec.structs.replace(base, **{kind.in_county: table})
    wrong = [fault for fault in check(county, {}) if not fault.warning]
    return Proposal(None if wrong else county, bounded(wrong), [] if wrong else changes(base, county))


def _judged(base: County | None, rows: list[Row], replace: bool, faults: list[Fault]) -> Proposal:
    """The proposal of rows; `faults` are those found so far."""
    head, tables, origins, faulty = _merged(base, rows, replace, faults)
    if head is None and not faults:
        faults.append(
            Fault(
                Words(
                    "还没有登记县：文件里须有 [county]",
                    "no county is registered yet: the files must have [county]",
                )
            )
        )
    county = None if head is None else County(head.code, head.name, head.name_en, head.note, **tables)
    if county is not None and all(fault.kind for fault in faults):
        # A file that could not be read at all would leave everything dangling that refers to it.
        for fault in check(county, origins):
            entry_, field = (fault.kind, fault.id), fault.field.split(".")[0]
            # What could not be read is told already; warnings are for entries that the files name.
            told = field in faulty[entry_] if entry_ in faulty else fault.warning and entry_ not in origins
            if not told:
                faults.append(fault)
    if county is None or any(not fault.warning for fault in faults):
        return Proposal(None, bounded(faults), [])
    return Proposal(county, bounded(faults), changes(base, county))


def faults_of(county: County) -> list[Fault]:
    """What stands against a registry that came from no file."""
    return bounded(check(county, {}))


def _merged(
    base: County | None, rows: list[Row], replace: bool, faults: list[Fault]
) -> tuple[Head | None, dict[str, dict[str, Any]], dict[Key, Row], dict[Key, frozenset[str]]]:
    """The tables of the new registry, where each entry came from, and the fields of entries that could not be read.

    Faults are added to `faults`.
    """
    given = {row.kind for row in rows}
    origins: dict[Key, Row] = {}
    faulty: dict[Key, frozenset[str]] = {}
    head: Head | None = head_of(base) if base is not None else None
    tables: dict[str, dict[str, Any]] = {}
    for kind in KINDS.values():
        if kind.in_county:
            dropped = replace and (kind.name not in _GEOGRAPHY or kind.name in given)
            tables[kind.in_county] = {} if base is None or dropped else dict(getattr(base, kind.in_county))
    for row in rows:
        if len(faults) > 2 * MOST_FAULTS:
            # A file of another kind altogether; nobody reads on.
            faults.append(
                Fault(Words("错误太多，未再往下看", "too many faults: not looked at further"), row.file)
            )
            break
        kind, key = KINDS[row.kind], key_of(row)
        if key and (kind.name, key) in origins:
            first = origins[kind.name, key]
            where = f"{first.file}:{first.line}"
            faults.append(
                row.fault(Words(f"出现两次，第一次在 {where}", f"is there twice; first at {where}"), key)
            )
            continue
        origins[kind.name, key] = row
        table = tables.get(kind.in_county)
        read_ = entry(row, head if table is None else table.get(key))
        faults += read_.faults
        if read_.faults:
            faulty[kind.name, key] = read_.faulty
        if table is not None:
            table[key] = read_.value
        elif isinstance(read_.value, Head):
            head = read_.value
    return head, tables, origins, faulty


def head_of(county: County) -> Head:
    """A county without what is in it."""
    return Head(county.code, county.name, county.name_en, county.note)


__all__ = [
    "Change",
    "Fault",
    "File",
    "Proposal",
    "changes",
    "faults_of",
    "head_of",
    "propose",
    "put",
    "remove",
]
