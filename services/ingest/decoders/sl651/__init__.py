"""SL 651-2014, the hydrological telemetry protocol, in HEX/BCD encoding: frames to observations (docs/formats.md).

frames → assembly → body → samples → observations, each of them pure; session ties them for a connection or a message,
acknowledge writes what a station is answered.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from services.ingest.decoders.sl651.assembly import Missing
from services.ingest.decoders.sl651.observations import Stations, observations
from services.ingest.decoders.sl651.session import Session
from services.ingest.observation import Observation, Refused
from tongluo.hazards import Words

MAX_READINGS: Final = 10_000
MOST_REFUSALS: Final = 1000
_HEX: Final = re.compile(rb"[0-9A-Fa-f\s]+")
# A message is whole when it is read: nothing in it has to wait.
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


def decoder(stations: Stations) -> Callable[[bytes, datetime], Iterator[Observation | Refused]]:
    """A decoder that asks `stations` whose the elements are."""

    return lambda payload, received: _bounded(_read(payload, stations), payload)


def decode(payload: bytes, received: datetime) -> Iterator[Observation | Refused]:
    """Every observation of a payload of frames, binary or as hexadecimal text; frames carry their own times.

    Until the registry knows telemetry addresses, a station's id is its address of ten digits.
    """
    return _bounded(_read(payload, Stations()), payload)


def _read(payload: bytes, stations: Stations) -> Iterator[Observation | Refused]:
    data, odd = _binary(payload)
    if not payload.strip():
        yield Refused("not_sl651", Words("报文为空", "the message is empty"), payload)
    session = Session()
    for item in (*session.take(data, _NO_TIME), *session.finish(_NO_TIME)):
        if isinstance(item, Refused):
            yield item
        elif not isinstance(item, Missing):  # what is missing is refused in the end
            yield from observations(item, stations)
    if odd:
        yield Refused(
            "not_sl651",
            Words(
                "十六进制文本的位数为奇数，最后一位落单", "the hexadecimal text has an odd number of digits"
            ),
            odd,
        )


def _binary(payload: bytes) -> tuple[bytes, bytes]:
    """The bytes of a payload and, of hexadecimal text, a last digit that lacks its other half."""
    if not _HEX.fullmatch(payload):  # a frame itself begins with ~~, which is no digit
        return payload, b""
    digits = b"".join(payload.split())
    whole = len(digits) // 2 * 2
    return bytes.fromhex(digits[:whole].decode("ascii")), digits[whole:]


def _bounded(found: Iterator[Observation | Refused], payload: bytes) -> Iterator[Observation | Refused]:
    """No more than MAX_READINGS, and of refusals no more than anybody will read."""
    taken = refused = 0
    for outcome in found:
        if isinstance(outcome, Refused):
            refused += 1
            if refused > MOST_REFUSALS:
                continue
        taken += isinstance(outcome, Observation)
        if taken > MAX_READINGS:
            reason = Words(
                f"一条报文的观测值超过 {MAX_READINGS} 个，其余不再接收；请分批发送",
                f"more than {MAX_READINGS} readings in one message, the rest is not taken; send them in several",
            )
            yield Refused("too_many_readings", reason, payload)
            return
        yield outcome
