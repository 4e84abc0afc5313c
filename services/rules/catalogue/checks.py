"""What must be true of a whole catalogue: nothing twice, references lead somewhere, nothing depends on itself."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from msgspec import UNSET

from services.rules.catalogue.faults import Page
from services.rules.catalogue.lines import Path
from services.rules.catalogue.model import (
    Catalogue,
    FireRule,
    Item,
    Rule,
    SilenceRule,
    Soil,
    StationRule,
    ThresholdRow,
)
from services.rules.catalogue.resolve import Reach, reaches
from services.rules.catalogue.shape import CompoundFile, FileHead, FireFile, SilenceFile, When
from services.rules.catalogue.tables import PARAMETERS, RELATIONS, THRESHOLDS, Tables
from tongluo.finding import Side
from tongluo.region import County, Station, StationKind

_SITE, _STATION, _CAMERA = ("隐患点", "site"), ("站点", "station"), ("摄像机", "camera")


Held = dict[tuple[str, str, str], tuple[Reach, ...]]


@dataclass(frozen=True)
class Parsed:
    """A rule with the file it came from."""

    page: Page
    written: FileHead
    rule: Rule


@dataclass(frozen=True)
class Whole:
    """All that was read. Not `complete`: a rule file could not be read, so that nobody knows which rules there are."""

    parsed: list[Parsed]
    tables: Tables
    pages: Mapping[str, Page]
    catalogue: Catalogue
    county: County | None
    complete: bool

    @property
    def ids(self) -> set[str]:
        return {each.rule.id for each in self.parsed}


def check(whole: Whole) -> None:
    """Tells every fault at the page of its file."""
    _twice(whole)
    _references(whole)
    _circles(whole)
    _threshold_rows(whole)
    _parameter_rows(whole)
    _relation_rows(whole)


def _twice(whole: Whole) -> None:
    """Two rules cannot share a memory, nor two tell the life of one alert; of some kinds there is only one."""
    seen: dict[tuple[str, str], str] = {}
    for each in whole.parsed:
        rule, page = each.rule, each.page
        marks = [("id", rule.id)]
        if getattr(rule, "tell", True):
            marks.append(("hazard", rule.hazard))
        if isinstance(rule, FireRule | SilenceRule):
            marks.append(("kind", str(getattr(each.written, "kind", ""))))
        for what, name in marks:
            first = seen.setdefault((what, name), page.file)
            if name and first != page.file:
                page.fault((what,), f"{name} 在 {first} 里已有", f"{name} is in {first} already")


def _references(whole: Whole) -> None:
    for each in whole.parsed:
        for name, path in _named_rules(each.written):
            _known_rule(whole, each.page, name, path)
        if whole.county is None:
            continue
        sites, cameras = _named_places(each.written)
        for site, path in sites:
            _known(each.page, path, site, whole.county.sites, _SITE)
        known = [s.id for s in whole.county.stations.values() if s.kind is StationKind.FIRE_CAMERA]
        for camera, path in cameras:
            _known(each.page, path, camera, known, _CAMERA)


def _known_rule(whole: Whole, page: Page, name: str, path: Path) -> None:
    if name and whole.complete and name not in whole.ids and "" not in whole.ids:
        near = page.nearest(name, sorted(whole.ids))
        page.fault(path, f"没有规则 {name}{near[0]}", f"there is no rule {name}{near[1]}")


def _known(page: Page, path: Path, name: str, known: Collection[str], called: tuple[str, str]) -> None:
    if name and name not in known:
        near = page.nearest(name, known)
        page.fault(
            path, f"{called[0]} {name} 没有登记{near[0]}", f"{called[1]} {name} is not registered{near[1]}"
        )


def _named_rules(written: FileHead) -> Iterator[tuple[str, Path]]:
    """The rules a rule listens to, and where it says so."""
    if isinstance(written, SilenceFile):
        yield from ((name, ("grave", n)) for n, name in enumerate(written.grave))
    for when, path in _conditions(written):
        if when.rule is not UNSET:
            yield when.rule, (*path, "rule")


def _conditions(written: FileHead) -> Iterator[tuple[When, Path]]:
    if isinstance(written, CompoundFile):
        for n, line in enumerate(written.line):
            yield from _within(line.when, ("line", n, "when"))


def _within(when: When, path: Path) -> Iterator[tuple[When, Path]]:
    yield when, path
    for name in ("all", "any", "of"):
        for n, inner in enumerate(getattr(when, name) or ()):
            yield from _within(inner, (*path, name, n))


def _named_places(written: FileHead) -> tuple[list[tuple[str, Path]], list[tuple[str, Path]]]:
    """Sites and cameras that a rule names."""
    sites: list[tuple[str, Path]] = []
    cameras: list[tuple[str, Path]] = []
    if isinstance(written, CompoundFile):
        sites += ((site, ("sites", n)) for n, site in enumerate(written.sites))
        for when, path in _conditions(written):
            sites += ((site, (*path, "sites", n)) for n, site in enumerate(when.sites or ()))
    if isinstance(written, FireFile):
        cameras += ((camera, ("masks", camera)) for camera in written.masks)
    return sites, cameras


def _circles(whole: Whole) -> None:
    """A rule that listens to others must not, over any number of steps, listen to itself."""
    heard = {each.rule.id: [name for name, _ in _named_rules(each.written)] for each in whole.parsed}
    for each in whole.parsed:
        for name, path in _named_rules(each.written):
            way = _way(heard, name, each.rule.id)
            if way:
                told = " → ".join([each.rule.id, *way])
                each.page.fault(path, f"规则依赖自己：{told}", f"the rule depends on itself: {told}")


def _way(heard: Mapping[str, list[str]], start: str, goal: str) -> list[str]:
    """A shortest way from one rule to another; empty where there is none."""
    came: dict[str, str] = {start: ""}
    waiting = [start]
    for name in waiting:
        if name == goal:
            way = [name]
            while came[way[0]]:
                way.insert(0, came[way[0]])
            return way
        for other in heard.get(name, ()):
            if other not in came:
                came[other] = name
                waiting.append(other)
    return []


def _place(whole: Whole, page: Page, line: int, site: str, station: str) -> None:
    """The site and the station of a row are registered and belong together."""
    if whole.county is None:
        return
    _known(page, (line, "site"), site, whole.county.sites, _SITE)
    _known(page, (line, "station"), station, whole.county.stations, _STATION)
    registered = whole.county.stations.get(station)
    if registered is not None and site and registered.site != site:
        page.fault(
            (line, "site"),
            f"站点 {station} 属于 {registered.site}",
            f"station {station} is of {registered.site}",
        )


def _threshold_rows(whole: Whole) -> None:
    page = whole.pages.get(THRESHOLDS)
    if page is None:
        return
    rules = {rule.id: rule for rule in whole.catalogue.station_rules}
    held: Held = {}
    for line, row in whole.tables.thresholds.items():
        _place(whole, page, line, row.site, row.station)
        _known_rule(whole, page, row.rule, (line, "rule"))
        rule = rules.get(row.rule)
        if rule is None:
            if row.rule in whole.ids:
                page.fault(
                    (line, "rule"), f"规则 {row.rule} 没有阈值表", f"rule {row.rule} takes no thresholds"
                )
            continue
        item = _item_of(rule, row.indicator)
        if item is None:
            near = page.nearest(row.indicator, [one.name for each in rule.items for one in each.indicators])
            page.fault(
                (line, "indicator"), f"规则中没有此指标{near[0]}", f"is no indicator of the rule{near[1]}"
            )
            continue
        if row.soil is not None and item.soil is None:
            page.fault((line, "soil"), "该监测项没有 soil 模型", "the item has no [item.soil]")
        _rises(page, line, row, _held(whole, row, rule, item, held))


def _item_of(rule: StationRule, indicator: str) -> Item | None:
    return next((item for item in rule.items if any(one.name == indicator for one in item.indicators)), None)


def _held(whole: Whole, row: ThresholdRow, rule: StationRule, item: Item, held: Held) -> tuple[Reach, ...]:
    """What holds of an item where a row counts; worked out once for all the rows of a place."""
    key = (row.station or f"site {row.site}", rule.id, item.id)
    if key not in held:
        registered = None if whole.county is None else whole.county.stations.get(row.station)
        site = row.site if registered is None else registered.site
        # Only the tables and the rule: what the registry says is not this file's fault.
        station = Station(row.station, "", StationKind.RAIN_GAUGE, site, "", 0.0, 0.0, (item.metric,))
        held[key] = reaches(whole.catalogue, rule, item, station)
    return held[key]


def _rises(page: Page, line: int, row: ThresholdRow, held: tuple[Reach, ...]) -> None:
    """With a row laid over what is below it, a higher level must still need a worse value."""
    found = sorted((one for one in held if one.indicator == row.indicator), key=lambda one: one.level)
    for state in range(len(Soil)):
        given = [one for one in found if not math.isnan(one.by_soil[state])]
        for lower, higher in pairwise(given):
            less, more = lower.by_soil[state], higher.by_soil[state]
            above = higher.side is Side.ABOVE
            if (less < more if above else less > more) or not {lower.level, higher.level} & set(row.reach):
                continue
            zh, en = ("高", "above") if above else ("低", "below")
            page.fault(
                (line, (higher if higher.level in row.reach else lower).level.value),
                f"{higher.level.zh}色 {more:g} 应{zh}于{lower.level.zh}色 {less:g}",
                f"{higher.level.value} {more:g} must be {en} {lower.level.value} {less:g}",
            )


def _parameter_rows(whole: Whole) -> None:
    page = whole.pages.get(PARAMETERS)
    if page is None:
        return
    indicators = [
        one for rule in whole.catalogue.station_rules for item in rule.items for one in item.indicators
    ]
    lines = [line for rule in whole.catalogue.station_rules for item in rule.items for line in item.lines]
    divisors = {one.divide_by for one in indicators if one.divide_by is not None}
    used = divisors | {line.curve_of for line in lines if line.curve_of is not None}
    sites = {row.site for row in whole.tables.parameters.values() if not row.station}
    for line, row in whole.tables.parameters.items():
        _place(whole, page, line, row.site, row.station)
        if row.station in sites:
            page.fault((line, "station"), "与某隐患点同名", "is the id of a site, too")
        if row.parameter not in used and whole.complete:
            near = page.nearest(row.parameter, sorted(used))
            page.fault((line, "parameter"), f"没有规则用到它{near[0]}", f"is used by no rule{near[1]}")
        if row.parameter in divisors and row.value <= 0.0:
            page.fault((line, "value"), "用作除数，须大于 0", "is divided by: must be above 0")


def _relation_rows(whole: Whole) -> None:
    page = whole.pages.get(RELATIONS)
    if page is None:
        return
    used = {
        w.related for each in whole.parsed for w, _ in _conditions(each.written) if w.related is not UNSET
    }
    for line, row in whole.tables.relations.items():
        if row.relation not in used and whole.complete:
            near = page.nearest(row.relation, sorted(used))
            page.fault((line, "relation"), f"没有规则用到它{near[0]}", f"is used by no rule{near[1]}")
        if whole.county is not None:
            for column, site in (("site", row.site), ("other", row.other)):
                _known(page, (line, column), site, whole.county.sites, _SITE)
