"""Small catalogues and readings for the tests of the station judgement."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from services.rules.catalogue.model import (
    Catalogue,
    Confirm,
    Function,
    Indicator,
    Item,
    LevelLine,
    StationRule,
)
from services.rules.stations.judge import StationJudge
from tongluo.finding import Finding, Level, Side
from tongluo.hazards import Words
from tongluo.reading import Reading
from tongluo.readings import gathered

START = datetime(2026, 7, 1, tzinfo=UTC)
H = 60  # minutes


def words(name: str) -> Words:
    return Words(name, name)


def indicator(name: str, function: Function, span: timedelta = timedelta(0), **more: object) -> Indicator:
    return Indicator(name, words(name), "mm", function, span, **more)  # type: ignore[arg-type]


def item(
    indicators: Iterable[Indicator], lines: Iterable[LevelLine], metric: str = "rain", **more: object
) -> Item:
    more.setdefault("release_after", timedelta(hours=1))
    return Item(metric, words(metric), metric, tuple(indicators), tuple(lines), **more)  # type: ignore[arg-type]


def rule(*items: Item, late: timedelta = timedelta(hours=1), **more: object) -> StationRule:
    return StationRule("r", "v", "h", words("r"), "a source", items, late, **more)  # type: ignore[arg-type]


def catalogue(*rules: StationRule) -> Catalogue:
    return Catalogue("1", rules)


def rainstorm(**more: object) -> Catalogue:
    """The signals of CMA order 16 (2007)."""
    lines = [
        LevelLine(Level.BLUE, "12h", 50.0, 0.8),
        LevelLine(Level.YELLOW, "6h", 50.0, 0.8),
        LevelLine(Level.ORANGE, "3h", 50.0, 0.8),
        LevelLine(Level.RED, "3h", 100.0, 0.8),
    ]
    windows = [indicator(f"{h}h", Function.SUM, timedelta(hours=h)) for h in (1, 3, 6, 12, 24)]
    return catalogue(rule(item(windows, lines), **more))


def line(
    level: Level, of: str, reach: float | None, side: Side = Side.ABOVE, ratio: float = 0.8
) -> LevelLine:
    return LevelLine(level, of, reach, ratio, side)


def confirm(n: int = 1, m: int = 1, hold: timedelta = timedelta(0)) -> Confirm:
    return Confirm(n, m, hold)


def reading(
    minute: float, value: float, station: str = "R-1", flags: int = 0, metric: str = "rain", site: str = "S-1"
) -> Reading:
    return Reading(station, metric, START + timedelta(minutes=minute), value, site, "G-1", flags)


def judged(rules: Catalogue, *readings: Reading, cuts: Iterable[int] = ()) -> list[Finding]:
    """What is found, the readings cut into batches before these places."""
    judge = StationJudge(rules, None)
    edges = [0, *sorted(cuts), len(readings)]
    return [
        finding
        for begin, end in pairwise(edges)
        if begin < end
        for finding in judge.judge(gathered(readings[begin:end])).findings
    ]


def levels(rules: Catalogue, *readings: Reading) -> list[Level | None]:
    return [finding.level for finding in judged(rules, *readings)]
