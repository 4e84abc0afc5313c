"""What the decoders hand on: an observation or a sighting as the gateway put it, or why it was refused."""

from datetime import datetime

import msgspec

from tongluo.detection import Sign, Snapshot
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


class Sighting(msgspec.Struct, frozen=True):
    """A camera's detection as sent: the camera, a station, not yet looked up. `time` is aware UTC, angles in degrees."""

    station: str
    time: datetime
    kind: Sign
    confidence: float
    azimuth_deg: float
    cone_deg: float
    track: str | None
    snapshot: Snapshot | None
    raw: bytes


class Refused(msgspec.Struct, frozen=True):
    """Why something is not taken: a stable code for programs, a reason for people."""

    code: str
    reason: Words
    raw: bytes
