"""The county a history is judged in: what is registered, and for every other station of the history a site of its own."""

import hashlib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

import msgspec

from tongluo.reading import METRICS
from tongluo.readings import Series
from tongluo.region import County, Gateway, Site, SiteKind, Station, StationKind

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_GATEWAY: Final = "HISTORY"
_LONGEST: Final = timedelta(days=1)
_NOWHERE: Final = County("000000", "", "", "", {}, {}, {}, {}, {})


class Place(msgspec.Struct, frozen=True):
    """A station of a history: what it calls it, its metrics, and the usual time between its readings (None: not known).

    `kind` is of its site, where it is not registered; None: by what is measured.
    """

    name: str
    metrics: tuple[str, ...]
    interval: timedelta | None = None
    kind: SiteKind | None = None


class Told(msgspec.Struct, frozen=True):
    """The county, and the ids of the history's stations by what the history calls them; `strangers` are not registered."""

    county: County
    ids: Mapping[str, str]
    strangers: tuple[str, ...]

    def series(self, station: str, metric: str) -> Series:
        """A series of the history as the engine knows it."""
        known = self.county.stations[self.ids[station]]
        return Series(known.id, metric, known.site, known.gateway)


def placed(base: County | None, places: Iterable[Place]) -> Told:
    """Every place in the county: a station by its id or its address where one is registered, else a site of its own.

    Such a site has the station's id, which is its name where that can be one. It lies far from all others, so that nothing
    is near it, and its kind follows from what is measured there.
    """
    county = base if base is not None else _NOWHERE
    sites, stations = dict(county.sites), dict(county.stations)
    addresses = {one.address: one.id for one in county.stations.values() if one.address is not None}
    ids: dict[str, str] = {}
    strangers: list[str] = []
    for place in places:
        known = county.stations.get(place.name) or county.stations.get(addresses.get(place.name, ""))
        if known is None:
            name = _id(place.name, stations, sites)
            sites[name] = _site(name, place, len(strangers), county.code)
            stations[name] = _station(name, place, sites[name])
            strangers.append(place.name)
        else:
            name = known.id
            metrics = tuple(dict.fromkeys((*known.metrics, *place.metrics)))
            stations[name] = msgspec.structs.replace(known, metrics=metrics)
        ids[place.name] = name
    gateways = {**county.gateways, _GATEWAY: Gateway(_GATEWAY, "history")} if strangers else county.gateways
    return Told(
        msgspec.structs.replace(county, sites=sites, stations=stations, gateways=gateways),
        ids,
        tuple(strangers),
    )


def known_metrics(metrics: Iterable[str]) -> tuple[list[str], list[str]]:
    """Those that can be judged, and the others."""
    found = sorted(set(metrics))
    return [one for one in found if one in METRICS], [one for one in found if one not in METRICS]


def _id(name: str, stations: Container[str], sites: Container[str]) -> str:
    """A name made an id: what cannot stand in one becomes `-`, and a digest tells apart what then looks alike."""
    if _ID.fullmatch(name) and name not in stations and name not in sites:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:50].strip('-')}-{digest}".lstrip("-")


def _site(name: str, place: Place, nth: int, division: str) -> Site:
    # One degree apart: further than any rule looks around.
    latitude, longitude = -60.0 + nth % 120, -180.0 + nth // 120 % 360
    return Site(name, place.name[:100], place.kind or _kinds(place.metrics)[0], division, latitude, longitude)


def _station(name: str, place: Place, site: Site) -> Station:
    interval = place.interval if place.interval is not None else timedelta(minutes=5)
    return Station(
        name,
        place.name[:100],
        _kinds(place.metrics)[1],
        site.id,
        _GATEWAY,
        site.latitude,
        site.longitude,
        place.metrics,
        int(min(max(interval, timedelta(seconds=1)), _LONGEST).total_seconds()),
    )


_POND: Final = frozenset({"phreatic_depth", "pond_level", "dry_beach", "freeboard", "seepage"})


def _kinds(metrics: Sequence[str]) -> tuple[SiteKind, StationKind]:
    if any(one.startswith("displacement") or one in ("crack", "tilt") for one in metrics):
        return SiteKind.SLOPE, StationKind.DISPLACEMENT_POINT
    if any(one in _POND for one in metrics):
        return SiteKind.TAILINGS_POND, StationKind.POND_SECTION
    return SiteKind.CATCHMENT, StationKind.RAIN_GAUGE
