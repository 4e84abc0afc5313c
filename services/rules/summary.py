"""A catalogue in plain values, as the API and the page show it."""

from datetime import timedelta
from typing import Any

import msgspec

from services.rules.catalogue.model import (
    Catalogue,
    CompoundRule,
    FireRule,
    Function,
    Indicator,
    Item,
    LevelLine,
    SilenceRule,
    StationRule,
)
from tongluo.finding import Side

Rule = StationRule | FireRule | SilenceRule | CompoundRule


def summary(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Each rule: what it is called and where it comes from; of a station rule its items with their lines, of the others
    what they say (`says`, with spans in seconds)."""
    rules: list[Rule] = [*catalogue.station_rules, *catalogue.compound]
    rules += [rule for rule in (catalogue.fire, catalogue.silence) if rule is not None]
    return [_rule(rule) for rule in rules]


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "version": rule.version,
        "hazard": rule.hazard,
        "name": msgspec.to_builtins(rule.name),
        "kind": _KINDS[type(rule)],
        "source": rule.source,
        "tell": getattr(rule, "tell", True),
        "items": [_item(item) for item in rule.items] if isinstance(rule, StationRule) else [],
        "says": None if isinstance(rule, StationRule) else _says(rule),
    }


_KINDS = {StationRule: "station", FireRule: "fire", SilenceRule: "silence", CompoundRule: "compound"}
_NAMED = frozenset({"id", "version", "hazard", "name", "source", "tell"})


def _item(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "name": msgspec.to_builtins(item.words),
        "metric": item.metric,
        "indicators": [_indicator(indicator) for indicator in item.indicators],
        "lines": [_line(line) for line in item.lines],
        "release_after_s": item.release_after.total_seconds(),
    }


def _indicator(indicator: Indicator) -> dict[str, Any]:
    """`window_s` is None where there is no one window: of a newest value, of a weighted sum, of an event."""
    return {
        "name": indicator.name,
        "words": msgspec.to_builtins(indicator.words),
        "unit": indicator.unit,
        "window_s": indicator.span.total_seconds() or None,
        "function": "weighted" if indicator.weights is not None else Function(indicator.function).value,
    }


def _line(line: LevelLine) -> dict[str, Any]:
    """`reach` is None where only a table, a curve or the ground gives it; then so is `release`."""
    said: dict[str, Any] = _plain(line)
    ratio, away = said.pop("release_ratio"), said.pop("release_by", None)
    if line.reach is None:
        return {**said, "release": None}
    if away is None:
        away = abs(line.reach * (1.0 - ratio))
    release = line.reach - away if line.side is Side.ABOVE else line.reach + away
    return {**said, "release": round(release, 6)}


def _says(rule: Rule) -> dict[str, Any]:
    return {name: _plain(getattr(rule, name)) for name in rule.__struct_fields__ if name not in _NAMED}


def _plain(value: Any) -> Any:
    """Plain values, spans in seconds."""
    return _seconds(msgspec.to_builtins(value, builtin_types=(timedelta,)))


def _seconds(value: Any) -> Any:
    match value:
        case timedelta():
            return value.total_seconds()
        case dict():
            return {name: _seconds(part) for name, part in value.items()}
        case list() | tuple():
            return [_seconds(part) for part in value]
        case _:
            return value
