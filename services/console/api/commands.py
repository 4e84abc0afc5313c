"""What stations were asked to do, and what became of it."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import text

from services.console.room import Entered, InRoom
from tongluo.wire import iso

router = APIRouter(prefix="/commands", tags=["commands"])

_COLUMNS = (
    "id, gateway, station, site, interval_s, until, hazard, level, state, attempts, created, sent, answered, reason, "
    "in_force_s"
)
_TIMES = ("until", "created", "sent", "answered")


class State(StrEnum):
    """How far a command has come."""

    PENDING = "pending"
    SENT = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


@router.get("")
async def commands(
    room: InRoom,
    account: Entered,
    station: Annotated[str | None, Query(max_length=64)] = None,
    state: State | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Newest first. `until` is null for a release; `in_force_s` is the interval its gateway says it keeps."""
    async with room.engine.connect() as connection:
        rows = await connection.execute(
            text(
                f"SELECT {_COLUMNS} FROM command WHERE (CAST(:station AS text) IS NULL OR station = :station) "
                "AND (CAST(:state AS text) IS NULL OR state = :state) ORDER BY seq DESC LIMIT :limit"
            ),
            {"station": station, "state": state, "limit": limit},
        )
        return {"items": [{**row, **{name: iso(row[name]) for name in _TIMES}} for row in rows.mappings()]}
