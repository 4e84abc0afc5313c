"""From bytes to what is accepted or refused: the steps, in order, as data. Pure: `now` comes in with the context.

This is the careful way, which can say what is wrong with what; fast.py takes what is plainly right before it.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from services.ingest import units
from services.ingest.decoders import cgs, detections, native, senml
from services.ingest.mqtt import Message
from services.ingest.observation import Observation, Refused, Sighting
from services.ingest.places import Places
from tongluo.detection import Detection, Snapshot, SnapshotRef
from tongluo.hazards import Words
from tongluo.reading import METRICS, Refusal, storable, storable_words
from tongluo.readings import microseconds
from tongluo.region import Station, StationKind

MAX_PAYLOAD_BYTES: Final = 512 * 1024
MOST_REFUSALS: Final = 100
# Also in replay mode: outside these years no gauge has measured, and calendars and databases come to their ends.
FIRST_YEAR, LAST_YEAR = 1900, 2199


class Limits(msgspec.Struct, frozen=True):
    """How far from now a reading's time may lie; None means unlimited (replay mode)."""

    future: timedelta | None
    past: timedelta | None


class Context(msgspec.Struct, frozen=True):
    """What the steps need to know about the world."""

    places: Places
    now: datetime
    limits: Limits


class Detected(msgspec.Struct, frozen=True):
    """A detection to be logged, and the snapshot that must be stored before."""

    detection: Detection
    snapshot: Snapshot | None


class Accepted(msgspec.Struct, frozen=True):
    """A reading: the number of its series in the places, its event time, its value in the metric's own unit."""

    number: int
    time_us: int
    value: float
    seq: int | None


class Draft(msgspec.Struct, frozen=True):
    """A reading in the making."""

    gateway: str
    observation: Observation
    station: Station | None = None
    value: float = 0.0


Outcome = Accepted | Detected | Refusal
Step = Callable[[Draft, Context], Draft | Refused]
# The payload, and when it came in (aware UTC): some formats give times relative to that.
Decoder = Callable[[bytes, datetime], Iterator[Observation | Sighting | Refused]]

DECODERS: Final[dict[str, Decoder]] = {
    "readings": native.decode,
    "senml": senml.decode,
    "cgs": cgs.decode,
    "detections": detections.decode,
}

# Topics of the contract that carry no observation: other parts of the program listen to them.
NOT_OBSERVATIONS: Final = frozenset({"status", "commands"})


def place(draft: Draft, context: Context) -> Draft | Refused:
    """Find the station, and check that this gateway speaks for it."""
    seen = draft.observation
    station = _find(seen, draft.gateway, context)
    if isinstance(station, Refused):
        return station
    return msgspec.structs.replace(draft, station=station, value=seen.value)


def _find(seen: Observation | Sighting, gateway: str, context: Context) -> Station | Refused:
    station = context.places.station(seen.station, gateway)
    if station is None:
        return _refuse(
            seen,
            "unknown_station",
            f"测站 {seen.station[:64]} 未登记；请先登记，再重新入队",
            f"station {seen.station[:64]} is not registered; register it, then requeue",
        )
    if station.gateway != gateway:
        return _refuse(
            seen,
            "foreign_station",
            f"测站 {station.id} 属于网关 {station.gateway}，网关 {gateway[:64]} 无权代报",
            f"station {station.id} belongs to gateway {station.gateway}; "
            f"gateway {gateway[:64]} may not speak for it",
        )
    return station


def know_metric(draft: Draft, context: Context) -> Draft | Refused:
    """Only metrics of the contract, and only those the station is registered to measure."""
    metric, station = draft.observation.metric, _station(draft)
    if metric not in METRICS:
        return _refuse(
            draft.observation,
            "unknown_metric",
            f"未知指标 {metric[:64]}；可用：{'、'.join(METRICS)}",
            f"unknown metric {metric[:64]}; known are {', '.join(METRICS)}",
        )
    if metric not in station.metrics:
        return _refuse(
            draft.observation,
            "metric_not_registered",
            f"测站 {station.id} 未登记指标 {metric}（已登记：{'、'.join(station.metrics)}）",
            f"station {station.id} is not registered to measure {metric} (it is for {', '.join(station.metrics)})",
        )
    return draft


def check_time(draft: Draft, context: Context) -> Draft | Refused:
    """A clock far ahead or a year behind cannot be judged; the bytes are kept until somebody has looked."""
    return _untimely(draft.observation, context) or draft


def _untimely(seen: Observation | Sighting, context: Context) -> Refused | None:
    time, now, limits = seen.time, context.now, context.limits
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        return _refuse(
            seen,
            "wrong_time",
            f"时间 {time.isoformat()} 不在 {FIRST_YEAR}—{LAST_YEAR} 年之间，请校准网关时钟",
            f"time {time.isoformat()} is not between {FIRST_YEAR} and {LAST_YEAR}; set the gateway's clock",
        )
    if limits.future is not None and time > now + limits.future:
        return _refuse(
            seen,
            "future_time",
            f"时间 {time.isoformat()} 比现在 {now:%Y-%m-%dT%H:%M:%SZ} 超前 {_span(time - now)}，请校准网关时钟",
            f"time {time.isoformat()} is {_span(time - now)} ahead of now ({now:%Y-%m-%dT%H:%M:%SZ}); "
            "set the gateway's clock",
        )
    if limits.past is not None and time < now - limits.past:
        return _refuse(
            seen,
            "past_time",
            f"时间 {time.isoformat()} 比现在 {now:%Y-%m-%dT%H:%M:%SZ} 落后 {_span(now - time)}，请校准网关时钟",
            f"time {time.isoformat()} is {_span(now - time)} behind now ({now:%Y-%m-%dT%H:%M:%SZ}); "
            "set the gateway's clock",
        )
    return None


def convert_unit(draft: Draft, context: Context) -> Draft | Refused:
    """The metric's own unit from here on."""
    seen = draft.observation
    if seen.unit is None:
        return draft
    own = METRICS[seen.metric].unit
    value = units.convert(seen.value, seen.unit, own)
    if value is not None and not math.isfinite(value):
        return _refuse(
            seen,
            "not_finite",
            f"{seen.value} {seen.unit} 换算为 {own} 后不是有限数值",
            f"{seen.value} {seen.unit} is not a finite number of {own}",
        )
    if value is None:
        known = units.known(own)
        return _refuse(
            seen,
            "unknown_unit",
            f"{seen.metric} 的单位 {seen.unit[:32]} 无法换算为 {own}；可用：{'、'.join(known)}",
            f"unit {seen.unit[:32]} of {seen.metric} cannot be converted to {own}; known are {', '.join(known)}",
        )
    return msgspec.structs.replace(draft, value=value)


STEPS: Final[tuple[Step, ...]] = (place, know_metric, check_time, convert_unit)


def read(message: Message, context: Context) -> list[Outcome]:
    """Everything one message holds: readings and detections to be logged, and refusals to be quarantined."""
    gateway, found = _open(message, context)
    return settle(message, gateway, found, context)


def settle(
    message: Message, gateway: str, found: Iterable[Observation | Sighting | Refused], context: Context
) -> list[Outcome]:
    """The same for what was found in a message by other means than its topic."""
    taken: list[Accepted | Detected] = []
    refused: list[Refused] = []
    for item in found:
        outcome = _settled(item, gateway, context)
        if isinstance(outcome, Refused):
            refused.append(outcome)
        else:
            taken.append(outcome)
    if len(refused) > MOST_REFUSALS:
        refused = [_too_many(refused, message)]
    return [*taken, *(refusal(message, gateway, item.code, item.reason, item.raw) for item in refused)]


def _settled(
    item: Observation | Sighting | Refused, gateway: str, context: Context
) -> Accepted | Detected | Refused:
    match item:
        case Refused():
            return item
        case Sighting():
            return detect(item, gateway, context)
        case Observation():
            outcome = _through(Draft(gateway, item), context)
            return _finish(outcome, context) if isinstance(outcome, Draft) else outcome


def detect(seen: Sighting, gateway: str, context: Context) -> Detected | Refused:
    """A sighting of a registered camera of this gateway, at a time that can be judged."""
    camera = _find(seen, gateway, context)
    if isinstance(camera, Refused):
        return camera
    if camera.kind is not StationKind.FIRE_CAMERA:
        return _refuse(
            seen,
            "not_a_camera",
            f"测站 {camera.id} 登记为 {camera.kind.value}，不是瞭望摄像机（{StationKind.FIRE_CAMERA.value}）",
            f"station {camera.id} is registered as {camera.kind.value}, not as {StationKind.FIRE_CAMERA.value}",
        )
    untimely = _untimely(seen, context)
    if untimely is not None:
        return untimely
    picture = seen.snapshot
    return Detected(
        Detection(
            camera=camera.id,
            kind=seen.kind,
            time=seen.time,
            confidence=seen.confidence,
            azimuth_deg=seen.azimuth_deg,
            cone_deg=seen.cone_deg,
            site=camera.site,
            gateway=gateway,
            track=seen.track,
            snapshot=None
            if picture is None
            else SnapshotRef(picture.digest, picture.type, len(picture.data)),
        ),
        picture,
    )


def refusal(message: Message, gateway: str, code: str, reason: Words, payload: bytes) -> Refusal:
    """A refusal whose words can be stored and shown, whatever the gateway put into them."""
    return Refusal(
        storable(gateway, 200),
        storable(message.topic, 200),
        message.received,
        code,
        storable_words(reason),
        payload,
    )


def _too_many(refused: list[Refused], message: Message) -> Refused:
    """One refusal for a message full of faults: a broken gateway must not multiply what it sends."""
    first = refused[0]
    return Refused(
        first.code,
        Words(
            f"一条报文中有 {len(refused)} 处错误，第一处：{first.reason.zh}",
            f"{len(refused)} faults in one message, the first of them: {first.reason.en}",
        ),
        message.payload,
    )


def _through(draft: Draft, context: Context) -> Draft | Refused:
    for step in STEPS:
        outcome = step(draft, context)
        if isinstance(outcome, Refused):
            return outcome
        draft = outcome
    return draft


def _open(message: Message, context: Context) -> tuple[str, Iterator[Observation | Sighting | Refused]]:
    """The gateway a message's topic names, and what its decoder finds in it."""
    gateway, kind = _spoken(message.topic, context.places)
    if kind in NOT_OBSERVATIONS:
        return gateway, iter(())
    if len(message.payload) > MAX_PAYLOAD_BYTES:
        size = len(message.payload)
        reason = Words(
            f"报文 {size} 字节，上限 {MAX_PAYLOAD_BYTES}；请分批发送",
            f"the message has {size} bytes, at most {MAX_PAYLOAD_BYTES} are taken; send it in parts",
        )
        return gateway, iter((Refused("too_large", reason, message.payload),))
    # What SL 651 stations are called and count is in the registry.
    decoder = context.places.sl651 if kind == "sl651" else DECODERS.get(kind)
    if decoder is None:
        reason = Words(
            f"主题 {message.topic[:128]} 不在约定之内；观测值发往 tongluo/v1/{{gw}}/readings",
            f"topic {message.topic[:128]} is not part of the contract; readings go to tongluo/v1/{{gw}}/readings",
        )
        return gateway, iter((Refused("unknown_topic", reason, message.payload),))
    return gateway, decoder(message.payload, message.received)


def _spoken(topic: str, places: Places) -> tuple[str, str]:
    """Whose a message is, and its format."""
    parts = topic.split("/")
    if parts[0] == "spBv1.0" and len(parts) in (4, 5):
        # What the Sparkplug host could not place is kept as native JSON, and may come again from quarantine.
        return places.gateway(f"{parts[1]}/{parts[3]}"), "readings"
    return (parts[2], parts[3]) if len(parts) == 4 else ("", topic)


def _finish(draft: Draft, context: Context) -> Accepted:
    seen = draft.observation
    return Accepted(
        context.places.number(_station(draft), seen.metric), microseconds(seen.time), draft.value, seen.seq
    )


def _station(draft: Draft) -> Station:
    if draft.station is None:
        raise AssertionError("place() comes first in STEPS")
    return draft.station


def _refuse(seen: Observation | Sighting, code: str, zh: str, en: str) -> Refused:
    return Refused(code, Words(zh, en), seen.raw)


def _span(delta: timedelta) -> str:
    days = delta.total_seconds() / 86_400
    return f"{days:.1f} d" if days >= 1 else f"{delta.total_seconds() / 60:.0f} min"
