"""Which commands a finding asks for: pure, times are arguments.

What is remembered are the newest level of each hazard at a site and the newest command to each of its stations.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from tongluo.finding import Finding, Level
from tongluo.region import County, Station, StationKind
from tongluo.sampling import DenseIntervals

# How long a command holds unless it is renewed: should we fall silent, stations go back by themselves.
HOLDS: Final = timedelta(hours=2)
RENEWED_BEFORE_END: Final = timedelta(minutes=30)


class Held(msgspec.Struct, frozen=True):
    """The level that a hazard has at a site since the event time `time`; None once it has fallen away."""

    level: Level | None
    time: datetime


class Wanted(msgspec.Struct, frozen=True):
    """A command as it is to be stored. (station, hazard, found, number) is its identity.

    `hazard`, `level` and `found` are its cause: the finding that asked for it, or for what `number` > 1 renews.
    `until` is None for a release.
    """

    station: str
    gateway: str
    site: str
    interval_s: int
    until: datetime | None
    hazard: str
    level: Level | None
    found: datetime
    number: int = 1

    @property
    def id(self) -> str:
        """Readable, deterministic, and fit for one level of an MQTT topic."""
        utc = self.found.astimezone(UTC)
        micro = f"-{utc.microsecond:06d}" if utc.microsecond else ""
        return f"{self.station}-{self.hazard}-{utc:%Y%m%dT%H%M%SZ}{micro}-{self.number}"


class Asked(msgspec.Struct, frozen=True):
    """The newest command to a station, and whether its gateway refused it."""

    wanted: Wanted
    refused: bool = False

    def dense(self, now: datetime) -> bool:
        """Whether the station may be sampling densely because of it: an answer that was lost does not say no."""
        return self.wanted.until is not None and self.wanted.until > now and not self.refused


class Memory(msgspec.Struct, frozen=True):
    """What is known of the sites concerned: levels by (site, hazard), the newest command by station."""

    held: dict[tuple[str, str], Held]
    asked: dict[str, Asked]

    def level(self, site: str) -> Level | None:
        """The gravest level any hazard has at the site."""
        levels = (held.level for (where, _), held in self.held.items() if where == site)
        return max((level for level in levels if level is not None), default=None)


def stations_of(county: County, site: str) -> list[Station]:
    """The site's stations that can be asked, by id.

    Cameras sample nothing; a gateway with an address of its own protocol hears no commands of ours.
    """
    return [
        station
        for _, station in sorted(county.stations.items())
        if station.site == site
        and station.kind is not StationKind.FIRE_CAMERA
        and county.gateways[station.gateway].address is None
    ]


def interval_s(station: Station, level: Level | None, policy: DenseIntervals) -> int | None:
    """What a level asks of a station; None where that is nothing denser than what it does anyway."""
    wanted = policy.at(level)
    return wanted if wanted is not None and wanted < station.interval_s else None


def judge(
    memory: Memory, findings: Iterable[Finding], county: County, policy: DenseIntervals, now: datetime
) -> tuple[Memory, list[Wanted]]:
    """The memory after the findings, and the commands they ask for, in order.

    A finding that is not newer than what is known of its hazard and site changes nothing. One so old that a command
    given at its time would have ended by now asks for nothing denser: it is of the past; but it may release.
    """
    memory = Memory(dict(memory.held), dict(memory.asked))
    commands: list[Wanted] = []
    for finding in findings:
        key = finding.site, finding.hazard
        known = memory.held.get(key)
        if known is not None and finding.time <= known.time:
            continue
        memory.held[key] = Held(finding.level, finding.time)
        level = memory.level(finding.site)
        for station in stations_of(county, finding.site):
            wanted = _wanted(station, finding, level, memory.asked.get(station.id), policy, now)
            if wanted is not None:
                memory.asked[station.id] = Asked(wanted)
                commands.append(wanted)
    return memory, commands


def _wanted(
    station: Station,
    finding: Finding,
    level: Level | None,
    asked: Asked | None,
    policy: DenseIntervals,
    now: datetime,
) -> Wanted | None:
    dense = asked is not None and asked.dense(now)
    interval = interval_s(station, level, policy)
    if interval is None:
        if not dense:
            return None
        return _command(station, finding, level, station.interval_s, None)
    if finding.time + HOLDS <= now:
        return None
    still = asked is not None and asked.wanted.until is not None and asked.wanted.until > now
    if still and asked is not None and asked.wanted.interval_s == interval:
        return None  # asked already, or refused already
    return _command(station, finding, level, interval, now + HOLDS)


def _command(
    station: Station, finding: Finding, level: Level | None, interval: int, until: datetime | None
) -> Wanted:
    return Wanted(
        station.id, station.gateway, station.site, interval, until, finding.hazard, level, finding.time
    )


def renew(memory: Memory, county: County, policy: DenseIntervals, now: datetime) -> list[Wanted]:
    """The commands that go on: those that soon end or have ended, while a level still asks for them.

    Only what was asked before is renewed: a level of long ago that nobody acted upon then begins nothing now. What a
    gateway refused is asked again only by another finding.
    """
    found: list[Wanted] = []
    for name, asked in sorted(memory.asked.items()):
        last, station = asked.wanted, county.stations.get(name)
        if station is None or last.until is None or asked.refused or last.until - now > RENEWED_BEFORE_END:
            continue
        level = memory.level(station.site)
        interval = interval_s(station, level, policy)
        if interval is not None:
            found.append(
                msgspec.structs.replace(
                    last,
                    gateway=station.gateway,
                    interval_s=interval,
                    until=now + HOLDS,
                    level=level,
                    number=last.number + 1,
                )
            )
    return found
