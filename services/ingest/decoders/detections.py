"""Camera detections: one as a JSON object, a snapshot beside it as base64 (contract: docs/contracts.md).

A picture is taken for what its bytes are, whatever is claimed; one that cannot be taken is refused by itself, as a fire
is a fire without its picture.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec

from services.ingest.decoders.parts import What, explain, refuse, shown
from services.ingest.observation import Refused, Sighting
from tongluo.detection import (
    MAX_SNAPSHOT_BYTES,
    Azimuth,
    Cone,
    Confidence,
    ImageType,
    Sign,
    Snapshot,
    Track,
    image_type,
)

MAX_BASE64: Final = 4 * ((MAX_SNAPSHOT_BYTES + 2) // 3)


class SentSnapshot(msgspec.Struct, frozen=True):
    """A picture in base64. What `mime` claims is not looked at: the bytes say what they are."""

    data: str
    mime: str | None = None


class Sent(msgspec.Struct, frozen=True):
    """A detection as the contract has it; the snapshot is looked at apart."""

    camera: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    kind: Sign
    confidence: Confidence
    azimuth: Azimuth
    cone: Cone
    track: Track | None = None
    snapshot: Any = None


_sent = msgspec.json.Decoder(Sent)

_EXPECTED: Final[dict[str, tuple[Any, str, str]]] = {
    "camera": (str, "文本", "text"),
    "time": (
        Annotated[datetime, msgspec.Meta(tz=True)],
        "带时区的时间，如 2026-07-01T02:15:00+08:00",
        "a time with its zone such as 2026-07-01T02:15:00+08:00",
    ),
    "kind": (Sign, "smoke、fire 或 heat", "smoke, fire or heat"),
    "confidence": (Confidence, "0 至 1 的数字", "a number from 0 to 1"),
    "azimuth": (Azimuth, "0 至 360（不含）的方位角，度", "a bearing from 0 up to 360 degrees"),
    "cone": (Cone, "大于 0、不超过 360 的视角，度", "an angle above 0 and at most 360 degrees"),
    "track": (
        Track | None,
        "字母、数字和 . _ : - 组成的 64 字以内标识",
        "at most 64 letters, digits and . _ : -",
    ),
}
_WHAT: Final = What("not_a_detection", "识别结果", "detection", _EXPECTED, frozenset({"track"}))


def decode(payload: bytes, received: datetime) -> Iterator[Sighting | Refused]:
    """The detection of a payload, and what of it could not be taken. Times are absolute: `received` is not needed."""
    try:
        sent = _sent.decode(payload)
        time = sent.time.astimezone(UTC)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        yield explain(payload, error, _WHAT)
        return
    snapshot = None if sent.snapshot is None else _snapshot(sent.snapshot, payload)
    picture = snapshot if isinstance(snapshot, Snapshot) else None
    yield Sighting(
        sent.camera, time, sent.kind, sent.confidence, sent.azimuth, sent.cone, sent.track, picture, payload
    )
    if isinstance(snapshot, Refused):
        yield snapshot


def _snapshot(sent: Any, payload: bytes) -> Snapshot | Refused:
    """The picture, by its bytes; `mime` and any name that came with it are not looked at."""
    text = sent.get("data") if isinstance(sent, dict) else None
    if not isinstance(text, str):
        return refuse(
            "wrong_snapshot",
            f"快照应为含 data（base64）的对象，得到 {shown(text if isinstance(sent, dict) else sent)}",
            f"a snapshot is an object with data in base64, got {shown(text if isinstance(sent, dict) else sent)}",
            payload,
        )
    if len(text) > MAX_BASE64:
        return refuse(
            "snapshot_too_large",
            f"快照约 {len(text) * 3 // 4} 字节，上限 {MAX_SNAPSHOT_BYTES}；请降低画质或分辨率",
            f"the snapshot has about {len(text) * 3 // 4} bytes, at most {MAX_SNAPSHOT_BYTES} are kept: "
            "lower its quality or resolution",
            payload,
        )
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        return refuse(
            "wrong_snapshot", f"快照不是 base64：{error}", f"the snapshot is not base64: {error}", payload
        )
    found = image_type(data)
    if found is None:
        return refuse(
            "unknown_image",
            f"快照不是 {'、'.join(kind.name for kind in ImageType)} 图片（开头 {data[:8].hex()}）",
            f"the snapshot is none of {', '.join(kind.name for kind in ImageType)} (it begins {data[:8].hex()})",
            payload,
        )
    return Snapshot(hashlib.sha256(data).hexdigest(), found, data)
