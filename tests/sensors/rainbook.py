"""What a whole run would say, and exact rolling rain sums over it: the tests' own arithmetic, not the service's."""

from collections import defaultdict
from datetime import datetime, timedelta

import msgspec

from sensors.simulator.field import Field, Observation, record_start
from sensors.simulator.scenarios import Weather
from tongluo.region import County

SIGNALS = (("red", 3, 100), ("orange", 3, 50), ("yellow", 6, 50), ("blue", 12, 50))


def told(
    county: County,
    weather: Weather,
    anchor: datetime,
    *,
    seed: int = 1,
    after: datetime | None = None,
    live_s: int = 300,
) -> list[Observation]:
    """Every observation from `after` (default: six hours before T0) to `live_s` seconds after T0."""
    field = Field(county, weather, seed, anchor)
    seen: list[Observation] = []
    for gateway in county.gateways:
        seen += field.record(gateway, record_start(anchor) if after is None else after)
        for observation in field.live(gateway):
            if observation.time > anchor + timedelta(seconds=live_s):
                break
            seen.append(observation)
    return seen


def only_rain(county: County) -> County:
    """The county with nothing but its rain gauges, which is much faster to tell."""
    gauges = {
        id_: msgspec.structs.replace(station, metrics=("rain",))
        for id_, station in county.stations.items()
        if "rain" in station.metrics
    }
    return msgspec.structs.replace(county, stations=gauges)


def crossings(observations: list[Observation]) -> dict[str, dict[str, datetime]]:
    """When each gauge first met each signal (hours, millimetres), from exact sums in tenths of a millimetre."""
    series: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for seen in sorted(observations):
        if seen.metric == "rain":
            series[seen.station].append((seen.time, round(seen.value * 10)))
    return {station: _first_met(reports) for station, reports in series.items()}


def _first_met(reports: list[tuple[datetime, int]]) -> dict[str, datetime]:
    met: dict[str, datetime] = {}
    for level, hours, millimetres in SIGNALS:
        total, oldest = 0, 0
        for time, tenths in reports:
            total += tenths
            while reports[oldest][0] <= time - timedelta(hours=hours):
                total -= reports[oldest][1]
                oldest += 1
            if total >= millimetres * 10:
                met.setdefault(level, time)
    return met


def highest(met: dict[str, datetime]) -> str:
    return next((level for level, _, _ in SIGNALS if level in met), "none")
