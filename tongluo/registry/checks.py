"""What must be true of a whole registry: references lead somewhere, nobody has another's address, numbers make sense."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from tongluo.finding import Level
from tongluo.hazards import Words
from tongluo.reading import METRICS
from tongluo.region import County, Place, Site, Station
from tongluo.registry.convert import swapped_words
from tongluo.registry.kinds import DERIVED, FALLING, metric_of
from tongluo.registry.rows import Fault, Row

Origins = Mapping[tuple[str, str], Row]

#: Around the outlines, in degrees: about twenty kilometres. A ridge gauge may stand beyond the border.
_MARGIN_DEG: Final = 0.2
#: China with its margins, to tell latitude from longitude where no outline helps (WGS 84 degrees).
_CHINA: Final = ((3.0, 73.0), (54.0, 136.0))

Box = tuple[tuple[float, float], tuple[float, float]]


def check(county: County, origins: Origins) -> list[Fault]:
    """Every fault of a registry; `origins` are the rows its entries came from, as far as they did."""
    checking = _Checking(county, origins)
    return [
        *checking.divisions(),
        *checking.townships(),
        *checking.gateways(),
        *checking.sites(),
        *checking.stations(),
        *checking.responders(),
    ]


class _Checking:
    def __init__(self, county: County, origins: Origins) -> None:
        self.county = county
        self.origins = origins
        self.box = _box(county)

    def fault(self, kind: str, key: str, path: str, words: Words, *, warning: bool = False) -> Fault:
        row = self.origins.get((kind, key))
        if row is None:
            return Fault(words, kind=kind, id=key, field=path, warning=warning)
        return row.fault(words, key, tuple(path.split(".")), warning=warning)

    def divisions(self) -> Iterator[Fault]:
        for code, division in self.county.divisions.items():
            parent = division.parent
            if not parent:
                continue
            if parent not in self.county.divisions:
                yield self.fault("division", code, "parent", _unknown_division(parent))
            elif not code.startswith(parent):
                words = Words(
                    f"不在上级 {parent} 的代码之下", f"does not lie under its parent's code {parent}"
                )
                yield self.fault("division", code, "parent", words)

    def townships(self) -> Iterator[Fault]:
        for code, place in self.county.places.items():
            if code not in self.county.divisions:
                yield self.fault("township", code, "code", _unknown_division(code))
            if 0 < len(place.outline) < 3:
                words = Words("一圈至少要三个点", "a ring has at least three points")
                yield self.fault("township", code, "outline", words)
            yield from self._located("township", code, place, _CHINA, inside=False)

    def gateways(self) -> Iterator[Fault]:
        owners: dict[str, str] = {}
        for key, gateway in self.county.gateways.items():
            if gateway.address is None:
                continue
            if gateway.address in owners:
                yield self.fault(
                    "gateway",
                    key,
                    "address",
                    _taken(
                        gateway.address,
                        f"网关 {owners[gateway.address]}",
                        f"gateway {owners[gateway.address]}",
                    ),
                )
            owners.setdefault(gateway.address, key)

    def sites(self) -> Iterator[Fault]:
        for key, site in self.county.sites.items():
            if site.division not in self.county.divisions:
                yield self.fault("site", key, "division", _unknown_division(site.division))
            yield from self._located("site", key, site, self.box)

    def stations(self) -> Iterator[Fault]:
        owners: dict[tuple[str, str], str] = {
            (station.gateway, key): key for key, station in self.county.stations.items()
        }
        for key, station in self.county.stations.items():
            if station.address is not None:
                called = (station.gateway, station.address)
                owner = owners.setdefault(called, key)
                if owner != key:
                    yield self.fault(
                        "station",
                        key,
                        "address",
                        _taken(
                            station.address,
                            f"同一网关的站点 {owner}",
                            f"station {owner} behind the same gateway",
                        ),
                    )
            yield from self._refers(key, station)
            yield from self._measures(key, station)
            yield from self._located("station", key, station, self.box)

    def responders(self) -> Iterator[Fault]:
        for key, responder in self.county.responders.items():
            for area in responder.areas:
                if area not in self.county.divisions:
                    yield self.fault("responder", key, "areas", _unknown_division(area))

    def _refers(self, key: str, station: Station) -> Iterator[Fault]:
        site = self.county.sites.get(station.site)
        if site is None:
            words = Words(f"隐患点 {station.site} 没有登记", f"site {station.site} is not registered")
            yield self.fault("station", key, "site", words)
        if station.gateway not in self.county.gateways:
            words = Words(f"网关 {station.gateway} 没有登记", f"gateway {station.gateway} is not registered")
            yield self.fault("station", key, "gateway", words)
        if not station.division:
            return
        if station.division not in self.county.divisions:
            yield self.fault("station", key, "division", _unknown_division(station.division))
        elif site is not None and station.division[:9] != site.division[:9]:
            words = Words(
                f"与隐患点 {site.id} 不在同一乡镇（{site.division[:9]}）",
                f"lies in another township than its site {site.id} ({site.division[:9]})",
            )
            yield self.fault("station", key, "division", words, warning=True)

    def _measures(self, key: str, station: Station) -> Iterator[Fault]:
        for metric in station.metrics:
            if metric not in METRICS:
                yield self.fault("station", key, "metrics", _unknown_metric(metric))
        if len(set(station.metrics)) < len(station.metrics):
            words = Words("同一监测项列了两次", "names a metric twice")
            yield self.fault("station", key, "metrics", words)
        for metric, limits in station.limits.items():
            path = f"limits.{metric}"
            if metric not in METRICS:
                yield self.fault("station", key, path, _unknown_metric(metric))
            elif metric not in station.metrics:
                yield self.fault("station", key, path, _not_measured(metric), warning=True)
            if limits.lowest is not None and limits.highest is not None and limits.lowest >= limits.highest:
                words = Words(
                    f"下限 {limits.lowest:g} 不低于上限 {limits.highest:g}",
                    f"lowest {limits.lowest:g} is not below highest {limits.highest:g}",
                )
                yield self.fault("station", key, f"{path}.lowest", words)
        for indicator, levels in station.thresholds.items():
            yield from self._threshold(key, station, indicator, levels)

    def _threshold(
        self, key: str, station: Station, indicator: str, levels: Mapping[Level, float]
    ) -> Iterator[Fault]:
        path, metric = f"thresholds.{indicator}", metric_of(indicator)
        if metric is None:
            yield self.fault("station", key, path, _unknown_indicator(indicator))
        elif metric not in station.metrics:
            yield self.fault("station", key, path, _not_measured(metric), warning=True)
        falls = metric in FALLING
        ordered = sorted(levels.items())
        for (lower, less), (higher, more) in pairwise(ordered):
            if (less <= more) if falls else (less >= more):
                words = Words(
                    f"{higher.zh}色阈值 {more:g} 应{'低' if falls else '高'}于{lower.zh}色 {less:g}",
                    f"{higher.value} {more:g} must be {'below' if falls else 'above'} {lower.value} {less:g}",
                )
                yield self.fault("station", key, f"{path}.{higher.value}", words)

    def _located(
        self, kind: str, key: str, thing: Site | Station | Place, box: Box | None, *, inside: bool = True
    ) -> Iterator[Fault]:
        at, turned = (thing.latitude, thing.longitude), (thing.longitude, thing.latitude)
        area = box or _CHINA
        if _within(area, at):
            return
        if _within(area, turned):
            yield self.fault(kind, key, "latitude", swapped_words(*at))
        elif inside and box is not None:
            words = Words(
                f"({at[0]:g}, {at[1]:g}) 在县域范围之外", f"({at[0]:g}, {at[1]:g}) lies outside the county"
            )
            yield self.fault(kind, key, "latitude", words, warning=True)


def _box(county: County) -> Box | None:
    """Around the townships' outlines, or their centres where none is drawn; None without any."""
    points = [
        point
        for place in county.places.values()
        for point in (*place.outline, (place.latitude, place.longitude))
    ]
    if not points:
        return None
    latitudes, longitudes = [p[0] for p in points], [p[1] for p in points]
    return (
        (min(latitudes) - _MARGIN_DEG, min(longitudes) - _MARGIN_DEG),
        (max(latitudes) + _MARGIN_DEG, max(longitudes) + _MARGIN_DEG),
    )


def _within(box: Box, point: tuple[float, float]) -> bool:
    (south, west), (north, east) = box
    return south <= point[0] <= north and west <= point[1] <= east


def _unknown_division(code: str) -> Words:
    return Words(f"{code} 不在行政区划之中", f"{code} is not among the divisions")


def _unknown_metric(name: str) -> Words:
    known = ", ".join(METRICS)
    return Words(f"没有 {name} 这个监测项；有 {known}", f"unknown metric {name}; known are {known}")


def _unknown_indicator(name: str) -> Words:
    known = ", ".join((*METRICS, *DERIVED))
    return Words(
        f"没有 {name} 这个指标；指标名须以其中之一开头：{known}",
        f"unknown indicator {name}; an indicator begins with one of {known}",
    )


def _not_measured(metric: str) -> Words:
    return Words(f"该站点不测 {metric}", f"the station does not measure {metric}")


def _taken(address: str, zh: str, en: str) -> Words:
    return Words(f"地址 {address} 已属于{zh}", f"address {address} is that of {en}")
