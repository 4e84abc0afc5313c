"""From the files of fire, silence and compound rules to the model, and what makes no sense about them."""

from datetime import timedelta
from typing import Any

from msgspec import UNSET

from services.rules.catalogue.faults import Page
from services.rules.catalogue.indicators import span_of
from services.rules.catalogue.lines import Path
from services.rules.catalogue.model import (
    Combination,
    CompoundLine,
    CompoundRule,
    Condition,
    FireRule,
    SilenceRule,
    Where,
)
from services.rules.catalogue.shape import CompoundFile, FileHead, FireFile, SilenceFile, When
from tongluo.finding import Level
from tongluo.hazards import Words

_ASPECTS = ("near_km", "related", "sites")
_GROUPS = ("all", "any", "of")


def fire_rule(page: Page, file: FireFile) -> FireRule:
    """The rule of a file, without its version; faults go to `page`."""
    if file.crossed < file.single:
        page.fault(("crossed",), "不能低于 single", "must not be below single")
    if file.weather_down >= file.weather_up:
        page.fault(("weather_down",), "须小于 weather_up", "must be below weather_up")
    spans = _spans(page, file, "within", "quiet", "pair_slack")
    for name in ("within", "quiet"):
        if spans[name] == timedelta(0):
            page.fault((name,), "须大于 0", "must be above 0")
    return FireRule(
        **_head(file),
        **spans,
        n=file.n,
        overlap_deg=file.overlap_deg,
        confidence=file.confidence,
        keep_ratio=file.keep_ratio,
        single=file.single,
        crossed=file.crossed,
        least_angle_deg=file.least_angle_deg,
        least_base_m=file.least_base_m,
        bearing_sigma_deg=file.bearing_sigma_deg,
        reach_km=file.reach_km,
        merge_km=file.merge_km,
        weather_up=file.weather_up,
        weather_down=file.weather_down,
        weather_start=file.weather_start,
        masks={camera: tuple(bearings) for camera, bearings in file.masks.items()},
    )


def silence_rule(page: Page, file: SilenceFile) -> SilenceRule:
    """The rule of a file, without its version; faults go to `page`."""
    for n, name in enumerate(file.grave):
        if name and name in file.grave[:n]:
            page.fault(("grave", n), f"{name} 列了两次", f"{name} is listed twice")
    return SilenceRule(
        **_head(file),
        **_spans(page, file, "worse_after"),
        alone=None if file.alone == "none" else Level(file.alone),
        grave=tuple(file.grave),
        grave_from=file.grave_from,
        within_km=file.within_km,
    )


def compound_rule(page: Page, file: CompoundFile) -> CompoundRule:
    """The rule of a file, without its version; faults go to `page`."""
    if not file.kinds and not file.sites:
        page.fault(
            ("kinds",), "须写 kinds 或 sites：判断哪些隐患点", "needs kinds or sites: which sites it judges"
        )
    return CompoundRule(
        **_head(file),
        **_spans(page, file, "release_after"),
        kinds=tuple(kind.value for kind in file.kinds),
        sites=tuple(file.sites),
        lines=tuple(
            CompoundLine(line.level, _combination(page, line.when, ("line", n, "when")))
            for n, line in enumerate(file.line)
        ),
        tell=file.tell,
    )


def _head(file: FileHead) -> dict[str, Any]:
    return {
        "id": file.id,
        "version": "",
        "hazard": file.hazard,
        "name": Words(file.name.zh, file.name.en),
        "source": file.source,
    }


def _spans(page: Page, file: FileHead, *names: str) -> dict[str, Any]:
    return {name: span_of(page, (name,), getattr(file, name)) for name in names}


def _combination(page: Page, when: When, path: Path) -> Combination:
    """The outermost condition: a single one is a combination of one."""
    found = _when(page, when, path)
    return found if isinstance(found, Combination) else Combination(1, (found,))


def _when(page: Page, when: When, path: Path) -> Condition | Combination:
    groups = [name for name in _GROUPS if getattr(when, name) is not UNSET]
    single = [
        name for name in ("rule", "level", *_ASPECTS, "count", "hold") if getattr(when, name) is not UNSET
    ]
    if len(groups) + bool(single) != 1:
        page.fault(
            path,
            "须写一个条件（rule、level），或 all、any、of 之一",
            "needs one condition (rule, level), or one of all, any, of",
        )
    if (when.least is UNSET) != ("of" not in groups):
        page.fault((*path, "least"), "least 与 of 须同时写", "least and of go together")
    if not groups:
        return _condition(page, when, path)
    members = getattr(when, groups[0])
    inner = tuple(_when(page, each, (*path, groups[0], n)) for n, each in enumerate(members))
    least = {"all": len(inner), "any": 1}.get(groups[0], 1 if when.least is UNSET else when.least)
    if least > len(inner):
        page.fault((*path, "least"), f"只有 {len(inner)} 个条件", f"there are only {len(inner)} conditions")
    return Combination(least, inner)


def _condition(page: Page, when: When, path: Path) -> Condition:
    for name in ("rule", "level"):
        if getattr(when, name) is UNSET:
            page.fault((*path, name), "缺少这一项", "is missing")
    aspects = [name for name in _ASPECTS if getattr(when, name) is not UNSET]
    if len(aspects) > 1:
        page.fault(
            (*path, aspects[1]), "near_km、related、sites 只写其一", "say one of near_km, related, sites"
        )
    if when.count is not UNSET and not aspects:
        page.fault(
            (*path, "count"), "只与 near_km、related、sites 同用", "goes with near_km, related or sites"
        )
    sites = () if when.sites is UNSET else tuple(when.sites)
    count = 1 if when.count is UNSET else when.count
    if sites and count > len(sites):
        page.fault((*path, "count"), f"只列了 {len(sites)} 个隐患点", f"only {len(sites)} sites are named")
    where = {"near_km": Where.NEAR, "related": Where.RELATED, "sites": Where.NAMED}
    return Condition(
        rule="" if when.rule is UNSET else when.rule,
        level=Level.BLUE if when.level is UNSET else when.level,
        where=where[aspects[0]] if aspects else Where.HERE,
        within_km=0.0 if when.near_km is UNSET else when.near_km,
        relation="" if when.related is UNSET else when.related,
        sites=sites,
        count=count,
        hold=timedelta(0) if when.hold is UNSET else span_of(page, (*path, "hold"), when.hold),
    )
