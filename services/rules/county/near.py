"""Which sites are near which."""

import math
from functools import cache
from typing import Final

from tongluo.region import County, Site

# Mean radius R1 of the GRS 80 ellipsoid (Moritz 2000, Geodetic Reference System 1980).
EARTH_KM: Final = 6371.0088


def distance_km(a: Site, b: Site) -> float:
    """Great-circle distance by the haversine formula (Sinnott 1984), on a sphere of the mean radius."""
    north = math.radians(b.latitude - a.latitude)
    east = math.radians(b.longitude - a.longitude)
    half = (
        math.sin(north / 2) ** 2
        + math.cos(math.radians(a.latitude)) * math.cos(math.radians(b.latitude)) * math.sin(east / 2) ** 2
    )
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


class Nearness:
    """The sites of a county by distance; each question is answered once."""

    def __init__(self, county: County) -> None:
        self._sites = [county.sites[name] for name in sorted(county.sites)]
        self._known = county.sites
        self.within = cache(self._within)

    def _within(self, site: str, km: float) -> tuple[str, ...]:
        """The sites within `km` of a site, itself among them, by name."""
        here = self._known[site]
        # A degree of latitude is at least this long: most are ruled out without trigonometry.
        degrees = km / 110.0
        return tuple(
            other.id
            for other in self._sites
            if abs(other.latitude - here.latitude) <= degrees and distance_km(here, other) <= km
        )
