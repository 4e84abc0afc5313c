"""The weather at noon, from the readings of stations that measure it: what fire weather is reckoned by. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.rules.stations.plan import LOCAL
from tongluo.quality import Quality
from tongluo.reading import Reading
from tongluo.readings import Readings
from tongluo.region import County, Purpose
from tongluo.signal import Weather

NEEDED: Final = ("temperature", "humidity", "wind_speed")
_DAY: Final = timedelta(days=1)
_NOON: Final = timedelta(hours=12) - LOCAL
# A value older than this at noon is not the weather of noon.
FRESH: Final = timedelta(hours=2)


class Sky(msgspec.Struct):
    """What is remembered of one station: each metric's newest value, the rain of the last day, the noon to come."""

    noon: datetime
    values: dict[str, tuple[datetime, float]] = {}
    rain: list[tuple[datetime, float]] = []


def watched(county: County | None) -> frozenset[str]:
    """The stations that measure all that is needed."""
    if county is None:
        return frozenset()
    return frozenset(
        one.id
        for one in county.stations.values()
        if one.purpose is Purpose.WATCH and all(metric in one.metrics for metric in NEEDED)
    )


def observe(skies: dict[str, Sky], stations: frozenset[str], readings: Readings) -> Iterator[Weather]:
    """Take readings in; yields the weather of each noon that a station has passed.

    `skies` is changed. Only values that are trusted count; what comes after its noon has passed does not change it.
    """
    if not stations or stations.isdisjoint([series.station for series in readings.series]):
        return
    for reading in readings.each():
        if reading.station in stations and reading.quality is Quality.GOOD:
            sky = skies.get(reading.station)
            if sky is None:
                sky = skies[reading.station] = Sky(_noon_after(reading.time))
            if reading.time > sky.noon:
                found = _weather(sky, reading)
                sky.noon = _noon_after(reading.time)
                if found is not None:
                    yield found
            _take(sky, reading)


def _noon_after(time: datetime) -> datetime:
    """The next local noon at or after a time."""
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    noon = midnight + _NOON
    return noon if noon >= time else noon + _DAY


def _take(sky: Sky, reading: Reading) -> None:
    if reading.metric in NEEDED:
        known = sky.values.get(reading.metric)
        if known is None or known[0] < reading.time:
            sky.values[reading.metric] = (reading.time, reading.value)
    elif reading.metric == "rain" and sky.noon - _DAY < reading.time <= sky.noon:
        sky.rain = [one for one in sky.rain if one[0] > sky.noon - _DAY and one[0] != reading.time]
        sky.rain.append((reading.time, reading.value))


def _weather(sky: Sky, after: Reading) -> Weather | None:
    """The weather of the noon that has passed; None where something was not measured in time."""
    noon, fresh = sky.noon, sky.noon - FRESH
    of = [sky.values.get(metric) for metric in NEEDED]
    if any(one is None or not fresh < one[0] <= noon for one in of):
        return None
    temperature, humidity, wind = (one[1] for one in of if one is not None)
    rain = sum(mm for time, mm in sky.rain if noon - _DAY < time <= noon)
    return Weather(after.station, after.site, noon, temperature, humidity, wind, round(rain, 3))
