"""A reading: one value of one metric of one station at one event time, with its quality."""

from datetime import datetime
from typing import Final

import msgspec

from tongluo.hazards import Words
from tongluo.quality import Quality, quality


class Metric(msgspec.Struct, frozen=True):
    """A metric's unit, its name for people, and the span outside which a value is not believed.

    `lowest` and `highest` are plausibility defaults (design contract; limits unverified): a value outside is
    flagged, never dropped.
    """

    unit: str
    zh: str
    en: str
    lowest: float
    highest: float


METRICS: Final[dict[str, Metric]] = {
    "rain": Metric("mm", "雨量", "Rain", 0.0, 300.0),
    "displacement": Metric("mm", "累计位移", "Displacement", -100_000.0, 100_000.0),
    "displacement_x": Metric("mm", "X 位移", "Displacement X", -100_000.0, 100_000.0),
    "displacement_y": Metric("mm", "Y 位移", "Displacement Y", -100_000.0, 100_000.0),
    "displacement_z": Metric("mm", "Z 位移", "Displacement Z", -100_000.0, 100_000.0),
    "crack": Metric("mm", "裂缝", "Crack", -10_000.0, 10_000.0),
    "tilt": Metric("deg", "倾角", "Tilt", -90.0, 90.0),
    "phreatic_depth": Metric("m", "浸润线埋深", "Phreatic depth", -5.0, 300.0),
    "pore_pressure": Metric("kPa", "孔隙水压力", "Pore pressure", -100.0, 10_000.0),
    "pond_level": Metric("m", "库水位", "Pond level", -500.0, 9_000.0),
    "dry_beach": Metric("m", "干滩长度", "Dry beach", 0.0, 10_000.0),
    "freeboard": Metric("m", "安全超高", "Freeboard", -100.0, 300.0),
    "seepage": Metric("l/s", "渗流量", "Seepage", 0.0, 100_000.0),
    "water_level": Metric("m", "水位", "Water level", -500.0, 9_000.0),
    "soil_moisture": Metric("%", "土壤含水率", "Soil moisture", 0.0, 100.0),
    "wind_speed": Metric("m/s", "风速", "Wind speed", 0.0, 120.0),
    "temperature": Metric("°C", "气温", "Temperature", -60.0, 70.0),
    "humidity": Metric("%", "相对湿度", "Humidity", 0.0, 100.0),
    "battery": Metric("V", "电池电压", "Battery", 0.0, 1_000.0),
}


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """One accepted value, in the metric's own unit. Identified by (station, metric, time): twice counts once."""

    station: str
    metric: str
    time: datetime
    value: float
    site: str
    gateway: str
    flags: int = 0
    seq: int | None = None

    @property
    def quality(self) -> Quality:
        """The grade its flags give it."""
        return quality(self.flags)


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """What could not be read or placed: the bytes, where they came from, and why, for a person to mend."""

    gateway: str
    topic: str
    received: datetime
    code: str
    reason: Words
    payload: bytes


def storable(words: str, most: int = 4000) -> str:
    """Text from outside as a database and a page can hold it: no NUL, no half characters, not endless."""
    clean = words.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def storable_words(words: Words) -> Words:
    """The same for a text in the users' languages."""
    return Words(storable(words.zh), storable(words.en))
