"""What could not be read or placed, and why."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import text

from services.console.room import Entered, InRoom
from tongluo.wire import iso

router = APIRouter(prefix="/quarantine", tags=["quarantine"])


@router.get("")
async def quarantine(
    room: InRoom,
    account: Entered,
    gateway: str | None = None,
    code: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Newest first; `reason` is `{zh, en}`, `head` the beginning of the payload as text."""
    async with room.engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT id, gateway, topic, code, reason, times, received, last_seen, length(payload) AS size, "
                "substring(payload FROM 1 FOR 200) AS head FROM quarantine "
                "WHERE (CAST(:gateway AS text) IS NULL OR gateway = :gateway) "
                "AND (CAST(:code AS text) IS NULL OR code = :code) ORDER BY last_seen DESC, id LIMIT :limit"
            ),
            {"gateway": gateway, "code": code, "limit": limit},
        )
        return {
            "items": [
                {
                    **row,
                    "received": iso(row["received"]),
                    "last_seen": iso(row["last_seen"]),
                    "head": bytes(row["head"]).decode("utf-8", "replace"),
                }
                for row in rows.mappings()
            ]
        }
