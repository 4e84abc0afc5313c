"""Which rain gauges stand around which: at most so far away that one cloud covers them."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.places import Places
from tongluo.region import Station

RADIUS_KM: Final = 10.0
MOST: Final = 8
_KM_PER_DEGREE: Final = 111.2


class Neighbours:
    """Numbers of the rain series around a rain series; looked up once each, from a grid as wide as the radius."""

    def __init__(self, places: Places) -> None:
        self._stations = places.stations
        self._cells: dict[tuple[int, int], list[int]] = {}
        self._found: dict[int, NDArray[np.int64]] = {}
        for number, (series, station) in enumerate(zip(places.series, places.stations, strict=True)):
            if series.metric == "rain":
                self._cells.setdefault(_cell(station), []).append(number)

    def of(self, number: int) -> NDArray[np.int64]:
        """The nearest ones within the radius, at most eight."""
        if number not in self._found:
            self._found[number] = np.array(self._nearest(number), np.int64)
        return self._found[number]

    def _nearest(self, number: int) -> list[int]:
        here = self._stations[number]
        row, column = _cell(here)
        # A degree of longitude shrinks toward the poles: so many more columns lie within the radius.
        reach = math.ceil(1.0 / max(0.05, math.cos(math.radians(abs(here.latitude)))))
        near = [
            (distance_km(here, self._stations[other]), other)
            for r in range(row - 1, row + 2)
            for c in range(column - reach, column + reach + 1)
            for other in self._cells.get((r, c), ())
            if self._stations[other].id != here.id and self._stations[other].purpose is here.purpose
        ]
        return [other for distance, other in sorted(near) if distance <= RADIUS_KM][:MOST]


def distance_km(a: Station, b: Station) -> float:
    """Great-circle distance (haversine, mean radius 6371 km)."""
    lat_a, lat_b = math.radians(a.latitude), math.radians(b.latitude)
    half = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin(math.radians(b.longitude - a.longitude) / 2) ** 2
    )
    return 2 * 6371.0 * math.asin(math.sqrt(min(1.0, half)))


def _cell(station: Station) -> tuple[int, int]:
    size = RADIUS_KM / _KM_PER_DEGREE
    return math.floor(station.latitude / size), math.floor(station.longitude / size)
