"""SenML packs (RFC 8428) in JSON or CBOR: `n` is `station/metric`, base fields resolved, relative times made absolute.

A record is resolved before anything else is said of it, so that what is refused can be sent again by itself.
"""

import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import cbor2
import msgspec

from services.ingest.decoders.cbor import CborFaultError, load
from services.ingest.decoders.parts import MAX_READINGS, from_epoch, number, refuse, shown, too_many
from services.ingest.observation import Observation, Refused

# RFC 8428 section 4.5.3: a time below this many seconds is relative to now.
RELATIVE_BELOW_S: Final = 2**28
# RFC 8428's own version, and the same with the secondary units of RFC 8798 (as RFC 9100 numbers them).
VERSIONS: Final = frozenset({10, 26})

# RFC 8428 section 6: the integer labels of CBOR.
_LABELS: Final = {
    -1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
_BASES: Final = frozenset({"bver", "bn", "bt", "bu", "bv", "bs"})
_TEXTS: Final = frozenset({"bn", "bu", "n", "u"})
_NUMBERS: Final = frozenset({"bt", "bv", "bs", "bver", "t", "v", "s"})
_OTHER_VALUES: Final = {
    "vs": ("文本", "text"),
    "vb": ("布尔值", "true or false"),
    "vd": ("数据块", "data"),
}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]*/[A-Za-z0-9:._-]+")
_CBOR_ARRAYS: Final = range(0x80, 0xA0)

_items = msgspec.json.Decoder(list[msgspec.Raw])

Record = dict[str, Any]


class _Base(msgspec.Struct, frozen=True):
    """The base fields in force; times in seconds."""

    bn: str = ""
    bt: float = 0.0
    bu: str | None = None
    bv: float = 0.0


class _Unresolvable(msgspec.Struct, frozen=True):
    """A refusal after which the records that follow cannot be resolved: they may have needed this one's base."""

    refused: Refused


def decode(payload: bytes, received: datetime) -> Iterator[Observation | Refused]:
    """The readings of a pack, or why they are not taken; a bad record does not spoil its neighbours.

    Relative times count from `received`. A record whose base fields cannot be read ends the pack: what follows would
    get another name or time than was meant.
    """
    records = _read(payload)
    if isinstance(records, Refused):
        yield records
        return
    base = _Base()
    for item, raw in records:
        outcome = item if isinstance(item, _Unresolvable) else _rebase(item, base, raw, payload)
        if isinstance(outcome, Refused):
            yield outcome
        elif isinstance(outcome, _Unresolvable):
            yield outcome.refused
            return
        else:
            base = outcome
            found = _resolve(item, base, received, raw)
            if found is not None:
                yield found


def _read(payload: bytes) -> list[tuple[Any, bytes]] | Refused:
    """The records of a pack as objects with JSON's labels, each with a pack of its own for the quarantine."""
    if payload[:1] and payload[0] in _CBOR_ARRAYS:
        try:
            found = load(payload)
        except CborFaultError as fault:
            return refuse("not_cbor", fault.zh, fault.en, payload)
        if len(found) > MAX_READINGS:
            return too_many(len(found), payload)
        return [(_labelled(item), cbor2.dumps([item])) for item in found]
    try:
        items = _items.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return refuse(
            "not_senml",
            f"报文不是 SenML 数组（JSON 或 CBOR）：{error}",
            f"the message is not a SenML array in JSON or CBOR: {error}",
            payload,
        )
    return (
        too_many(len(items), payload) if len(items) > MAX_READINGS else [_json(bytes(item)) for item in items]
    )


def _json(item: bytes) -> tuple[Any, bytes]:
    raw = b"[" + item + b"]"
    try:
        return msgspec.json.decode(item), raw
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return _Unresolvable(
            _wrong("not_senml", f"无法解读（{error}）", f"cannot be read ({error})", raw)
        ), raw


def _labelled(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    # True and 1 are the same key to Python, not to CBOR.
    return {
        _LABELS.get(key, str(key)) if type(key) is int else key: value
        for key, value in item.items()
        if type(key) in (int, str)
    }


def _rebase(item: Any, base: _Base, raw: bytes, payload: bytes) -> _Base | Refused | _Unresolvable:
    """The base in force from this record on; or why the record, or the rest of the pack, is not taken."""
    if not isinstance(item, dict):
        return _wrong(
            "not_a_record", f"应为对象，得到 {shown(item)}", f"expected an object, got {shown(item)}", raw
        )
    unknown = next((label for label in item if label.endswith("_")), None)
    if unknown is not None:
        refused = _wrong(
            "must_understand",
            f"字段 {shown(unknown)} 以下划线结尾，必须理解才能解读，而本系统不认识",
            f"field {shown(unknown)} ends in an underscore: it must be understood, and is not known here",
            raw,
        )
        return _Unresolvable(refused) if unknown.startswith("b") else refused
    fault = next((fault for label in item if label[:1] == "b" and (fault := _fault(label, item))), None)
    if fault is not None:
        zh, en = fault
        return _Unresolvable(
            _wrong(
                "wrong_base",
                f"基础字段有误，其后的记录无法解读：{zh}",
                f"a base field is wrong, what follows cannot be resolved: {en}",
                payload,
            )
        )
    return _Base(
        item.get("bn", base.bn),
        float(item.get("bt", base.bt)),
        item.get("bu", base.bu),
        float(item.get("bv", base.bv)),
    )


def _fault(label: str, item: Record) -> tuple[str, str] | None:
    """What is wrong with one field of a record, if anything."""
    value = item[label]
    if label in _TEXTS and not isinstance(value, str):
        return f"{label} 应为文本，得到 {shown(value)}", f"{label} must be text, got {shown(value)}"
    if label in _NUMBERS and number(value) is None:
        return (
            f"{label} 应为有限数字，得到 {shown(value)}",
            f"{label} must be a finite number, got {shown(value)}",
        )
    if label == "bver" and value not in VERSIONS:
        return f"不支持 SenML 版本 {shown(value)}", f"SenML version {shown(value)} is not known here"
    return None


def _resolve(item: Record, base: _Base, received: datetime, raw: bytes) -> Observation | Refused | None:
    """One record with its base applied; None for a record that only sets the base."""
    if item and all(label in _BASES for label in item):
        return None
    refused = _field_faults(item, raw) or _no_number(item, raw)
    if refused is not None:
        return refused
    name, value, unit = base.bn + item.get("n", ""), base.bv + float(item["v"]), item.get("u", base.bu)
    if not _NAME.fullmatch(name):
        return _wrong(
            "wrong_name",
            f"名称 {shown(name)} 应为「测站/指标」，如 QT-R-001/rain",
            f"name {shown(name)} must be station/metric such as QT-R-001/rain",
            raw,
        )
    if not math.isfinite(value):
        return _wrong("not_finite", "bv 与 v 之和不是有限数值", "bv and v add up to no finite number", raw)
    seconds = base.bt + item.get("t", 0.0)
    time = from_epoch(seconds + (received.timestamp() if seconds < RELATIVE_BELOW_S else 0.0))
    if time is None:
        return _wrong(
            "wrong_time", f"时间 {seconds} 秒不在日历之内", f"time {seconds} s is in no calendar", raw
        )
    resolved = {"n": name, "t": time.timestamp(), "v": value} | ({} if unit is None else {"u": unit})
    station, _, metric = name.partition("/")
    return Observation(station, metric, time, value, unit, None, msgspec.json.encode([resolved]))


def _field_faults(item: Record, raw: bytes) -> Refused | None:
    for label in item:
        fault = _fault(label, item)
        if fault is not None:
            return _wrong(_code(label, item), *fault, raw)
    return None


def _no_number(item: Record, raw: bytes) -> Refused | None:
    """Why a record gives no number, if it gives none."""
    others = [label for label in _OTHER_VALUES if label in item]
    if "v" in item and others:
        return _wrong(
            "several_values",
            f"一条记录只能有一个值，得到 v 和 {'、'.join(others)}",
            f"a record has one value, got v and {', '.join(others)}",
            raw,
        )
    if "v" in item:
        return None
    if others:
        zh, en = _OTHER_VALUES[others[0]]
        return _wrong(
            "not_a_number",
            f"{others[0]} 是{zh}，观测值须为数字 v",
            f"{others[0]} is {en}, a reading is a number v",
            raw,
        )
    if "s" in item:
        return _wrong(
            "only_a_sum",
            "只有 s（值对时间的积分，单位·秒）没有 v；请上报区间内的值 v",
            "there is s (the value integrated over time, unit times seconds) and no v: send the value v itself",
            raw,
        )
    return _wrong("missing_field", "缺少 v（数字）", "v is missing: a number is needed", raw)


def _code(label: str, item: Record) -> str:
    if label == "t":
        return "wrong_time"
    is_number = isinstance(item[label], int | float) and not isinstance(item[label], bool)
    return "not_finite" if is_number else "wrong_type"


def _wrong(code: str, zh: str, en: str, raw: bytes) -> Refused:
    return refuse(code, f"SenML 记录：{zh}", f"SenML record: {en}", raw)
