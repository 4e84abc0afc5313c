"""What rain does to the ground, in published formulae: soil moisture, rain events, thresholds of intensity and duration.

Plain and slow on purpose: what the engine computes fast is tested against this. Rain is millimetres, stamped with the
end of its interval; times are microseconds since the epoch, ascending; durations are hours where a paper has hours.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

import msgspec

from services.rules.catalogue.model import EventCurve, Soil, SoilModel

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
_MM_PER_INCH: Final = 25.4

# Caine 1980, Geografiska Annaler 62A: I = 14.82 D^-0.39, 10 min to 500 h.
CAINE_1980: Final = EventCurve(14.82, 0.39, shortest=timedelta(minutes=10), longest=timedelta(hours=500))
# Guzzetti et al. 2008, Landslides 5: global, 0.1 to 1000 h; and the pair below and from 48 h on.
GUZZETTI_2008: Final = EventCurve(2.20, 0.44, shortest=timedelta(minutes=6), longest=timedelta(hours=1000))
GUZZETTI_2008_SHORT: Final = EventCurve(
    2.28, 0.20, shortest=timedelta(minutes=6), longest=timedelta(hours=48)
)
GUZZETTI_2008_LONG: Final = EventCurve(
    0.48, 0.11, shortest=timedelta(hours=48), longest=timedelta(hours=1000)
)
# Innes 1983: rain of the event E = 4.93 D^0.504 mm, as an intensity.
INNES_1983: Final = EventCurve(4.93, 0.496, shortest=timedelta(minutes=6), longest=timedelta(hours=1000))
# Seattle (USGS landslides-thresholds): I = 3.257 D^-1.13 inches an hour.
SEATTLE: Final = EventCurve(3.257 * _MM_PER_INCH, 1.13)


# --- soil ------------------------------------------------------------------------------------------------------------


def antecedent(pa_mm: float, day_mm: float, k: float, capacity_mm: float) -> float:
    """Antecedent rainfall a day later: Pa(t+1) = k (Pa(t) + P(t)), at most the soil's capacity."""
    return min(k * (pa_mm + day_mm), capacity_mm)


def day_of(time_us: int, day_starts_us: int, offset_us: int = 0) -> int:
    """The number of the day a reading's rain belongs to: (start, next start], in a zone `offset_us` east of UTC."""
    return (time_us + offset_us - day_starts_us - 1) // DAY_US


def antecedent_at(
    times_us: Sequence[int], rain_mm: Sequence[float], at_us: int, model: SoilModel, offset_us: int = 0
) -> float:
    """Pa (mm) at the start of the day `at_us` lies in, from the whole days before it; 0 before the first reading."""
    starts = model.day_starts // timedelta(microseconds=1)
    sums: dict[int, float] = {}
    for time, mm in zip(times_us, rain_mm, strict=True):
        day = day_of(time, starts, offset_us)
        sums[day] = sums.get(day, 0.0) + mm
    pa = 0.0
    for day in range(min(sums, default=0), day_of(at_us, starts, offset_us)):
        pa = antecedent(pa, sums.get(day, 0.0), model.k, model.capacity_mm)
    return pa


def soil_state(pa_mm: float, model: SoilModel) -> Soil:
    """How wet the ground is, by Pa against shares of its capacity."""
    if pa_mm >= model.wet_from * model.capacity_mm:
        return Soil.WET
    return Soil.NORMAL if pa_mm >= model.normal_from * model.capacity_mm else Soil.DRY


def effective_antecedent(daily_mm: Sequence[float], a: float = 0.84, days: int = 15) -> float:
    """R_e = R_0 + sum of a^i R_i for i = 1 to `days`; `daily_mm` begins with today (R_0) and goes back.

    Used with China's rain-induced landslide warnings; a and the number of days are a bureau's choice.
    """
    return math.fsum(a**i * mm for i, mm in enumerate(daily_mm[: days + 1]))


def water_index(awi_mm: float, rain_mm: float, hours: float, model: "WaterIndex", month: int) -> float:
    """Antecedent water index (mm) after `hours` with `rain_mm`: below 0 the soil fills, above it drains.

    Below field capacity AWI + P - E; above it AWI k + (P - E) (1 - k) / kd with k = exp(-kd hours) and P - E a rate per
    hour; never below -field capacity. Source: Godt et al. 2006; USGS landslides-thresholds.
    """
    evaporated = model.evaporation_mm_h[month - 1]
    if awi_mm < 0:
        after = awi_mm + rain_mm - evaporated * hours
    else:
        k = math.exp(-model.drainage_per_h * hours)
        after = awi_mm * k + (rain_mm / hours - evaporated) * (1 - k) / model.drainage_per_h
    return max(after, -model.field_capacity_mm)


class WaterIndex(msgspec.Struct, frozen=True):
    """What the antecedent water index needs to know of a soil. Evaporation by month, January first.

    The defaults are those of the USGS sample for Seattle, without evaporation.
    """

    field_capacity_mm: float = 180.0
    drainage_per_h: float = 0.01
    evaporation_mm_h: tuple[float, ...] = (0.0,) * 12


# --- intensity and duration ------------------------------------------------------------------------------------------


def allowed_intensity(curve: EventCurve, hours: float) -> float:
    """I = c + a D^-b in mm/h. A duration outside the curve's range is taken as its nearest end."""
    shortest, longest = curve.shortest / timedelta(hours=1), curve.longest / timedelta(hours=1)
    return float(curve.c + curve.a * min(max(hours, shortest), longest) ** -curve.b)


def allowed_rain(curve: EventCurve, hours: float) -> float:
    """The rain (mm) that the curve allows in an event so long: I D, the duration held to the curve's range."""
    shortest, longest = curve.shortest / timedelta(hours=1), curve.longest / timedelta(hours=1)
    return allowed_intensity(curve, hours) * min(max(hours, shortest), longest)


class Event(msgspec.Struct, frozen=True):
    """Rain without a longer break, from the start of its first wet interval to its last wet reading."""

    start_us: int
    end_us: int
    rain_mm: float

    @property
    def hours(self) -> float:
        return (self.end_us - self.start_us) / HOUR_US


def events(times_us: Sequence[int], rain_mm: Sequence[float], dry_us: int, interval_us: int) -> list[Event]:
    """A record split by at least `dry_us` without rain.

    A reading stands for the rain since the one before it, and for `interval_us` at most. So an event starts with the
    time stamp before its first wet reading (USGS landslides-thresholds), but not at the far end of an outage.
    """
    found: list[Event] = []
    before: int | None = None
    for time, mm in zip(times_us, rain_mm, strict=True):
        start = time - interval_us if before is None else max(before, time - interval_us)
        before = time
        if mm <= 0:
            continue
        if found and start - found[-1].end_us < dry_us:
            last = found.pop()
            found.append(Event(last.start_us, time, last.rain_mm + mm))
        else:
            found.append(Event(start, time, mm))
    return found


def event_ratio(found: Sequence[Event], curve: EventCurve, at_us: int) -> float:
    """The running event's rain by what the curve allows for its duration; 0 when it has ended, or none was.

    It has ended when `curve.dry` has passed since its last wet reading.
    """
    if not found or at_us - found[-1].end_us >= curve.dry // timedelta(microseconds=1):
        return 0.0
    return found[-1].rain_mm / allowed_rain(curve, found[-1].hours)


# --- cumulative ------------------------------------------------------------------------------------------------------


def rain_in(times_us: Sequence[int], rain_mm: Sequence[float], from_us: int, to_us: int) -> float:
    """Rain (mm) of the readings in (from, to]."""
    wet = zip(times_us, rain_mm, strict=True)
    return math.fsum(mm for time, mm in wet if from_us < time <= to_us)


def p3_p15(times_us: Sequence[int], rain_mm: Sequence[float], at_us: int) -> tuple[float, float]:
    """Rain (mm) of the last 72 h, and of the 360 h before those (USGS, Seattle; Chleborad 2000)."""
    recent = at_us - 72 * HOUR_US
    return (
        rain_in(times_us, rain_mm, recent, at_us),
        rain_in(times_us, rain_mm, recent - 360 * HOUR_US, recent),
    )


def seattle_excess(p3_mm: float, p15_mm: float) -> float:
    """By how much (mm) P3 passes 3.5 - 0.67 P15 inches, the threshold never below 0 (USGS landslides-thresholds)."""
    return p3_mm - max(0.0, 3.5 * _MM_PER_INCH - 0.67 * p15_mm)


def weighted(sums_mm: Mapping[str, float], weights: Iterable[tuple[str, float]]) -> float:
    """A weighted sum of rain sums by name, such as P3 + 0.67 P15."""
    return math.fsum(weight * sums_mm[name] for name, weight in weights)
