"""A small county with a catalogue of its own, and signals of it by the minute."""

import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from services.rules.catalogue.model import Catalogue, CompoundRule, SilenceRule, StationRule
from services.rules.county.judge import CountyJudge, CountyState
from tongluo import testing
from tongluo.finding import Finding, Level
from tongluo.hazards import Words
from tongluo.liveness import Cause, EventKind, StationEvent
from tongluo.region import County
from tongluo.signal import Signal, SiteLevel, Spoke, Tick

START = datetime(2026, 7, 1, tzinfo=UTC)
# Sites S-1 to S-5 in a row, a hundred and eleven metres from one to the next; station R-n is at S-n.
COUNTY: County = testing.county(5)
STEP_KM = 0.112

SILENCE = SilenceRule(
    "silence", "v", "silence", Words("监测中断", "silence"), "", grave=("rain",), within_km=1.5 * STEP_KM
)


def station_rule(name: str) -> StationRule:
    return StationRule(name, "v", name, Words(f"{name}规则", f"the {name} rule"), "", (), timedelta(0))


def catalogue(
    *compound: CompoundRule,
    silence: SilenceRule | None = None,
    relations: dict[str, dict[str, tuple[str, ...]]] | None = None,
) -> Catalogue:
    rules = (station_rule("rain"), station_rule("slope"))
    said = Catalogue("", rules, silence=silence, compound=compound, relations=relations or {})
    return msgspec.structs.replace(said, version=str(zlib.crc32(msgspec.json.encode(said))))


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def level(minute: float, rule: str, site: int, found: Level | None, *, drill: bool = False) -> SiteLevel:
    figure = Words(f"第 {minute:g} 分钟", f"minute {minute:g}")
    return SiteLevel(rule, f"S-{site}", at(minute), found, figure, drill)


def silent(minute: float, station: int, cause: Cause = Cause.STATION_SILENT) -> Spoke:
    return _event(EventKind.SILENT, minute, station, cause)


def speaks(minute: float, station: int) -> Spoke:
    return _event(EventKind.SPEAKING_AGAIN, minute, station, None)


def _event(kind: EventKind, minute: float, station: int, cause: Cause | None) -> Spoke:
    name = f"R-{station}"
    last = at(minute - 15) if kind is EventKind.SILENT else None
    event = StationEvent(
        f"{kind}-{name}-{minute}",
        name,
        COUNTY.stations[name].gateway,
        f"S-{station}",
        kind,
        at(minute),
        Words("", ""),
        last,
        cause,
    )
    return Spoke(event)


def tick(minute: float) -> Tick:
    return Tick(at(minute))


def judged(
    rules: Catalogue,
    signals: Iterable[Signal],
    state: CountyState | None = None,
    county: County = COUNTY,
) -> list[Finding]:
    judge, state = CountyJudge(rules, county), state if state is not None else CountyState()
    return [found for signal in signals for found in judge.judge(state, signal)]


def told(found: Sequence[Finding]) -> list[tuple[float, str, str, Level | None]]:
    """Minute, rule, site and level."""
    return [
        (round((one.time - START) / timedelta(minutes=1), 3), one.rule, one.site, one.level) for one in found
    ]
