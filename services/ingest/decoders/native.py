"""Tongluo's own JSON: one reading as an object, or several as an array (contract: docs/contracts.md)."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from services.ingest.observation import Observation, Refused
from tongluo.hazards import Words

MAX_READINGS: Final = 10_000


class Native(msgspec.Struct, frozen=True):
    """One reading as it is sent."""

    station: str
    metric: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    value: float
    seq: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    unit: str | None = None


_one = msgspec.json.Decoder(Native)
_many = msgspec.json.Decoder(list[msgspec.Raw])


def decode(payload: bytes, received: datetime) -> Iterator[Observation | Refused]:
    """Every reading of a payload, or why it could not be read; a bad one does not spoil its neighbours.

    Times are absolute here: `received` is not needed.
    """
    body = payload.lstrip(b" \t\r\n")
    if not body.startswith(b"["):
        yield _read(payload)
        return
    try:
        items = _many.decode(payload)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        yield explain(payload)
        return
    if len(items) > MAX_READINGS:
        yield Refused(
            "too_many_readings",
            Words(
                f"一条报文含 {len(items)} 个观测值，上限 {MAX_READINGS}；请分批发送",
                f"{len(items)} readings in one message, at most {MAX_READINGS}; send them in several",
            ),
            payload,
        )
        return
    for item in items:
        yield _read(bytes(item))


def _read(item: bytes) -> Observation | Refused:
    try:
        native = _one.decode(item)
        time = native.time.astimezone(UTC)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError):
        return explain(item)
    return Observation(native.station, native.metric, time, native.value, native.unit, native.seq, item)


def explain(item: bytes) -> Refused:
    """Why `item` is not a reading, in words for the person who has to mend the gateway.

    The slow way, gone only by what has already been refused: it reads more liberally than the decoder in order to
    say what exactly is wrong.
    """
    try:
        value = json.loads(item)
    except (ValueError, RecursionError) as error:
        where = f" ({error})" if isinstance(error, json.JSONDecodeError) else ""
        return Refused(
            "not_json",
            Words(f"报文不是有效的 JSON{where}", f"the message is not valid JSON{where}"),
            item,
        )
    if not isinstance(value, dict):
        return Refused(
            "not_a_reading",
            Words(
                f"应为观测值对象，得到的是{_KINDS_ZH[type(value)]}",
                f"expected a reading object, got {_KINDS[type(value)]}",
            ),
            item,
        )
    faults = [fault for fault in (_fault(name, value) for name in _EXPECTED) if fault is not None]
    if not faults:
        faults = [("wrong_type", Words("无法读作观测值", "cannot be read as a reading"))]
    code = faults[0][0]
    reasons = [reason for _, reason in faults]
    return Refused(
        code,
        Words("；".join(reason.zh for reason in reasons), "; ".join(reason.en for reason in reasons)),
        item,
    )


_Fault = tuple[str, Words]

_KINDS: Final = {
    dict: "an object", list: "an array", str: "text", int: "a number", float: "a number", bool: "true/false",
    type(None): "null",
}  # fmt: skip
_KINDS_ZH: Final = {
    dict: "对象", list: "数组", str: "文本", int: "数字", float: "数字", bool: "布尔值", type(None): "空值",
}  # fmt: skip
_EXPECTED: Final[dict[str, tuple[str, str]]] = {
    "station": ("文本", "text"),
    "metric": ("文本", "text"),
    "time": (
        "带时区的时间，如 2026-07-01T02:15:00+08:00",
        "a time with its zone such as 2026-07-01T02:15:00+08:00",
    ),
    "value": ("数字", "a number"),
    "seq": ("整数", "an integer"),
    "unit": ("文本", "text"),
}


def _fault(name: str, reading: dict[str, Any]) -> _Fault | None:
    """What is wrong with one field, if anything."""
    expected_zh, expected = _EXPECTED[name]
    if name not in reading:
        if name in ("seq", "unit"):
            return None
        return (
            "missing_field",
            Words(f"缺少字段 {name}（{expected_zh}）", f"{name} is missing: {expected} is needed"),
        )
    value = reading[name]
    if value is None and name in ("seq", "unit"):
        return None
    if name == "value" and isinstance(value, float) and not math.isfinite(value):
        return "not_finite", Words(
            f"value 为 {value}，不是有限数值", f"value is {value}, not a finite number"
        )
    if _fits(name, value):
        return None
    got = _shown(value)
    return (
        "wrong_time" if name == "time" else "wrong_type",
        Words(f"字段 {name} 应为{expected_zh}，得到 {got}", f"{name} must be {expected}, got {got}"),
    )


def _fits(name: str, value: Any) -> bool:
    match name:
        case "value":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "seq":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
        case "time":
            return isinstance(value, str) and _is_time(value)
        case _:
            return isinstance(value, str)


def _is_time(text: str) -> bool:
    try:
        msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)]).astimezone(UTC)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return False
    return True


def _shown(value: Any) -> str:
    """A value as far as a person wants to see it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
