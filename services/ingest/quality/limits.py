"""What is believed of each metric unless a station says otherwise, and both as arrays by number of series.

The defaults are plausibility limits without a standard behind them (unverified): wide enough that no real storm or
slide is doubted because of them alone. A county sets its own for each station in the registry.
"""

from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.places import LATE_INTERVALS, Places
from tongluo.quality import Limits
from tongluo.reading import METRICS

HOUR_S: Final = 3600.0

DEFAULTS: Final[dict[str, Limits]] = {
    "rain": Limits(per_minute=12.0, stuck_after_s=3 * HOUR_S, neighbours=50.0),
    "displacement": Limits(spike=500.0),
    "displacement_x": Limits(spike=500.0),
    "displacement_y": Limits(spike=500.0),
    "displacement_z": Limits(spike=500.0),
    "crack": Limits(spike=200.0),
    "tilt": Limits(spike=10.0),
    "phreatic_depth": Limits(per_minute=1.0, spike=5.0),
    "pore_pressure": Limits(spike=200.0),
    "pond_level": Limits(per_minute=0.5, spike=5.0),
    "freeboard": Limits(per_minute=0.5, spike=5.0),
    "water_level": Limits(per_minute=1.0, spike=5.0),
    "temperature": Limits(per_minute=5.0, spike=15.0),
    "wind_speed": Limits(spike=40.0),
    "battery": Limits(warn_below=11.0),
}


def of(metric: str, override: Limits | None) -> Limits:
    """The limits in force for a metric of a station."""
    known = METRICS[metric]
    base = DEFAULTS.get(metric, Limits()).over(Limits(lowest=known.lowest, highest=known.highest))
    return base if override is None else override.over(base)


class LimitTable:
    """The limits of every series as arrays; NaN, which no comparison meets, stands for "not tested"."""

    def __init__(self, places: Places, late_after: timedelta | None) -> None:
        self.lowest: NDArray[np.float64] = _nans(places)
        self.highest: NDArray[np.float64] = _nans(places)
        self.per_minute: NDArray[np.float64] = _nans(places)
        self.stuck_after_us: NDArray[np.float64] = _nans(places)
        self.spike: NDArray[np.float64] = _nans(places)
        self.neighbours: NDArray[np.float64] = _nans(places)
        self.warn_below: NDArray[np.float64] = _nans(places)
        self.late_after_us: NDArray[np.float64] = _nans(places)
        self.rain: NDArray[np.bool_] = np.zeros(len(places.series), bool)
        self.battery: NDArray[np.bool_] = np.zeros(len(places.series), bool)
        self.station_of = places.station_of
        for number, (series, station) in enumerate(zip(places.series, places.stations, strict=True)):
            limits = of(series.metric, station.limits.get(series.metric))
            for name in ("lowest", "highest", "per_minute", "spike", "neighbours", "warn_below"):
                value = getattr(limits, name)
                if value is not None:
                    getattr(self, name)[number] = value
            if limits.stuck_after_s is not None:
                self.stuck_after_us[number] = limits.stuck_after_s * 1e6
            if late_after is not None:
                own = timedelta(seconds=LATE_INTERVALS * station.interval_s)
                self.late_after_us[number] = max(late_after, own) / timedelta(microseconds=1)
            self.rain[number] = series.metric == "rain"
            self.battery[number] = series.metric == "battery"


def _nans(places: Places) -> NDArray[np.float64]:
    return np.full(len(places.series), np.nan)
