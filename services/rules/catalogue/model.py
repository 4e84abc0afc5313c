"""What a rule catalogue says, as closed types: read from files by the reader beside this, judged by the engines.

Three kinds of rule. A *station rule* judges the readings of a station, item by item, and a site by its stations' votes.
The *fire*, *silence* and *compound* rules judge what many sites say together (tongluo/signal.py).
"""

import enum
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from tongluo.finding import Level, Side
from tongluo.hazards import Words
from tongluo.region import Site


class Function(enum.StrEnum):
    """What is computed of the readings of one metric of one station in (t - span, t]."""

    LAST = "last"
    SUM = "sum"
    MAX = "max"
    MEAN = "mean"
    COUNT = "count"
    CHANGE = "change"
    """The newest value less the oldest one in the window."""
    RATE = "rate"
    """CHANGE by the time between the two, per hour; none with a single reading."""
    SLOPE = "slope"
    """Least-squares slope, per hour; none with fewer than three readings."""
    ACCELERATION = "acceleration"
    """Slope of the window's later half less that of its earlier half, by half a span: per hour and hour."""
    SINCE = "since"
    """Hours since the newest reading other than zero; none where there was none."""
    EVENT = "event"
    """Rain of the running event (mm) by the rain that `curve` allows for its duration; 0 when it has ended."""


class Soil(enum.StrEnum):
    """How wet the ground is before the rain (antecedent soil state), by Pa against shares of its capacity."""

    DRY = "dry"
    NORMAL = "normal"
    WET = "wet"


class SoilModel(msgspec.Struct, frozen=True):
    """Pa(t+1) = k (Pa(t) + P(t)), at most `capacity_mm`, day by day; days begin at `day_starts` after midnight.

    Below `normal_from` of the capacity the ground is dry, from `wet_from` on wet (domain: flash flood indicators).
    """

    k: float = 0.9
    capacity_mm: float = 100.0
    normal_from: float = 0.5
    wet_from: float = 0.8
    day_starts: timedelta = timedelta(hours=8)


class EventCurve(msgspec.Struct, frozen=True):
    """Intensity-duration threshold I = c + a D^-b (mm/h, D in hours, from `shortest` to `longest`).

    Events are separated by at least `dry` without rain.
    """

    a: float
    b: float
    c: float = 0.0
    dry: timedelta = timedelta(hours=3)
    shortest: timedelta = timedelta(hours=1)
    longest: timedelta = timedelta(hours=500)


class Indicator(msgspec.Struct, frozen=True):
    """A number derived of readings: `scale` times the function, in `unit`.

    `divide_by` names a parameter of the station or its site (parameters.csv) it is divided by; without that parameter
    there is no value. `angle`: the arctangent of the quotient, in degrees (improved tangent angle). `weights`, instead of
    `function` and `span`: a weighted sum of other SUM indicators of the item (P3 + 0.67 P15).
    """

    name: str
    words: Words
    unit: str
    function: Function = Function.LAST
    span: timedelta = timedelta(0)
    scale: float = 1.0
    divide_by: str | None = None
    angle: bool = False
    weights: Mapping[str, float] | None = None
    curve: EventCurve | None = None


class LevelLine(msgspec.Struct, frozen=True):
    """`indicator` on `side` of `reach` means `level`; given up beyond `release_ratio` of the reach.

    `reach` None: only where a table (thresholds.csv, the registry) gives it. `by_soil`: another reach where the ground is
    dry, normal or wet. `curve`: reach by the parameter `curve_of` of the station or site, interpolated linearly and held
    at the ends. `share_of`: this many times the reach of another level of the indicator, wherever that comes from.
    `release_by`, instead of the ratio, is a distance from the reach in the indicator's unit: for elevations, whose zero
    means nothing. What holds at a station says resolve.py.
    """

    level: Level
    indicator: str
    reach: float | None
    release_ratio: float
    side: Side = Side.ABOVE
    by_soil: Mapping[Soil, float] | None = None
    curve_of: str | None = None
    curve: tuple[tuple[float, float], ...] = ()
    share_of: tuple[Level, float] | None = None
    release_by: float | None = None


class Confirm(msgspec.Struct, frozen=True):
    """When a line that is crossed counts: in `n` of the last `m` readings, and for `hold` without a break."""

    n: int = 1
    m: int = 1
    hold: timedelta = timedelta(0)


class Item(msgspec.Struct, frozen=True):
    """One kind of measurement a station rule judges. `release_after`: how long beyond the release line gives a level up."""

    id: str
    words: Words
    metric: str
    indicators: tuple[Indicator, ...]
    lines: tuple[LevelLine, ...]
    release_after: timedelta
    confirm: Confirm = Confirm()
    soil: SoilModel | None = None
    forecast: bool = False


class Votes(enum.StrEnum):
    """How a site's level follows from its stations'."""

    HIGHEST = "highest"
    K_OF_N = "k_of_n"
    GB39496 = "gb39496"
    """GB 39496-2020 5.5.4: four blue make a yellow, three yellow an orange, two orange a red; points, then items."""


class StationRule(msgspec.Struct, frozen=True):
    """A rule of readings. `tell`: whether its findings become alerts, or only votes of compound rules.

    It judges the stations of sites of `kinds`, or (none given) of all sites: rain at a pond is the pond's business, rain
    at a village is not. `k_of_n`, where `votes` says so: how many stations must be at a level or above, by level.
    """

    id: str
    version: str
    hazard: str
    name: Words
    source: str
    items: tuple[Item, ...]
    late_allowed: timedelta
    votes: Votes = Votes.HIGHEST
    k_of_n: Mapping[Level, int] = {}
    tell: bool = True
    kinds: tuple[str, ...] = ()

    def judges(self, site: Site) -> bool:
        """Whether the stations of a site are this rule's business."""
        return not self.kinds or site.kind.value in self.kinds


class FireRule(msgspec.Struct, frozen=True):
    """Forest fire by cameras. A camera's sightings within `overlap_deg` are one track, confirmed by `n` of them within
    `within`, with a mean confidence from `confidence` on (`keep_ratio` of it while confirmed), and ended by `quiet`.

    A confirmed track is `single` alone, `crossed` where two cameras' bearings meet (at least `least_angle_deg` apart,
    within `pair_slack` in time and `reach_km` of both); sightings within `merge_km` are one fire. Fire weather from
    `weather_up` (FWI) on raises the level by one, below `weather_down` lowers it by one.
    """

    id: str
    version: str
    hazard: str
    name: Words
    source: str
    n: int = 3
    within: timedelta = timedelta(minutes=5)
    overlap_deg: float = 4.0
    confidence: float = 0.35
    keep_ratio: float = 0.8
    quiet: timedelta = timedelta(minutes=120)
    single: Level = Level.YELLOW
    crossed: Level = Level.ORANGE
    least_angle_deg: float = 10.0
    least_base_m: float = 100.0
    bearing_sigma_deg: float = 1.0
    pair_slack: timedelta = timedelta(minutes=30)
    reach_km: float = 35.0
    merge_km: float = 2.0
    weather_up: float = 20.0
    weather_down: float = 5.0
    weather_start: tuple[float, float, float] = (85.0, 6.0, 15.0)
    """FFMC, DMC, DC at the start of a season."""
    masks: Mapping[str, tuple[tuple[float, float], ...]] = {}
    """By camera: bearings (from, to) clockwise in which nothing counts: a chimney, a road."""


class SilenceRule(msgspec.Struct, frozen=True):
    """A station that should speak and does not: `alone` in quiet weather, one level more with each of the `grave` rules
    at level `grave_from` or above at its site or within `within_km`, by the worst of them. After `worse_after` of
    silence one level more."""

    id: str
    version: str
    hazard: str
    name: Words
    source: str
    alone: Level | None = Level.BLUE
    grave: tuple[str, ...] = ()
    grave_from: Level = Level.BLUE
    within_km: float = 20.0
    worse_after: timedelta = timedelta(hours=24)


class Where(enum.StrEnum):
    """Whose level a condition looks at."""

    HERE = "here"
    NEAR = "near"
    RELATED = "related"
    NAMED = "named"


class Condition(msgspec.Struct, frozen=True, tag=True):
    """At least `count` of the sites in scope have `rule` at `level` or above, for `hold` at least.

    NEAR: within `within_km` of the site judged; RELATED: those that relations.csv calls `relation` of it (upstream, say);
    NAMED: `sites`.
    """

    rule: str
    level: Level
    where: Where = Where.HERE
    within_km: float = 0.0
    relation: str = ""
    sites: tuple[str, ...] = ()
    count: int = 1
    hold: timedelta = timedelta(0)


class Combination(msgspec.Struct, frozen=True, tag=True):
    """At least `least` of `of` hold: all of them for "all", one for "any"."""

    least: int
    of: tuple["Condition | Combination", ...]


class CompoundLine(msgspec.Struct, frozen=True):
    """`when` holds: `level`."""

    level: Level
    when: Combination


class CompoundRule(msgspec.Struct, frozen=True):
    """Levels of other rules, here and elsewhere, combined. It judges sites of `kinds` and those in `sites`."""

    id: str
    version: str
    hazard: str
    name: Words
    source: str
    kinds: tuple[str, ...]
    sites: tuple[str, ...]
    lines: tuple[CompoundLine, ...]
    release_after: timedelta
    tell: bool = True


class ThresholdRow(msgspec.Struct, frozen=True):
    """A row of thresholds.csv: what `rule` takes as reach of `indicator` at a station, or (no station) at all of a site's.

    `soil` None: whatever the state of the ground.
    """

    rule: str
    indicator: str
    site: str
    station: str
    soil: Soil | None
    reach: Mapping[Level, float]


class Catalogue(msgspec.Struct, frozen=True):
    """Every rule, and the county's tables. `version` changes with anything that it says.

    `thresholds` and `parameters` are by station or site id, parameters then by name; `relations` by the relation's name,
    then by site.
    """

    version: str
    station_rules: tuple[StationRule, ...]
    fire: FireRule | None = None
    silence: SilenceRule | None = None
    compound: tuple[CompoundRule, ...] = ()
    thresholds: Mapping[str, tuple[ThresholdRow, ...]] = {}
    parameters: Mapping[str, Mapping[str, float]] = {}
    relations: Mapping[str, Mapping[str, tuple[str, ...]]] = {}

    @property
    def rules(self) -> "tuple[Rule, ...]":
        """Every rule, station rules first."""
        singles = tuple(one for one in (self.fire, self.silence) if one is not None)
        return (*self.station_rules, *singles, *self.compound)

    def rule(self, name: str) -> "Rule | None":
        """A rule by its id."""
        return next((one for one in self.rules if one.id == name), None)


Rule = StationRule | FireRule | SilenceRule | CompoundRule
