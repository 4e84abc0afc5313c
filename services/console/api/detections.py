"""What cameras saw, and the pictures they sent."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime

from services.console.problems import Problem
from services.console.room import Entered, InRoom
from tongluo.detection import ImageType, snapshot_path
from tongluo.store import detections as store
from tongluo.wire import iso

router = APIRouter(tags=["detections"])

FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
MEDIA_TYPES = {
    ImageType.JPEG: "image/jpeg",
    ImageType.PNG: "image/png",
    ImageType.WEBP: "image/webp",
}


@router.get("/detections")
async def detections(
    room: InRoom,
    account: Entered,
    camera: str | None = None,
    begin: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Newest first, with from < time <= to (the last day unless told); `snapshot` names the picture, where there is one."""
    end = end or room.clock.now() + timedelta(hours=1)
    begin = begin or max(end, FIRST + timedelta(days=2)) - timedelta(days=1)
    if not FIRST <= begin < end <= LAST:
        raise Problem(422, f"`from` must be before `to`, both between {FIRST.year} and {LAST.year}")
    if camera is not None and camera not in room.county().stations:
        raise Problem(404, f"camera {camera[:64]} is not registered")
    async with room.engine.connect() as connection:
        rows = await store.newest(connection, camera, begin, end, limit)
    return {"items": [_shown(row) for row in rows]}


@router.get("/snapshots/{digest}")
async def snapshot(
    room: InRoom, account: Entered, digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
) -> Response:
    """The picture itself; its type is what its first bytes showed when it came in."""
    async with room.engine.connect() as connection:
        image = await store.image_of(connection, digest)
    if image is None:
        raise Problem(404, "no detection has this snapshot")
    kind = ImageType(image)
    try:
        data = await asyncio.to_thread(snapshot_path(room.snapshots, digest, kind).read_bytes)
    except FileNotFoundError as error:
        raise Problem(
            404, "the snapshot is no longer kept, or lies on another machine (TONGLUO_SNAPSHOTS)"
        ) from error
    # Named by its content: it never changes.
    return Response(data, media_type=MEDIA_TYPES[kind], headers={"cache-control": "private, max-age=86400"})


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    picture = {"digest": row["digest"], "type": row["image"], "size_bytes": row["size_bytes"]}
    return {
        "camera": row["camera"],
        "site": row["site"],
        "gateway": row["gateway"],
        "kind": row["kind"],
        "time": iso(row["time"]),
        "confidence": row["confidence"],
        "azimuth": row["azimuth_deg"],
        "cone": row["cone_deg"],
        "track": row["track"] or None,
        "snapshot": picture if row["digest"] else None,
    }
