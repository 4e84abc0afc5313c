"""A finding of silence, in words: who says nothing, why, since when, what it guards, and what goes on around it."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.rules.catalogue.model import SilenceRule
from tongluo.finding import Evidence, Finding, Level, Vote
from tongluo.hazards import Words
from tongluo.liveness import Cause
from tongluo.region import County, Station

MOST_VOTES: Final = 100
# How many stations a sentence names; the votes name all of them.
NAMED: Final = 3

CAUSES: Final = {
    Cause.GATEWAY_OFFLINE: Words("网络：网关已离线", "network: its gateway is offline"),
    Cause.GATEWAY_POWER: Words("供电：网关电池电压偏低", "power: its gateway's battery was low"),
    Cause.GATEWAY_SILENT: Words("网络或供电：网关无数据", "network or power: its gateway says nothing"),
    Cause.COUNTY_SILENT: Words(
        "全县均无数据，疑为中心网络", "nobody is heard: the centre's own network is likely"
    ),
    Cause.STATION_POWER: Words("供电：本站电池电压偏低", "power: its battery was low"),
    Cause.STATION_SILENT: Words("传感器或线路：网关正常", "sensor or cable: its gateway speaks"),
    Cause.UNCLEAR: Words("原因不明", "not known why"),
}
_NOT_FOLLOWED: Final = Words(
    "全县恢复后仍无数据，原因不明", "did not come back with the county, not known why"
)


class Grave(msgspec.Struct, frozen=True):
    """A level of a rule called `name` that makes a silence graver."""

    site: str
    name: Words
    level: Level


class Said(msgspec.Struct, frozen=True):
    """What is said of one silent station. `blind`: it is silent with the whole county."""

    station: Station
    since: datetime
    last: datetime | None
    cause: Cause
    level: Level | None
    blind: bool = False


class Scene(msgspec.Struct, frozen=True):
    """A site's silent stations, the worst first, and the gravest level around."""

    site: str
    said: tuple[Said, ...] = ()
    grave: Grave | None = None

    @property
    def level(self) -> Level | None:
        return self.said[0].level if self.said else None


def finding(rule: SilenceRule, county: County, scene: Scene, time: datetime) -> Finding:
    """The site's level is now the scene's."""
    evidence = Evidence(
        rule=rule.id,
        rule_version=rule.version,
        station=scene.said[0].station.id if scene.said else scene.site,
        time=time,
        sentence=_sentence(county, scene, time),
        figure=_figure(scene),
        source=rule.source,
        votes=tuple(_vote(county, said) for said in scene.said[:MOST_VOTES]),
    )
    return Finding(rule.id, rule.hazard, scene.site, time, scene.level, evidence)


def _vote(county: County, said: Said) -> Vote:
    why, guards = _why(said), _guards(county, said.station)
    return Vote(
        voter=said.station.id,
        level=said.level,
        item=said.cause.value,
        since=said.since,
        words=Words(f"{why.zh}；守护{guards.zh}", f"{why.en}; it guards {guards.en}"),
    )


def _why(said: Said) -> Words:
    if said.cause is Cause.COUNTY_SILENT and not said.blind:
        return _NOT_FOLLOWED
    return CAUSES[said.cause]


def _guards(county: County, station: Station) -> Words:
    """The site a station watches, and where that is."""
    site = county.sites.get(station.site)
    if site is None:
        return Words(station.site, station.site)
    division = county.divisions.get(site.division) or county.township_of(site)
    where = division.name if division is not None else ""
    return Words(f"{where}{site.name}", f"{site.name} ({where})" if where else site.name)


def _figure(scene: Scene) -> Words:
    number = len(scene.said)
    if number == 0:
        return Words("恢复到报", "speaking again")
    return Words(f"{number} 站无数据", f"{number} station{'s' if number > 1 else ''} silent")


def _sentence(county: County, scene: Scene, time: datetime) -> Words:
    if not scene.said:
        site = county.sites.get(scene.site)
        name = site.name if site is not None else scene.site
        return Words(f"{name}：无数据的测站均已恢复到报", f"{name}: every station speaks again")
    blind = [said for said in scene.said if said.blind]
    parts = [_blind(len(blind))] if blind else []
    single = [said for said in scene.said if not said.blind]
    parts += [_one(county, said, time) for said in single[:NAMED]]
    if len(single) > NAMED:
        more = len(single) - NAMED
        parts.append(Words(f"另有 {more} 站无数据", f"{more} more stations are silent"))
    parts.append(_around(county, scene))
    zh, en = [part.zh for part in parts if part.zh], [part.en for part in parts if part.en]
    return Words("；".join(zh), "; ".join(en))


def _blind(number: int) -> Words:
    cause = CAUSES[Cause.COUNTY_SILENT]
    return Words(f"{cause.zh}（{number} 站）", f"{cause.en} ({number} stations)")


def _one(county: County, said: Said, time: datetime) -> Words:
    why, guards = _why(said), _guards(county, said.station)
    ago = time - (said.last or said.since)
    zh, en = lasting(ago)
    return Words(
        f"{said.station.name}已 {zh}无数据（{why.zh}），守护{guards.zh}",
        f"{said.station.name} has said nothing for {en} ({why.en}); it guards {guards.en}",
    )


def _around(county: County, scene: Scene) -> Words:
    if scene.grave is None:
        return Words("", "")
    grave = scene.grave
    site = county.sites.get(grave.site)
    name = site.name if site is not None else grave.site
    return Words(f"{name}{grave.name.zh}{grave.level.zh}色", f"{grave.name.en} {grave.level.value} at {name}")


def lasting(span: timedelta) -> tuple[str, str]:
    """A length of time in its largest unit of which it has two."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < 120:
        return f"{seconds} 秒", f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} 分钟", f"{seconds // 60} min"
    return f"{seconds // 3600} 小时", f"{seconds // 3600} h"
