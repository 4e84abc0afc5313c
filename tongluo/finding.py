"""What the rules found: the level of a hazard at a site changed at an event time, and why."""

import enum
import functools
from datetime import datetime

import msgspec

from tongluo.hazards import Words

# gc=False: values that hold no cycles and come by the hundred thousand in a storm; the collector need not walk them.


@functools.total_ordering
class Level(enum.Enum):
    """Warning levels 蓝 < 黄 < 橙 < 红. On the wire the English word; compared by severity.

    `rank` is 1 (blue) to 4 (red); 0 is left for 'no level'.
    """

    BLUE = "blue"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"

    # Looked up by every comparison: an attribute, since members are slow keys.
    rank: int
    zh: str

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Level):
            return NotImplemented
        return self.rank < other.rank


for _rank, (_level, _zh) in enumerate(zip(Level, "蓝黄橙红", strict=True), start=1):
    _level.rank, _level.zh = _rank, _zh
_OF_RANK: tuple[Level | None, ...] = (None, *Level)


def rank(level: Level | None) -> int:
    """Severity as a number, with no level below blue."""
    return level.rank if level is not None else 0


def of_rank(number: int) -> Level | None:
    """The other way round; 0 is no level."""
    return _OF_RANK[number]


class Side(enum.StrEnum):
    """On which side of its threshold an indicator is dangerous."""

    ABOVE = "above"
    """At or above: rain, velocity."""
    BELOW = "below"
    """At or below: phreatic depth, dry beach, freeboard."""


class Criterion(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The line that was crossed: `indicator` on that side of `reach` means `level`; beyond `release` it no longer does."""

    level: Level
    indicator: str
    reach: float
    release: float
    side: Side = Side.ABOVE


class Measure(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An indicator's value at the moment of judgement, in `unit`. `window_s` is how far back it looks."""

    indicator: str
    name: Words
    value: float
    unit: str
    window_s: float | None = None


class Used(msgspec.Struct, frozen=True, gc=False):
    """The readings that were looked at: how many in the longest window, the first and the last."""

    count: int
    first: datetime
    last: datetime


class Vote(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What one station, or one item of it, or another rule's site says. `doubtful`: by suspect readings alone.

    `holds`: whether it counts toward the condition it was asked for; `since` when it has said so; `words` what was asked,
    or why it says nothing.
    """

    voter: str
    level: Level | None
    item: str = ""
    doubtful: bool = False
    holds: bool | None = None
    since: datetime | None = None
    words: Words | None = None


class Forecast(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """When a slope may fail (inverse velocity): `time` within `earliest` to `latest`, or None with the reason why not."""

    time: datetime | None
    earliest: datetime | None = None
    latest: datetime | None = None
    fit: float | None = None
    reason: Words | None = None


class Fix(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Where a fire is (WGS 84) and how surely: the axes (m) and the bearing (degrees) of its error ellipse, 1 sigma."""

    latitude: float
    longitude: float
    major_m: float
    minor_m: float
    bearing_deg: float
    cameras: tuple[str, ...] = ()


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the judgement looked at, at event time `time`.

    `station` is the one that decided (a site's id where no single one did). `sentence` is what a duty officer reads,
    `figure` its short form for a headline. `late`: found by readings that came after later ones had been judged.
    """

    rule: str
    rule_version: str
    station: str
    time: datetime
    sentence: Words
    figure: Words
    metric: str = ""
    source: str = ""
    measures: tuple[Measure, ...] = ()
    criterion: Criterion | None = None
    used: Used | None = None
    votes: tuple[Vote, ...] = ()
    late: bool = False
    forecast: Forecast | None = None
    fix: Fix | None = None

    def measure(self, indicator: str) -> Measure | None:
        """One indicator's value, if it was looked at."""
        return next((one for one in self.measures if one.indicator == indicator), None)


class Finding(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Identified by (rule, site, time, drill): found twice, it is the same finding. `drill`: found of an exercise's readings."""

    rule: str
    hazard: str
    site: str
    time: datetime
    level: Level | None
    evidence: Evidence
    drill: bool = False
