"""What several decoders need: how a refusal is made and explained, how seconds since 1970 become a time, how a value is shown."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from services.ingest.observation import Refused
from tongluo.hazards import Words

# As in the native format: a message with more is refused whole.
MAX_READINGS: Final = 10_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def refuse(code: str, zh: str, en: str, raw: bytes) -> Refused:
    """A refusal with its reason in both languages."""
    return Refused(code, Words(zh, en), raw)


def from_epoch(seconds: float) -> datetime | None:
    """The UTC time so many seconds after 1970; None when no calendar has it."""
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None


def number(value: Any) -> float | None:
    """A finite number as a float; None for anything else, true and false among it."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def written(value: Any) -> bytes:
    """JSON of what was decoded from JSON, huge integers and all, for the quarantine."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def too_many(count: int, raw: bytes) -> Refused:
    """The refusal of a message with more readings than are taken at once."""
    return refuse(
        "too_many_readings",
        f"一条报文含 {count} 个观测值，上限 {MAX_READINGS}；请分批发送",
        f"{count} readings in one message, at most {MAX_READINGS}; send them in several",
        raw,
    )


def shown(value: Any) -> str:
    """A value as far as a person wants to see it."""
    match value:
        case str():
            text = value
        case None | bool() | int() | float():
            # Not str(): that refuses, and takes long over, an integer of thousands of digits.
            text = json.dumps(value) if not isinstance(value, int) or abs(value) < 2**64 else "a huge integer"
        case dict():
            text = "{…}"
        case list() | tuple():
            text = "[…]"
        case bytes():
            text = f"h'{value[:24].hex()}'"
        case _:
            text = type(value).__name__
    return text if len(text) <= 60 else text[:57] + "..."


class What(msgspec.Struct, frozen=True):
    """What a JSON object should have been: the code when it is none at all, its name for people, and its fields.

    `expected` gives each field's type, and what that is in Chinese and English; those in `optional` may be absent.
    """

    code: str
    zh: str
    en: str
    expected: Mapping[str, tuple[Any, str, str]]
    optional: frozenset[str]


def explain(payload: bytes, fault: Exception, what: What) -> Refused:
    """Why `payload` is not `what`: the slow way, gone only by what has already been refused for `fault`."""
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return refuse(
            "not_json", f"报文不是有效的 JSON：{error}", f"the message is not valid JSON: {error}", payload
        )
    if not isinstance(value, dict):
        return refuse(
            what.code,
            f"应为{what.zh}对象，得到 {shown(value)}",
            f"expected a {what.en} object, got {shown(value)}",
            payload,
        )
    for name, (kind, zh, en) in what.expected.items():
        if name not in value:
            if name in what.optional:
                continue
            return refuse(
                "missing_field", f"缺少字段 {name}（{zh}）", f"{name} is missing: {en} is needed", payload
            )
        if not _fits(value[name], kind):
            return refuse(
                "wrong_time" if name == "time" else "wrong_type",
                f"字段 {name} 应为{zh}，得到 {shown(value[name])}",
                f"{name} must be {en}, got {shown(value[name])}",
                payload,
            )
    return refuse(
        what.code, f"无法读作{what.zh}：{fault}", f"cannot be read as a {what.en}: {fault}", payload
    )


def _fits(value: Any, kind: Any) -> bool:
    try:
        found = msgspec.convert(value, kind)
        if isinstance(found, datetime):
            found.astimezone(UTC)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return False
    return True
