"""What differs between two catalogues, said in sentences: rules added and removed, numbers changed from and to."""

import enum
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from services.rules.catalogue.model import Catalogue, Item, LevelLine, Rule, StationRule
from services.rules.catalogue.tables import PARAMETERS, RELATIONS, THRESHOLDS
from tongluo.hazards import Words


class What(enum.StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """`of` is a rule's id or a table's name, `path` where in it (empty: all of it); `old` and `new` as people write them."""

    what: What
    of: str
    path: str
    words: Words
    old: str = ""
    new: str = ""


_SIGNS: Final = {What.ADDED: ("新增", "added"), What.REMOVED: ("删除", "removed"), What.CHANGED: ("", "")}


def changes(old: Catalogue, new: Catalogue) -> list[Change]:
    """Every difference from `old` to `new`, rules first, then tables."""
    found: list[Change] = []
    rules = {rule.id for rule in (*old.rules, *new.rules)}
    for name in sorted(rules):
        before, after = old.rule(name), new.rule(name)
        if before is None or after is None:
            what = What.ADDED if before is None else What.REMOVED
            zh, en = _SIGNS[what]
            found.append(Change(what, name, "", Words(f"{zh}规则 {name}", f"rule {name} {en}")))
        else:
            found += _between(name, said(before), said(after))
    for table, before_rows, after_rows in _tables(old, new):
        found += _between(table, before_rows, after_rows)
    return found


def said(rule: Rule) -> dict[str, str]:
    """All that a rule says, by path, as people write it; not its version."""
    found = dict(_flat(msgspec.to_builtins(rule, str_keys=True, builtin_types=(timedelta,)), ""))
    found.pop("version")
    if isinstance(rule, StationRule):
        found = {path: value for path, value in found.items() if not path.startswith("items")}
        for item in rule.items:
            found |= {f"{item.id}.{path}": value for path, value in _item(item).items()}
    return found


def _item(item: Item) -> dict[str, str]:
    """An item; its lines by indicator and level. What its lines share is said once for each indicator."""
    plain = msgspec.to_builtins(item, str_keys=True, builtin_types=(timedelta,))
    del plain["lines"], plain["indicators"], plain["id"]
    found = dict(_flat(plain, ""))
    for one in item.indicators:
        as_said = msgspec.to_builtins(one, str_keys=True, builtin_types=(timedelta,))
        del as_said["name"]
        found |= dict(_flat(as_said, one.name))
    for line in item.lines:
        found[f"{line.indicator}.{line.level.value}"] = threshold(line)
        found[f"{line.indicator}.side"] = line.side.value
        found[f"{line.indicator}.release"] = (
            f"x {line.release_ratio:g}" if line.release_by is None else f"by {line.release_by:g}"
        )
    return {path: value for path, value in found.items() if value}


def threshold(line: LevelLine) -> str:
    """A line's reach as people write it; empty where only a table gives it."""
    if line.by_soil is not None:
        return "/".join(f"{soil.value} {value:g}" for soil, value in line.by_soil.items())
    if line.curve_of is not None:
        return f"by {line.curve_of}: " + ", ".join(f"{x:g} → {y:g}" for x, y in line.curve)
    if line.share_of is not None:
        return f"{line.share_of[1]:g} x {line.share_of[0].value}"
    return "" if line.reach is None else f"{line.reach:g}"


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case Mapping():
            for name, inner in value.items():
                yield from _flat(inner, f"{path}.{name}" if path else str(name))
        case list() | tuple() if any(isinstance(each, Mapping) for each in value):
            for n, inner in enumerate(value, 1):
                yield from _flat(inner, f"{path}[{n}]")
        case list() | tuple():
            yield path, ", ".join(map(_text, value))
        case _:
            yield path, _text(value)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case timedelta():
            return span_words(value)
        case list() | tuple():
            return "[" + ", ".join(map(_text, value)) + "]"
        case _:
            return str(value)


def span_words(span: timedelta) -> str:
    """A duration as rule files write it, in the largest unit that fits: 90m, 3h, 2d."""
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0 and not (unit == "d" and seconds == size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _tables(old: Catalogue, new: Catalogue) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    for name, rows in ((THRESHOLDS, _thresholds), (PARAMETERS, _parameters), (RELATIONS, _relations)):
        yield name, rows(old), rows(new)


def _thresholds(catalogue: Catalogue) -> dict[str, str]:
    return {
        " ".join(filter(None, (row.rule, place, row.soil, row.indicator, level.value))): f"{value:g}"
        for place, rows in catalogue.thresholds.items()
        for row in rows
        for level, value in row.reach.items()
    }


def _parameters(catalogue: Catalogue) -> dict[str, str]:
    return {
        f"{place} {name}": f"{value:g}"
        for place, values in catalogue.parameters.items()
        for name, value in values.items()
    }


def _relations(catalogue: Catalogue) -> dict[str, str]:
    return {
        f"{name} {site} {other}": "yes"
        for name, by_site in catalogue.relations.items()
        for site, others in by_site.items()
        for other in others
    }


def _between(of: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path, ""), after.get(path, "")
        if old == new:
            continue
        what = What.CHANGED if old and new else What.ADDED if new else What.REMOVED
        zh, en = _SIGNS[what]
        if of == RELATIONS:
            words = Words(f"{of}：{zh} {path}", f"{of}: {path} {en}")
        elif what is What.CHANGED:
            words = Words(f"{of}：{path} 由 {old} 改为 {new}", f"{of}: {path} changed from {old} to {new}")
        else:
            words = Words(f"{of}：{zh} {path}，{new or old}", f"{of}: {path} {en}: {new or old}")
        yield Change(what, of, path, words, old, new)
