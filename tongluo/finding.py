"""What the rules found: the level of a hazard at a site changed at an event time, and why."""

import enum
import functools
from datetime import datetime

import msgspec


@functools.total_ordering
class Level(enum.Enum):
    """Warning levels 蓝 < 黄 < 橙 < 红. On the wire the English word; compared by severity."""

    BLUE = "blue"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"

    @property
    def rank(self) -> int:
        """1 (blue) to 4 (red); 0 is left for 'no level'."""
        return _RANK[self]

    @property
    def zh(self) -> str:
        return _ZH[self]

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Level):
            return NotImplemented
        return self.rank < other.rank


_RANK = {level: rank for rank, level in enumerate(Level, start=1)}
_ZH = dict(zip(Level, "蓝黄橙红", strict=True))


def rank(level: Level | None) -> int:
    """Severity as a number, with no level below blue."""
    return level.rank if level is not None else 0


class Criterion(msgspec.Struct, frozen=True):
    """The line that was crossed: this much rain within this window means this level."""

    level: Level
    window: str
    reach_mm: float


class Evidence(msgspec.Struct, frozen=True):
    """What the judgement looked at: rule and version, the station, and its sums (mm) at the event time."""

    rule: str
    rule_version: str
    station: str
    time: datetime
    indicators_mm: dict[str, float]
    criterion: Criterion | None = None


class Finding(msgspec.Struct, frozen=True):
    """Identified by (rule, site, time): found twice, it is the same finding."""

    rule: str
    hazard: str
    site: str
    time: datetime
    level: Level | None
    evidence: Evidence
