"""Faults, gaps, rules and differences of a catalogue, for a terminal."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.rules.catalogue import Catalogue, reaches
from services.rules.catalogue.diff import Change, What, said, threshold
from services.rules.catalogue.gaps import Gap
from services.rules.catalogue.model import Item, Rule, StationRule
from services.rules.catalogue.resolve import Reach
from tongluo.errors import RuleFault
from tongluo.finding import Level
from tongluo.region import County

_STYLES: Final = {What.ADDED: "green", What.REMOVED: "red", What.CHANGED: "yellow"}
_SIGNS: Final = {What.ADDED: "+", What.REMOVED: "-", What.CHANGED: "~"}
_HEADER: Final = ("blue", "yellow", "orange1", "red")


def faults(out: Console, found: Sequence[RuleFault]) -> None:
    """One a line, as editors and people find them; in both languages."""
    for fault in found:
        line = Text(fault.where, "bold")
        line.append(f"{fault.words.en} · {fault.words.zh}", "red")
        out.print(line)
    out.print(f"{len(found)} to mend", style="red")


def gaps(out: Console, found: Sequence[Gap]) -> None:
    """What is not watched, the stations of one gap together."""
    by_words: dict[tuple[str, str], list[str]] = {}
    for gap in found:
        by_words.setdefault((gap.words.en, gap.words.zh), []).append(gap.station)
    for (en, zh), stations in by_words.items():
        line = Text(f"note: {', '.join(stations)}: ", "yellow")
        line.append(f"{en} · {zh}")
        out.print(line)


def changes(out: Console, found: Sequence[Change]) -> None:
    """A sentence for each difference, rule by rule."""
    if not found:
        out.print("no difference", style="dim")
    for _, of_rule in groupby(found, key=lambda change: change.of):
        for change in of_rule:
            words = f"{_SIGNS[change.what]} {change.words.en} · {change.words.zh}"
            out.print(Text(words, _STYLES[change.what]))


def rules(out: Console, catalogue: Catalogue) -> None:
    """A line for each rule."""
    table = Table("rule", "name", "hazard", "version", box=None, padding=(0, 2, 0, 0))
    for each in catalogue.rules:
        name = f"{each.name.zh} {each.name.en}"
        table.add_row(*(Text(cell) for cell in (each.id, name, each.hazard, each.version)))
    out.print(table)
    out.print(f"catalogue version {catalogue.version}", style="dim")


def rule(out: Console, catalogue: Catalogue, shown: Rule, county: County | None) -> None:
    """All that a rule says; of a station rule its thresholds, and those of every station it judges."""
    out.print(Text(f"{shown.id}  {shown.name.zh} {shown.name.en}  version {shown.version}", "bold"))
    out.print(Text(shown.source, "dim"))
    if not isinstance(shown, StationRule):
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for path, value in said(shown).items():
            if path not in ("id", "source") and value:
                table.add_row(Text(path), Text(value))
        out.print(table)
        return
    for item in shown.items:
        _item(out, item)
        if county is not None:
            _stations(out, catalogue, shown, item, county)


def _levels(*before: str) -> Table:
    table = Table(*before, box=None, padding=(0, 2, 0, 0))
    for level, style in zip(Level, _HEADER, strict=True):
        table.add_column(Text(f"{level.zh} {level.value}", style))
    return table


def _item(out: Console, item: Item) -> None:
    out.print()
    out.print(Text(f"{item.id}: {item.words.zh} {item.words.en} ({item.metric})", "bold"))
    table = _levels("indicator", "unit", "side")
    for one in item.indicators:
        lines = [line for line in item.lines if line.indicator == one.name]
        side = lines[0].side.value if lines else ""
        cells = [one.name, one.unit, side, *(threshold(line) or "-" for line in lines)]
        table.add_row(*(Text(cell) for cell in cells))
    out.print(table)


def _stations(out: Console, catalogue: Catalogue, shown: StationRule, item: Item, county: County) -> None:
    """What holds at every station that measures the item's metric."""
    table = _levels("station", "indicator")
    for station in county.stations.values():
        site = county.sites.get(station.site)
        if site is None or item.metric not in station.metrics or not shown.judges(site):
            continue
        held = reaches(catalogue, shown, item, station)
        if not held:
            table.add_row(Text(station.id), Text("no threshold", "yellow"))
        for name, of_name in groupby(held, key=lambda reach: reach.indicator):
            by_level = {reach.level: _reach(reach) for reach in of_name}
            cells = [station.id, name, *(by_level.get(level, "-") for level in Level)]
            table.add_row(*(Text(cell) for cell in cells))
    if table.row_count:
        out.print(table)


def _reach(reach: Reach) -> str:
    """`60`, or `65/60/50` by state of the ground (dry, normal, wet)."""
    parts = ["-" if math.isnan(value) else f"{value:g}" for value in reach.by_soil]
    return parts[0] if len(set(parts)) == 1 else "/".join(parts)
