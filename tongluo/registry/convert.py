"""From a row to an entry of the registry, with every fault of the row and not only the first."""

import difflib
import math
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, get_args, get_origin

import msgspec

from tongluo.hazards import Words
from tongluo.registry.csv_file import LISTS
from tongluo.registry.kinds import KINDS, fields_of, must
from tongluo.registry.rows import Fault, Row, shown

_SEPARATOR: Final = re.compile(r"[;；、]")
_LONGEST_TEXT: Final = 1000
_LONGEST_NAME: Final = 100
_NAMES: Final = ("name", "name_en")
_COORDINATES: Final = frozenset({"latitude", "longitude"})
_MISSING: Final = Words("缺少", "is missing")

Path = tuple[str, ...]


class Entry(msgspec.Struct, frozen=True):
    """What a row says. With faults, `value` is what could be read and nothing in place of the rest: good for being
    looked at further, so that everything is told at once, and for nothing else."""

    value: msgspec.Struct
    faults: list[Fault]

    @property
    def faulty(self) -> frozenset[str]:
        """The fields that could not be read; coordinates belong together."""
        fields = {fault.field.split(".")[0] for fault in self.faults}
        return frozenset(fields | _COORDINATES if fields & _COORDINATES else fields)


def key_of(row: Row) -> str:
    """What identifies the row's entry, as it was written; empty where it is not there."""
    key = row.fields.get(KINDS[row.kind].key)
    return "" if key is None else str(key)[:100]


def entry(row: Row, base: msgspec.Struct | None) -> Entry:
    """The entry of a row; a partial row is laid over `base`, what is registered under its key."""
    reading = _Reading(row, key_of(row))
    kind = KINDS[row.kind]
    raw = reading.laid_over(msgspec.to_builtins(base) if row.partial and base is not None else {})
    if not reading.faults:
        # Nearly every row of nearly every file is well and is done with here.
        value = _converted(raw, kind.type, row.lax)
        if value is not None and _believed(value):
            return Entry(value, [])
    reading.struct(kind.type, raw, ())
    reading.tell_swapped(raw)
    if not reading.faults:
        reading.fault(Words("不可用", "is not usable"), ())
    return Entry(_readable(raw, kind.type, row.lax), reading.faults)


def _converted(raw: Any, type_: Any, lax: bool) -> Any:
    """The value of a type, or None where it is none."""
    try:
        return msgspec.convert(raw, type_, strict=not lax)
    except (msgspec.ValidationError, RecursionError):
        return None


def _readable(raw: Mapping[str, Any], type_: type[msgspec.Struct], lax: bool) -> msgspec.Struct:
    """What can be read of an entry; the rest has its default, or something empty."""
    values: dict[str, Any] = {}
    for field in fields_of(type_).values():
        value = _converted(raw[field.name], field.type, lax) if field.name in raw else None
        if value is not None and _believed_value(field.name, value):
            values[field.name] = value
        elif field.required:
            values[field.name] = 0.0 if field.name in _COORDINATES else () if field.name in LISTS else ""
    return type_(**values)


class _Reading:
    """One row being read; gathers its faults."""

    def __init__(self, row: Row, key: str) -> None:
        self.row = row
        self.key = key
        self.faults: list[Fault] = []

    def fault(self, words: Words, path: Path) -> None:
        self.faults.append(self.row.fault(words, self.key, path))

    def laid_over(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The row's fields over `raw`; dotted names reach into what they name."""
        for name, given in self.row.fields.items():
            path = tuple(name.split(".")) if self.row.lax else (name,)
            value = _split(path[0], given) if self.row.lax and len(path) == 1 else given
            self._put(raw, path, value)
        return raw

    def _put(self, raw: dict[str, Any], path: Path, value: Any) -> None:
        holders = [raw]
        for part in path[:-1]:
            inner = holders[-1].get(part)
            if inner is None and value is None:
                return
            if inner is None:
                inner = holders[-1][part] = {}
            if not isinstance(inner, dict):
                self.fault(Words("与另一列冲突", "contradicts another column"), path)
                return
            holders.append(inner)
        if value is not None:
            holders[-1][path[-1]] = value
            return
        holders[-1].pop(path[-1], None)
        for holder, part in zip(reversed(holders[:-1]), reversed(path[:-1]), strict=True):
            if not holder[part]:
                del holder[part]

    def tell_swapped(self, raw: dict[str, Any]) -> None:
        """A latitude beyond the poles that would do as a longitude, and the other way round, by that name."""
        try:
            latitude, longitude = float(raw["latitude"]), float(raw["longitude"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return
        if 90 < abs(latitude) <= 180 and abs(longitude) <= 90:
            self.faults = [fault for fault in self.faults if fault.field not in _COORDINATES]
            self.fault(swapped_words(latitude, longitude), ("latitude",))

    def struct(self, type_: Any, raw: Any, path: Path) -> None:
        if not isinstance(raw, dict):
            self.fault(self._wrong(path, raw), path)
            return
        fields = fields_of(type_)
        for name in raw:
            if name not in fields:
                self.fault(_unknown(str(name), fields), (*path, str(name)))
        for name, field in fields.items():
            if name in raw:
                self.value(field.type, raw[name], (*path, name))
            elif field.required:
                self.fault(_MISSING, (*path, name))

    def value(self, type_: Any, raw: Any, path: Path) -> None:
        if get_origin(type_) is dict:
            self._mapping(type_, raw, path)
        elif isinstance(type_, type) and issubclass(type_, msgspec.Struct):
            self.struct(type_, raw, path)
        else:
            self._leaf(type_, raw, path)

    def _mapping(self, type_: Any, raw: Any, path: Path) -> None:
        if not isinstance(raw, dict):
            self.fault(self._wrong(path, raw), path)
            return
        keys, values = get_args(type_)
        for name, inner in raw.items():
            if isinstance(keys, type) and issubclass(keys, Enum) and name not in {k.value for k in keys}:
                self.fault(self._wrong(path, name), (*path, str(name)))
            else:
                self.value(values, inner, (*path, str(name)))

    def _leaf(self, type_: Any, raw: Any, path: Path) -> None:
        try:
            value = msgspec.convert(raw, type_, strict=not self.row.lax)
        except (msgspec.ValidationError, RecursionError):
            self.fault(self._wrong(path, raw), path)
            return
        if not _believed_value(path[-1], value):
            self.fault(self._wrong(path, raw), path)

    def _wrong(self, path: Path, raw: Any) -> Words:
        """What stands there and what it must be. The path of a wrong level is that of what holds it."""
        expected = must(self.row.kind, path)
        return Words(f"{shown(raw)} 不对，{expected.zh}", f"{shown(raw)} {expected.en}")


def swapped_words(latitude: float, longitude: float) -> Words:
    return Words(
        f"纬度 {latitude:g} 与经度 {longitude:g} 似乎写反了",
        f"latitude {latitude:g} and longitude {longitude:g} look swapped",
    )


def _unknown(name: str, known: Mapping[str, Any]) -> Words:
    near = difflib.get_close_matches(name, known, 1)
    hint_zh, hint_en = (
        (f"，是否指 {near[0]}", f"; is it {near[0]}?") if near else ("", f"; known are {', '.join(known)}")
    )
    hint_zh = hint_zh or f"；有 {', '.join(known)}"
    return Words(f"没有 {shown(name)} 这个字段{hint_zh}", f"there is no field {shown(name)}{hint_en}")


def _split(name: str, given: Any) -> Any:
    """Lists as spreadsheets hold them, and codes that came as numbers."""
    if (
        isinstance(given, int)
        and not isinstance(given, bool)
        and name in ("id", "code", "division", "parent", "phone")
    ):
        return str(given)
    if name not in LISTS or not isinstance(given, str):
        return given
    parts = [part.strip() for part in _SEPARATOR.split(given) if part.strip()]
    return [part.replace(",", " ").split() for part in parts] if name == "outline" else parts


def _believed(value: Any) -> bool:
    return all(_believed_value(name, getattr(value, name)) for name in value.__struct_fields__)


def _believed_value(name: str, value: Any) -> bool:
    """Finite numbers, and texts that a page and a terminal can show."""
    match value:
        case float():
            return math.isfinite(value)
        case str() if not isinstance(value, Enum):
            most = _LONGEST_NAME if name in _NAMES else _LONGEST_TEXT
            text = value.replace("\n", "") if name == "note" else value
            return text.isprintable() and len(value) <= most and (bool(value.strip()) or name not in _NAMES)
        case tuple():
            return all(_believed_value(name, each) for each in value)
        case dict():
            return all(
                _believed_value(str(key), key) and _believed_value("", inner) for key, inner in value.items()
            )
        case msgspec.Struct():
            return _believed(value)
        case _:
            return True
