"""What several decoders need: how a refusal is made, how seconds since 1970 become a time, how a value is shown."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

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
