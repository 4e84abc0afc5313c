"""Sparkplug B: births name the metrics of an edge node, data messages speak of them by alias, a count shows what is lost.

A pure function over one edge node's state: `take` is told what was known and says what is known after. Topics are
`spBv1.0/{group}/{type}/{edge}[/{device}]`; the edge node is the gateway, a device a station, the metric's name one of
ours; a metric of the edge node itself, or one with a slash in its name, is `station/metric`.
"""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, Literal, cast

import msgspec
from google.protobuf.message import DecodeError

from services.ingest.decoders.parts import from_epoch, refuse, shown, written
from services.ingest.decoders.sparkplug_b_pb2 import Metric, Payload
from services.ingest.observation import Observation, Refused

MAX_METRICS: Final = 5_000
MAX_NAME: Final = 255
SEQUENCE: Final = 256

# What edge nodes say of themselves and of their commands; never a reading.
DESCRIPTIVE: Final = (
    "bdSeq",
    "Node Control/",
    "Device Control/",
    "Node Info/",
    "Device Info/",
    "Properties/",
)
UNIT_PROPERTY: Final = "engUnit"

_SIGNED_BITS: Final = {1: 8, 2: 16, 3: 32, 4: 64}
_UNSIGNED: Final = frozenset({5, 6, 7, 8})
_BOOLEAN: Final = 11

Kind = Literal["NBIRTH", "DBIRTH", "NDATA", "DDATA", "NDEATH", "DDEATH"]
_OF_A_NODE: Final = frozenset({"NBIRTH", "NDATA", "NDEATH"})
_OF_A_DEVICE: Final = frozenset({"DBIRTH", "DDATA", "DDEATH"})


class Address(msgspec.Struct, frozen=True):
    """Who says what: the parts of a topic. `device` is empty in messages of the edge node itself."""

    group: str
    kind: Kind
    edge: str
    device: str = ""


class Known(msgspec.Struct, frozen=True):
    """A metric as its birth described it."""

    device: str
    name: str
    datatype: int
    unit: str | None


class EdgeNode(msgspec.Struct, frozen=True):
    """What is known of an edge node since its birth. `seq` is the last count heard, `session` the birth's bdSeq."""

    seq: int
    session: int | None
    devices: frozenset[str]
    metrics: Mapping[tuple[str, str], Known]
    aliases: Mapping[int, Known]


class Outcome(msgspec.Struct, frozen=True):
    """What a message leaves: the node (None when it must be born anew), what was found, how many messages were lost.

    `rebirth` asks for a command to the edge node (see `rebirth`): its births were missed, or messages in between.
    """

    node: EdgeNode | None
    found: tuple[Observation | Refused, ...] = ()
    missed: int = 0
    rebirth: bool = False


def address(topic: str) -> Address | None:
    """The parts of a topic; None for what is not from an edge node: commands, the state of hosts, other namespaces."""
    parts = topic.split("/")
    if len(parts) not in (4, 5) or parts[0] != "spBv1.0" or not all(parts):
        return None
    kinds = _OF_A_NODE if len(parts) == 4 else _OF_A_DEVICE
    if parts[2] not in kinds:
        return None
    return Address(parts[1], cast("Kind", parts[2]), parts[3], *parts[4:])


def rebirth(who: Address, now: datetime) -> tuple[str, bytes]:
    """Topic and payload of the command that makes an edge node send its births again; QoS 0, not retained."""
    at_ms = int(now.timestamp() * 1000)
    command = Metric(name="Node Control/Rebirth", timestamp=at_ms, datatype=_BOOLEAN, boolean_value=True)
    return (
        f"spBv1.0/{who.group}/NCMD/{who.edge}",
        Payload(timestamp=at_ms, metrics=[command]).SerializeToString(),
    )


def take(who: Address, data: bytes, node: EdgeNode | None) -> Outcome:
    """One message of an edge node of which `node` is known (None: no birth heard yet)."""
    try:
        payload = Payload.FromString(data)
    except DecodeError as error:
        return Outcome(
            node, (_wrong("not_protobuf", f"无法解读（{error}）", f"cannot be read ({error})", data),)
        )
    if len(payload.metrics) > MAX_METRICS:
        return Outcome(node, (_too_many(len(payload.metrics), data),))
    if who.kind == "NDEATH":
        return Outcome(None if node is None or _ends(payload, node) else node)
    if payload.seq >= SEQUENCE or not payload.HasField("seq"):
        fault = _wrong(
            "wrong_sequence", "缺少 seq（0-255）", "seq is missing: a number from 0 to 255 is needed", data
        )
        return Outcome(node, (fault,))
    if who.kind == "NBIRTH":
        return _born(who, payload, EdgeNode(payload.seq, _session(payload), frozenset(), {}, {}), data)
    return _unborn(who, data) if node is None else _follow(who, payload, node, data)


def _follow(who: Address, payload: Payload, node: EdgeNode, data: bytes) -> Outcome:
    """A message after the birth: in its place in the count, or after a gap."""
    missed = (payload.seq - node.seq - 1) % SEQUENCE
    node = msgspec.structs.replace(node, seq=payload.seq)
    match who.kind:
        case "DBIRTH":
            outcome = _born(who, payload, _without(node, who.device), data)
        case "DDEATH":
            outcome = Outcome(_without(node, who.device))
        case "DDATA" if who.device not in node.devices:
            outcome = msgspec.structs.replace(_unborn(who, data), node=node)
        case _:
            outcome = Outcome(node, tuple(_readings(who, payload, node, birth=False)))
    # A birth may be among what was missed: what an alias means is certain only after the next one.
    return msgspec.structs.replace(outcome, missed=missed, rebirth=outcome.rebirth or missed > 0)


def _unborn(who: Address, data: bytes) -> Outcome:
    name = shown(f"{who.edge}/{who.device}" if who.device else who.edge)
    refused = _wrong(
        "no_birth",
        f"尚未收到 {name} 的上线报文（BIRTH），无法解读；应请其重发",
        f"no birth of {name} has been seen, so this cannot be read; a rebirth is wanted",
        data,
    )
    return Outcome(None, (refused,), rebirth=True)


def _born(who: Address, payload: Payload, node: EdgeNode, data: bytes) -> Outcome:
    """A node with the metrics that a birth describes, and the values that come with it."""
    metrics, aliases = dict(node.metrics), dict(node.aliases)
    for metric in payload.metrics:
        if not metric.name or len(metric.name) > MAX_NAME:
            return _stillborn(
                who, node, "上线报文中有指标没有名称", "a metric of the birth has no name", data
            )
        if (who.device, metric.name) in metrics:
            name = shown(metric.name)
            return _stillborn(who, node, f"指标 {name} 出现两次", f"metric {name} is there twice", data)
        known = Known(who.device, metric.name, metric.datatype, _unit(metric))
        metrics[who.device, metric.name] = known
        if metric.HasField("alias"):
            if metric.alias in aliases:
                twice = metric.alias
                return _stillborn(who, node, f"别名 {twice} 用了两次", f"alias {twice} is used twice", data)
            aliases[metric.alias] = known
    if len(metrics) > MAX_METRICS:
        return Outcome(node if who.device else None, (_too_many(len(metrics), data),))
    devices = node.devices | {who.device} if who.device else node.devices
    node = msgspec.structs.replace(node, devices=devices, metrics=metrics, aliases=aliases)
    return Outcome(node, tuple(_readings(who, payload, node, birth=True)))


def _stillborn(who: Address, node: EdgeNode, zh: str, en: str, data: bytes) -> Outcome:
    """A birth that cannot be trusted is none: a value must never go to the wrong station."""
    return Outcome(node if who.device else None, (_wrong("wrong_birth", zh, en, data),))


def _without(node: EdgeNode, device: str) -> EdgeNode:
    return msgspec.structs.replace(
        node,
        devices=node.devices - {device},
        metrics={key: known for key, known in node.metrics.items() if known.device != device},
        aliases={alias: known for alias, known in node.aliases.items() if known.device != device},
    )


def _session(payload: Payload) -> int | None:
    """The bdSeq that ties a death to its birth."""
    found = next((metric for metric in payload.metrics if metric.name == "bdSeq"), None)
    return None if found is None else found.long_value or found.int_value


def _ends(payload: Payload, node: EdgeNode) -> bool:
    """Whether a death is of this session; the will of an earlier one may come late."""
    session = _session(payload)
    return session is None or node.session is None or session == node.session


def _readings(
    who: Address, payload: Payload, node: EdgeNode, *, birth: bool
) -> Iterator[Observation | Refused]:
    for metric in payload.metrics:
        alone = metric.SerializeToString()
        by_alias = metric.HasField("alias") and not metric.name
        known = node.aliases.get(metric.alias) if by_alias else node.metrics.get((who.device, metric.name))
        if known is None or known.device != who.device:
            called = f"alias {metric.alias}" if by_alias else metric.name
            yield _wrong(
                "not_in_birth",
                f"上线报文中没有 {shown(called)}",
                f"the birth does not know {shown(called)}",
                alone,
            )
        elif not known.name.startswith(DESCRIPTIVE) and not (birth and _empty(metric)):
            yield _reading(known, metric, payload, alone)


def _empty(metric: Metric) -> bool:
    """A birth names metrics that have no value yet."""
    return metric.is_null or metric.WhichOneof("value") is None


def _reading(known: Known, metric: Metric, payload: Payload, alone: bytes) -> Observation | Refused:
    station, slash, name = known.name.partition("/")
    if not slash:
        station, name = known.device, known.name
    if not station or not name or "/" in name:
        return _wrong(
            "wrong_name",
            f"指标 {shown(known.name)} 应为「测站/指标」，或在设备报文中为指标名",
            f"metric {shown(known.name)} must be station/metric, or a metric in a message of a device",
            alone,
        )
    if _empty(metric):
        return _wrong("no_value", f"{shown(known.name)} 没有值", f"{shown(known.name)} has no value", alone)
    value = _value(metric, known.datatype or metric.datatype)
    if value is None:
        return _wrong(
            "not_a_number",
            f"{shown(known.name)} 的类型 {known.datatype} 不是数字",
            f"{shown(known.name)} of datatype {known.datatype} is not a number",
            alone,
        )
    if not math.isfinite(value):
        return _wrong(
            "not_finite", f"{shown(known.name)} 不是有限数值", f"{shown(known.name)} is not finite", alone
        )
    at_ms = metric.timestamp if metric.HasField("timestamp") else payload.timestamp
    time = from_epoch(at_ms / 1000)
    if time is None or not at_ms:
        return _wrong(
            "wrong_time", "缺少时间戳，或不在日历之内", "timestamp is missing, or in no calendar", alone
        )
    # As the native format says it: alone, neither an alias nor a birth is needed to read it.
    raw = {"station": station, "metric": name, "time": time.isoformat(), "value": value} | (
        {} if known.unit is None else {"unit": known.unit}
    )
    return Observation(station, name, time, value, known.unit, None, written(raw))


def _value(metric: Metric, datatype: int) -> float | None:
    """The number a metric carries, by the datatype of its birth; None when it is none."""
    match metric.WhichOneof("value"):
        case "float_value":
            return metric.float_value
        case "double_value":
            return metric.double_value
        case "int_value":
            whole = metric.int_value
        case "long_value":
            whole = metric.long_value
        case _:
            return None
    if datatype in _UNSIGNED:
        return float(whole)
    bits = _SIGNED_BITS.get(datatype)
    if bits is None:
        return None
    # Two's complement; some send eight bits of it, some thirty-two.
    whole %= 1 << bits
    return float(whole - (1 << bits) if whole >> (bits - 1) else whole)


def _unit(metric: Metric) -> str | None:
    for key, value in zip(metric.properties.keys, metric.properties.values, strict=False):
        if key == UNIT_PROPERTY and value.string_value:
            return value.string_value[:64]
    return None


def _too_many(count: int, data: bytes) -> Refused:
    return _wrong(
        "too_many_metrics",
        f"{count} 个指标，上限 {MAX_METRICS}",
        f"{count} metrics, at most {MAX_METRICS} of one edge node",
        data,
    )


def _wrong(code: str, zh: str, en: str, raw: bytes) -> Refused:
    return refuse(code, f"Sparkplug 报文：{zh}", f"Sparkplug message: {en}", raw)
