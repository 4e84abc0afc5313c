"""The registered county as the hot path needs it: what a gateway may say, numbered, and what is believed of it."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.ingest.decoders import sl651
from services.ingest.decoders.sl651.observations import FIVE_MINUTES, Stations
from tongluo.reading import METRICS
from tongluo.readings import Series
from tongluo.region import County, Station
from tongluo.topics import READINGS

# Back-fill: what comes later than this many of its station's intervals, and later than the limit that is set.
LATE_INTERVALS: Final = 3


class Spoken(msgspec.Struct, frozen=True):
    """One metric of one station as its gateway may report it: the number of its series, and its unit."""

    number: int
    unit: str


# Station and metric, as the gateway calls them.
Vocabulary = Mapping[tuple[str, str], Spoken]


class Places:
    """Everything registered, by number of series. Made anew when the registry changes; never changed."""

    def __init__(self, county: County) -> None:
        self.county = county
        self.series: list[Series] = []
        self.stations: list[Station] = []
        station_of: list[int] = []
        self._gateways: dict[str, dict[tuple[str, str], Spoken]] = {name: {} for name in county.gateways}
        partitions: list[int] = []
        for number, station in enumerate(county.stations.values()):
            words = self._gateways.setdefault(station.gateway, {})
            partition = READINGS.partition_of(station.site)
            for metric in station.metrics:
                words[station.id, metric] = Spoken(len(self.series), METRICS[metric].unit)
                self.series.append(Series(station.id, metric, station.site, station.gateway))
                self.stations.append(station)
                station_of.append(number)
                partitions.append(partition)
        self.partition: NDArray[np.int32] = np.array(partitions, np.int32)
        self._numbers = {(one.station, one.metric): number for number, one in enumerate(self.series)}
        # The number of each series' station, in the order of the registry.
        self.station_of: NDArray[np.int64] = np.array(station_of, np.int64)
        self.native: dict[str, tuple[str, Vocabulary]] = {
            f"tongluo/v1/{gateway}/readings": (gateway, words) for gateway, words in self._gateways.items()
        }
        self.sl651 = sl651.decoder(_telemetry(county))
        self._by_address = {
            (station.gateway, station.address): station
            for station in county.stations.values()
            if station.address is not None
        }
        self._gateway_by_address = {
            gateway.address: gateway.id for gateway in county.gateways.values() if gateway.address is not None
        }

    def number(self, station: Station, metric: str) -> int:
        """The number of a registered series. Raises KeyError."""
        return self._gateways[station.gateway][station.id, metric].number

    def number_of(self, series: Series) -> int:
        """The number of a series as it was called when it was written; -1 if it is no longer registered."""
        return self._numbers.get((series.station, series.metric), -1)

    def station(self, name: str, gateway: str) -> Station | None:
        """A station by its id, or by what the gateway's protocol calls it."""
        return self._by_address.get((gateway, name)) or self.county.stations.get(name)

    def gateway(self, name: str) -> str:
        """A gateway's id by what its protocol calls it; the name itself where it is nobody's address."""
        return self._gateway_by_address.get(name, name)


def _telemetry(county: County) -> Stations:
    """What the registry says of SL 651 stations, by address; a station without one is called by its id."""
    by_address = {station.address or station.id: station for station in county.stations.values()}
    return Stations(
        level_base_m=partial(_level_base_m, by_address), rain_counted=partial(_rain_counted, by_address)
    )


def _level_base_m(stations: Mapping[str, Station], address: str, element: int) -> float | None:
    station = stations.get(address)
    return None if station is None else station.base_level_m


def _rain_counted(stations: Mapping[str, Station], address: str) -> frozenset[int]:
    station = stations.get(address)
    if station is None or not station.rain_elements:
        return FIVE_MINUTES
    return frozenset(int(element, 16) for element in station.rain_elements)
