"""What the decoders hand on: an observation as the gateway put it, or why it was refused."""

from datetime import datetime

import msgspec

from tongluo.hazards import Words


class Observation(msgspec.Struct, frozen=True):
    """A value as sent: the station not yet looked up, the unit not yet converted. `time` is aware UTC."""

    station: str
    metric: str
    time: datetime
    value: float
    unit: str | None
    seq: int | None
    raw: bytes


class Refused(msgspec.Struct, frozen=True):
    """Why something is not taken: a stable code for programs, a reason for people."""

    code: str
    reason: Words
    raw: bytes
