"""Fire weather: the Canadian Forest Fire Weather Index system, one step a day at noon, one memory a weather station.

Two sets of coefficients are published. This is VAN WAGNER's: 147.2 between the fine fuel moisture code and moisture
(Van Wagner and Pickett 1985, Forestry Technical Report 33; Van Wagner 1987, Forestry Technical Report 35), as the
package wildfire-fwi computes it. Today's cffdrs for R has 147.27723 there. docs/decisions/0018-fire-weather.md
"""

import math
from datetime import timedelta
from typing import Final

import msgspec
from wildfire_fwi import (
    calculate_bui,
    calculate_dc,
    calculate_dmc,
    calculate_ffmc,
    calculate_fwi,
    calculate_isi,
)

from tongluo.duration import microseconds
from tongluo.readings import microseconds as since_epoch_us
from tongluo.signal import Weather

KM_H_PER_M_S: Final = 3.6
# The codes take a day's step: what comes sooner after the last one is of the same noon, told twice or corrected.
DAY_AT_LEAST_US: Final = microseconds(timedelta(hours=18))
# After so long without weather the codes say nothing any more, and begin anew. [M]
FORGOTTEN_US: Final = microseconds(timedelta(days=30))
# How long a noon's index speaks for the weather: until the noon after the next has been missed. [M]
FRESH_US: Final = microseconds(timedelta(hours=48))
# What noon weather can be, by far: outside of this it is a fault of the instrument, and not used.
SPANS: Final = {
    "temperature_c": (-60.0, 60.0),
    "humidity_pct": (0.0, 100.0),
    "wind_m_s": (0.0, 60.0),
    "rain_24h_mm": (0.0, 2000.0),
}


class Codes(msgspec.Struct, frozen=True):
    """Fine fuel moisture code, duff moisture code, drought code: what one day hands to the next."""

    ffmc: float
    dmc: float
    dc: float


class StationWeather(msgspec.Struct):
    """What is remembered of one weather station: its codes and index after the noon of `time` (microseconds)."""

    codes: Codes
    fwi: float
    time: int


def step(before: Codes, weather: Weather) -> tuple[Codes, float]:
    """The codes and the fire weather index (FWI) after one noon. Wind goes from m/s to km/h.

    The month is that of the noon: noon anywhere in China is the same date in UTC.
    """
    wind = weather.wind_m_s * KM_H_PER_M_S
    degrees, humidity, rain = weather.temperature_c, weather.humidity_pct, weather.rain_24h_mm
    codes = Codes(
        ffmc=calculate_ffmc(degrees, humidity, wind, rain, before.ffmc),
        dmc=calculate_dmc(degrees, humidity, rain, before.dmc, weather.time.month),
        dc=calculate_dc(degrees, rain, before.dc, weather.time.month),
    )
    return codes, calculate_fwi(calculate_isi(codes.ffmc, wind), calculate_bui(codes.dmc, codes.dc))


def usable(weather: Weather) -> bool:
    """Whether every value is one that noon weather can have."""
    return all(low <= getattr(weather, name) <= high for name, (low, high) in SPANS.items())


def passed_noon(
    before: StationWeather | None, weather: Weather, start: tuple[float, float, float]
) -> StationWeather | None:
    """A station's memory after this noon: None where the noon counts for nothing, as it is no weather or not a new day.

    `start` is FFMC, DMC, DC at the start of a season, taken for a new station and after a long gap. Days that were
    missed in between are left out, not made up.
    """
    time = since_epoch_us(weather.time)
    if not usable(weather) or (before is not None and time < before.time + DAY_AT_LEAST_US):
        return None
    new = before is None or time > before.time + FORGOTTEN_US
    codes, fwi = step(Codes(*start) if new or before is None else before.codes, weather)
    return StationWeather(codes, fwi, time) if math.isfinite(fwi) else None
