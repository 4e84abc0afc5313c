"""The short way for what is plainly right: native JSON of a registered gateway, every reading as the contract says.

It takes a message whole or not at all; whatever gives it pause goes the careful way (pipeline.py), which knows how to
say why. Both ways must give the same: a property test holds them to it.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

from services.ingest.decoders.native import MAX_READINGS, Native
from services.ingest.mqtt import Message
from services.ingest.pipeline import FIRST_YEAR, MAX_PAYLOAD_BYTES, Context
from services.ingest.rows import Rows
from tongluo.readings import microseconds

_one: Final = msgspec.json.Decoder(Native)
_many: Final = msgspec.json.Decoder(list[Native])
_ARRAY: Final = ord("[")

FIRST: Final = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
# Until then a double of seconds is exact to the microsecond; replay of later times goes the careful way.
LAST: Final = datetime(2105, 12, 31, tzinfo=UTC)


def span(context: Context) -> tuple[datetime, datetime]:
    """The event times that are taken now."""
    limits, now = context.limits, context.now
    return (
        FIRST if limits.past is None else max(FIRST, now - limits.past),
        LAST if limits.future is None else min(LAST, now + limits.future),
    )


def take(message: Message, context: Context, between: tuple[datetime, datetime], rows: Rows) -> bool:
    """Put all readings of a message into `rows`; False, and nothing is changed, if it must go the careful way."""
    known = context.places.native.get(message.topic)
    payload = message.payload
    if known is None or not payload or len(payload) > MAX_PAYLOAD_BYTES:
        return False
    _, vocabulary = known
    try:
        items = _many.decode(payload) if payload[0] == _ARRAY else [_one.decode(payload)]
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return False
    if len(items) > MAX_READINGS:
        return False
    first, last = between
    which: list[int] = []
    for item in items:
        spoken = vocabulary.get((item.station, item.metric))
        if (
            spoken is None
            or not first <= item.time <= last
            or (item.unit is not None and item.unit != spoken.unit)
        ):
            return False
        which.append(spoken.number)
    rows.which += which
    rows.time_us += [round(item.time.timestamp() * 1e6) for item in items]
    rows.value += [item.value for item in items]
    rows.seq += [item.seq for item in items]
    rows.received_us += [received_us(message)] * len(items)
    return True


def received_us(message: Message) -> int:
    """When a message came in, in microseconds since 1970."""
    return microseconds(message.received)
