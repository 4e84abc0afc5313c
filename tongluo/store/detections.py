"""Camera detections in the store: the first of an identity stays."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tongluo.detection import Detection

_KEEP: Final = text(
    "INSERT INTO detection (camera, kind, time, track, confidence, azimuth_deg, cone_deg, site, gateway, digest, "
    "image, size_bytes, recorded) VALUES (:camera, :kind, :time, :track, :confidence, :azimuth_deg, :cone_deg, :site, "
    ":gateway, :digest, :image, :size_bytes, :now) ON CONFLICT DO NOTHING"
)
_NEWEST: Final = text(
    "SELECT * FROM detection WHERE (CAST(:camera AS text) IS NULL OR camera = :camera) "
    "AND time > :begin AND time <= :end ORDER BY time DESC, camera, kind, track LIMIT :most"
)
_IMAGE: Final = text("SELECT image FROM detection WHERE digest = :digest LIMIT 1")


async def keep(connection: AsyncConnection, detections: Sequence[Detection], now: datetime) -> None:
    """Write them in the caller's transaction."""
    rows = [
        {
            "camera": one.camera,
            "kind": one.kind.value,
            "time": one.time,
            "track": one.track or "",
            "confidence": one.confidence,
            "azimuth_deg": one.azimuth_deg,
            "cone_deg": one.cone_deg,
            "site": one.site,
            "gateway": one.gateway,
            "digest": one.snapshot.digest if one.snapshot else None,
            "image": one.snapshot.type.value if one.snapshot else None,
            "size_bytes": one.snapshot.size_bytes if one.snapshot else None,
            "now": now,
        }
        for one in detections
    ]
    if rows:
        await connection.execute(_KEEP, rows)


async def newest(
    connection: AsyncConnection, camera: str | None, begin: datetime, end: datetime, most: int
) -> list[dict[str, Any]]:
    """Detections with begin < time <= end, newest first; of one camera or of all."""
    given = {"camera": camera, "begin": begin, "end": end, "most": most}
    return [dict(row) for row in (await connection.execute(_NEWEST, given)).mappings()]


async def image_of(connection: AsyncConnection, digest: str) -> str | None:
    """The type (file suffix) of a snapshot that some detection has; None for one that none has."""
    found: str | None = await connection.scalar(_IMAGE, {"digest": digest})
    return found
