"""What the weather does: "storm" (a cloudburst after hours of rain) or "calm" (no rain at all)."""

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from sensors.simulator.storm import AFTER_RAIN, OUT_OF_THE_BLUE, Storm, distance_km, nearest, storm_over
from sensors.simulator.waveforms import draw
from tongluo.region import County, Station

_CORE: Final = AFTER_RAIN[0].gauges


class Weather(Protocol):
    """The only thing that differs between scenarios."""

    def rain_mm(self, station: Station, time: datetime) -> float:
        """Rain fallen at the station up to `time`, in mm since before the scenario."""
        ...


class ScenarioName(enum.StrEnum):
    STORM = "storm"
    CALM = "calm"


class Calm:
    """No rain."""

    def rain_mm(self, station: Station, time: datetime) -> float:
        return 0.0


def storm(county: County, seed: int, anchor: datetime, run: int = 0, *, after_rain: bool = True) -> Storm:
    """The storm of a given run, over another part of the county each time.

    Without `after_rain` (the hours before were already told as dry) the burst brings all the water itself.
    """
    stations = [county.stations[id_] for id_ in sorted(county.stations)]
    parts = parts_of(county, seed)
    if not parts:
        return Storm(anchor, {})
    zones = AFTER_RAIN if after_rain else OUT_OF_THE_BLUE
    return storm_over(parts[run % len(parts)], stations, zones, anchor, seed)


def parts_of(county: County, seed: int) -> list[Station]:
    """Gauges far from each other whose storms' cores share no gauge, in the order storms visit them."""
    gauges = [station for _, station in sorted(county.stations.items()) if "rain" in station.metrics]
    parts: list[Station] = []
    wet: set[str] = set()
    for focus in _far_from_each_other(gauges, seed):
        core = {gauge.id for gauge in nearest(focus, gauges)[:_CORE]}
        if not core & wet:
            parts.append(focus)
            wet |= core
    return parts


def fixed_loggers(county: County, seed: int) -> set[str]:
    """Stations whose interval cannot be changed: wherever a storm breaks out, the gauge nearest to its focus."""
    gauges = [station for _, station in sorted(county.stations.items()) if "rain" in station.metrics]
    return {near[1].id for focus in parts_of(county, seed) if len(near := nearest(focus, gauges)) > 1}


def _far_from_each_other(gauges: Sequence[Station], seed: int) -> list[Station]:
    """The gauges from a drawn first one on, each the farthest from all before it."""
    if not gauges:
        return []
    order = [gauges[int(draw(seed, "storm").integers(len(gauges)))]]
    left = [gauge for gauge in gauges if gauge is not order[0]]
    while left:
        order.append(max(left, key=lambda gauge: min(distance_km(gauge, other) for other in order)))
        left.remove(order[-1])
    return order
