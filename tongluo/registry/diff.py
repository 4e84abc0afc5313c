"""What differs between two registries, entry by entry and field by field."""

import enum
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tongluo.region import County, Head
from tongluo.registry.kinds import KINDS


class What(enum.StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class FieldChange(msgspec.Struct, frozen=True):
    """A field by its dotted name, such as `limits.rain.highest`; None where it is not set."""

    field: str
    old: Any
    new: Any


class Change(msgspec.Struct, frozen=True):
    """One entry that differs. `fields` of an entry that was added or removed are all that it has."""

    kind: str
    id: str
    name: str
    what: What
    fields: list[FieldChange]


def changes(old: County | None, new: County) -> list[Change]:
    """The way from one registry to the other: in the order of the kinds, then of the ids."""
    found = list(_table("county", {} if old is None else _head(old), _head(new)))
    for kind in KINDS.values():
        if kind.in_county:
            before = {} if old is None else getattr(old, kind.in_county)
            found += _table(kind.name, before, getattr(new, kind.in_county))
    return found


def counted(found: Sequence[Change]) -> dict[str, dict[str, int]]:
    """How many entries of each kind were added, removed, changed; kinds without any are left out."""
    counts: dict[str, dict[str, int]] = {}
    for change in found:
        of_kind = counts.setdefault(change.kind, {})
        of_kind[change.what.value] = of_kind.get(change.what.value, 0) + 1
    return counts


def _head(county: County) -> dict[str, Head]:
    # Under no key: a county that changes its code is still the county.
    return {"": Head(county.code, county.name, county.name_en, county.note)}


def _table(kind: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        what = What.ADDED if before is None else What.REMOVED if after is None else What.CHANGED
        flat_before, flat_after = flat(before), flat(after)
        fields = [
            FieldChange(name, flat_before.get(name), flat_after.get(name))
            for name in dict.fromkeys([*flat_before, *flat_after])
            if flat_before.get(name) != flat_after.get(name)
        ]
        named: Any = after if after is not None else before
        yield Change(kind, key or named.code, getattr(named, "name", ""), what, fields)


def flat(entry: msgspec.Struct | None) -> dict[str, Any]:
    """An entry's fields by their dotted names, defaults included."""
    if entry is None:
        return {}
    found: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                walk(f"{prefix}.{name}" if prefix else str(name), inner)
        elif value not in (None, "", {}, (), []):
            found[prefix] = value

    walk("", msgspec.to_builtins({name: getattr(entry, name) for name in entry.__struct_fields__}))
    return found
