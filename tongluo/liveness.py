"""Whether stations speak: silence as events, judged from when they were heard. Pure: times come in, events go out.

An event's time follows from when a station was heard, not from when somebody looked: it fell silent when its patience
ran out, and speaks again at the first reading after that. However often the judgement is made, the events are the same.
"""

import enum
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from tongluo.completeness import NOT_EXPECTED
from tongluo.gateway import GatewayState
from tongluo.hazards import Words
from tongluo.region import County, Station

# Shorter pauses between a station's readings are not written down, and say nothing about its gateway.
RESOLUTION: Final = timedelta(minutes=5)
# However often a station speaks, it is not called silent before: lines hiccup, gateways start anew.
LEAST_SILENCE: Final = timedelta(minutes=10)
# A station that is later than this many of its intervals should have spoken.
OVERDUE: Final = 1.5
# A 12 V lead battery below this is about to leave the device without power; a station's own limit goes before.
LOW_BATTERY_V: Final = 11.5


class EventKind(enum.StrEnum):
    SILENT = "silent"
    SPEAKING_AGAIN = "speaking_again"


class Cause(enum.StrEnum):
    """What is known of why a station is silent."""

    GATEWAY_OFFLINE = "gateway_offline"
    """The broker has told the gateway's last will."""
    GATEWAY_POWER = "gateway_power"
    """The whole gateway is silent, and its battery was low."""
    GATEWAY_SILENT = "gateway_silent"
    """The whole gateway is silent: network or power."""
    COUNTY_SILENT = "county_silent"
    """Nobody is heard at all: likely the centre's own network, broker or ingest."""
    STATION_POWER = "station_power"
    """Its gateway speaks; the station's battery was low."""
    STATION_SILENT = "station_silent"
    """Its gateway speaks: sensor, cable or radio of this station."""
    UNCLEAR = "unclear"
    """The gateway's other stations are not due yet."""


class StationEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A station fell silent, or speaks again. Identified by (station, kind, time); `last` is when it was heard before."""

    id: str
    station: str
    gateway: str
    site: str
    kind: EventKind
    time: datetime
    words: Words
    last: datetime | None = None
    cause: Cause | None = None


class Gap(msgspec.Struct, frozen=True):
    """Nothing was heard of a station after `began` until `ended`, for longer than RESOLUTION."""

    began: datetime
    ended: datetime


class Heard(msgspec.Struct, frozen=True):
    """When a station was heard: first, last, and the gaps between that have not all been judged, in order."""

    first: datetime
    last: datetime
    gaps: tuple[Gap, ...] = ()

    def before(self, moment: datetime) -> datetime:
        """When it was last heard at a moment: exact where that is longer ago than RESOLUTION, else the moment."""
        for gap in self.gaps:
            if gap.began <= moment < gap.ended:
                return gap.began
        return min(self.last, moment)


class Turn(msgspec.Struct, frozen=True):
    """A station turned silent, or ended its silence, at `time`; it was heard at `last` before."""

    kind: EventKind
    time: datetime
    last: datetime


def patience(station: Station, intervals: int) -> timedelta:
    """How long a station may say nothing before it is called silent."""
    return max(timedelta(seconds=intervals * station.interval_s), LEAST_SILENCE)


def speaks(station: Station) -> bool:
    """Whether a station is expected to speak at its interval. A camera speaks when it sees something."""
    return any(metric not in NOT_EXPECTED for metric in station.metrics)


def turns(
    heard: Heard, limit: timedelta, silent_since: datetime | None, now: datetime, watched: datetime | None
) -> Iterator[Turn]:
    """What a station did up to `now`, in order. `silent_since` is the time of the silence that is already told.

    `watched` is since when we ourselves have listened without a break: what was not heard before is not its fault.
    """

    def deadline(last: datetime) -> datetime:
        return (last if watched is None else max(last, watched)) + limit

    if silent_since is not None:
        ended = _end(heard, silent_since)
        if ended is None or ended > now:
            return
        yield Turn(EventKind.SPEAKING_AGAIN, ended, silent_since)
    for gap in heard.gaps:
        due = deadline(gap.began)
        if due >= gap.ended or (silent_since is not None and gap.began < silent_since):
            continue
        if due > now:
            return
        yield Turn(EventKind.SILENT, due, gap.began)
        if gap.ended > now:
            return
        yield Turn(EventKind.SPEAKING_AGAIN, gap.ended, due)
    if deadline(heard.last) <= now:
        yield Turn(EventKind.SILENT, deadline(heard.last), heard.last)


def _end(heard: Heard, silent_since: datetime) -> datetime | None:
    """When a silence ended, if it has."""
    for gap in heard.gaps:
        if gap.began <= silent_since < gap.ended:
            return gap.ended
    return heard.last if heard.last > silent_since else None


Known = tuple[Station, Heard]


class Scene(msgspec.Struct, frozen=True):
    """What is known around a silence: by gateway, the stations that were ever heard, and what gateways said."""

    stations: Mapping[str, Sequence[Known]]
    newest: Mapping[str, datetime]
    gateways: Mapping[str, GatewayState]


def scene(county: County, heard: Mapping[str, Heard], gateways: Mapping[str, GatewayState]) -> Scene:
    """The scene of a county."""
    stations: dict[str, list[Known]] = {}
    for station in county.stations.values():
        if station.id in heard:
            stations.setdefault(station.gateway, []).append((station, heard[station.id]))
    newest = {gateway: max(known.last for _, known in of) for gateway, of in stations.items()}
    return Scene(stations, newest, gateways)


def cause(around: Scene, station: Station, moment: datetime, battery_v: float | None) -> Cause:
    """Why a station that fell silent at `moment` did so. `battery_v` is the last it told of its battery before."""
    peers = [known for known in around.stations.get(station.gateway, ()) if known[0].id != station.id]
    low = battery_v is not None and battery_v < _low_mark(station)
    if any(_spoke(heard, moment) for _, heard in peers):
        return Cause.STATION_POWER if low else Cause.STATION_SILENT
    gateway = around.gateways.get(station.gateway)
    if gateway is not None and gateway.away_at(moment):
        return Cause.GATEWAY_OFFLINE
    if peers and not _overdue(peers, moment):
        return Cause.UNCLEAR
    if _nobody_elsewhere(around, station.gateway, moment):
        return Cause.COUNTY_SILENT
    gateway_low = gateway is not None and gateway.battery is not None and gateway.battery < LOW_BATTERY_V
    return Cause.GATEWAY_POWER if gateway_low or (low and not peers) else Cause.GATEWAY_SILENT


def _nobody_elsewhere(around: Scene, gateway: str, moment: datetime) -> bool:
    """Whether every other gateway is silent too, and should not be."""
    overdue = False
    for other, known in around.stations.items():
        if other == gateway:
            continue
        # Asked first of the newest of all: in a county gone silent, nobody is looked at one by one.
        if around.newest[other] > moment - RESOLUTION and any(_spoke(heard, moment) for _, heard in known):
            return False
        overdue = overdue or _overdue(known, moment)
    return overdue


def _spoke(heard: Heard, moment: datetime) -> bool:
    return heard.first <= moment and heard.before(moment) > moment - RESOLUTION


def _overdue(known: Sequence[Known], moment: datetime) -> bool:
    return any(
        moment - heard.before(moment) > OVERDUE * timedelta(seconds=station.interval_s)
        for station, heard in known
        if heard.first <= moment
    )


def _low_mark(station: Station) -> float:
    own = station.limits.get("battery")
    return LOW_BATTERY_V if own is None or own.warn_below is None else own.warn_below


def event(station: Station, turn: Turn, why: Cause | None) -> StationEvent:
    """The event of a turn, with its identity and its words."""
    return StationEvent(
        id=f"{turn.kind}-{station.id}-{turn.time:%Y%m%dT%H%M%S.%fZ}",
        station=station.id,
        gateway=station.gateway,
        site=station.site,
        kind=turn.kind,
        time=turn.time,
        words=words(station, turn.kind, why),
        last=turn.last if turn.kind is EventKind.SILENT else None,
        cause=why,
    )


_WHY: Final[dict[Cause, tuple[str, str]]] = {
    Cause.GATEWAY_OFFLINE: ("网关 {gateway} 已离线", "its gateway {gateway} is offline"),
    Cause.GATEWAY_POWER: (
        "网关 {gateway} 全部测站无数据，此前电池电压偏低，疑为断电",
        "nothing comes from gateway {gateway}, whose battery was low: likely no power",
    ),
    Cause.GATEWAY_SILENT: (
        "网关 {gateway} 全部测站无数据，疑为网络或供电故障",
        "nothing comes from gateway {gateway}: network or power",
    ),
    Cause.COUNTY_SILENT: (
        "全县均无数据，请先检查中心网络、MQTT 服务和接收程序",
        "nothing comes from anybody: look at the centre's network, the broker and ingest first",
    ),
    Cause.STATION_POWER: (
        "网关 {gateway} 正常，本站此前电池电压偏低，疑为断电",
        "its gateway {gateway} speaks; the station's battery was low: likely no power",
    ),
    Cause.STATION_SILENT: (
        "网关 {gateway} 正常，仅本站无数据，疑为传感器或线路故障",
        "its gateway {gateway} speaks: sensor, cable or radio of this station",
    ),
    Cause.UNCLEAR: (
        "网关 {gateway} 的其他测站尚未到报时，原因不明",
        "the other stations of gateway {gateway} are not due yet: not known why",
    ),
}


def words(station: Station, kind: EventKind, why: Cause | None) -> Words:
    """An event in the users' languages."""
    if kind is EventKind.SPEAKING_AGAIN:
        return Words(f"{station.name} 恢复到报", f"{station.name} speaks again")
    zh, en = because(station.gateway, why or Cause.UNCLEAR)
    return Words(f"{station.name} 静默：{zh}", f"{station.name} is silent: {en}")


def because(gateway: str, why: Cause) -> tuple[str, str]:
    """A cause in Chinese and English."""
    zh, en = _WHY[why]
    return zh.format(gateway=gateway), en.format(gateway=gateway)
