"""A detection: what one camera saw at one moment, smoke or fire or heat, in which direction and how surely."""

import enum
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec

# At most what is worth sending from a hill over a mobile network.
MAX_SNAPSHOT_BYTES: Final = 256 * 1024

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Confidence = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Azimuth = Annotated[float, msgspec.Meta(ge=0.0, lt=360.0)]
Cone = Annotated[float, msgspec.Meta(gt=0.0, le=360.0)]
Track = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._:-]{1,64}$")]


class Sign(enum.StrEnum):
    """What the camera's software took it for."""

    SMOKE = "smoke"
    FIRE = "fire"
    HEAT = "heat"


class ImageType(enum.StrEnum):
    """What a snapshot is by its own bytes; the value is its file suffix."""

    JPEG = "jpg"
    PNG = "png"
    WEBP = "webp"


class Snapshot(msgspec.Struct, frozen=True):
    """A picture that came with a detection: bounded, of a type its bytes show, named by its SHA-256 alone."""

    digest: Digest
    type: ImageType
    data: bytes


class SnapshotRef(msgspec.Struct, frozen=True):
    """Which stored snapshot belongs to a detection."""

    digest: Digest
    type: ImageType
    size_bytes: int


class Detection(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sighting of a registered camera. Identified by (camera, kind, time, track): twice counts once.

    `azimuth_deg` is clockwise from north, `cone_deg` the width of what was seen, `track` the camera's own name for
    sightings it takes for one and the same. Values outside their span raise msgspec.ValidationError when decoded.
    """

    camera: str
    kind: Sign
    time: datetime
    confidence: Confidence
    azimuth_deg: Azimuth
    cone_deg: Cone
    site: str
    gateway: str
    track: Track | None = None
    snapshot: SnapshotRef | None = None


def snapshot_path(folder: Path, digest: str, image: ImageType) -> Path:
    """Where a snapshot lies below `folder`, or would."""
    return folder / digest[:2] / f"{digest}.{image.value}"


def image_type(data: bytes) -> ImageType | None:
    """The type that the first bytes show; None for anything that is no picture we keep."""
    for pattern, found in _SIGNATURES:
        if pattern.match(data):
            return found
    return None


_SIGNATURES: Final = (
    (re.compile(rb"\xff\xd8\xff"), ImageType.JPEG),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), ImageType.PNG),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), ImageType.WEBP),
)
