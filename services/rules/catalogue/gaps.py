"""Where a well-formed catalogue leaves a station unwatched: nothing to mend in a file, all the more to be known."""

from collections.abc import Iterator

import msgspec

from services.rules.catalogue.model import Catalogue, Item, StationRule
from services.rules.catalogue.resolve import parameter, reaches
from tongluo.hazards import Words
from tongluo.reading import METRICS
from tongluo.region import County, Station


class Gap(msgspec.Struct, frozen=True):
    """What is missing at a station."""

    station: str
    words: Words


def gaps(catalogue: Catalogue, county: County) -> list[Gap]:
    """Metrics without a threshold, indicators without their parameter, registered thresholds that no rule takes."""
    return [
        Gap(station.id, words)
        for station in county.stations.values()
        if station.site in county.sites
        for words in _of_station(catalogue, county, station)
    ]


def _of_station(catalogue: Catalogue, county: County, station: Station) -> Iterator[Words]:
    site = county.sites[station.site]
    judged: set[str] = set()
    names: set[str] = set()
    for rule in catalogue.station_rules:
        for item in rule.items if rule.judges(site) else ():
            if item.metric not in station.metrics:
                continue
            names |= {one.name for one in item.indicators}
            watched = _watched(catalogue, rule, item, station)
            judged |= {item.metric} if watched else set()
            yield from _parameters(catalogue, rule, item, station, watched)
    for metric in station.metrics:
        if metric not in judged and any(
            item.metric == metric for r in catalogue.station_rules for item in r.items
        ):
            zh = METRICS[metric].zh if metric in METRICS else metric
            yield Words(f"{zh}没有任何阈值", f"no threshold for {metric}")
    for indicator in sorted(set(station.thresholds) - names):
        yield Words(
            f"登记的阈值 {indicator} 没有规则采用", f"no rule takes its registered threshold {indicator}"
        )


def _watched(catalogue: Catalogue, rule: StationRule, item: Item, station: Station) -> set[str]:
    """The indicators of an item that have a threshold at a station."""
    return {reach.indicator for reach in reaches(catalogue, rule, item, station)}


def _parameters(
    catalogue: Catalogue, rule: StationRule, item: Item, station: Station, watched: set[str]
) -> Iterator[Words]:
    wanted = {one.divide_by: one.name for one in item.indicators if one.divide_by and one.name in watched}
    wanted |= {line.curve_of: line.indicator for line in item.lines if line.curve_of is not None}
    for name, indicator in wanted.items():
        if parameter(catalogue, station, name) is None:
            yield Words(
                f"规则 {rule.id}：缺少参数 {name}，{indicator} 无法判断",
                f"rule {rule.id}: without parameter {name}, {indicator} is not judged",
            )
