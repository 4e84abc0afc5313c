"""What could not be read or placed, and why; and how it is read again when the cause is mended."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import RowMapping

from services.console.problems import Problem
from services.console.room import Entered, InRoom, Operating
from tongluo.clock import wall_now
from tongluo.store import quarantined, requeue
from tongluo.store.quarantined import Place, Sought
from tongluo.wire import iso

router = APIRouter(prefix="/quarantine", tags=["quarantine"])

SHOWN_BYTES = 4096


class State(StrEnum):
    KEPT = "kept"
    REQUEUED = "requeued"
    SENT = "sent"


def _sought(
    gateway: Annotated[str | None, Query(max_length=200)] = None,
    code: Annotated[str | None, Query(max_length=64)] = None,
    state: State | None = None,
    search: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
    begin: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to")] = None,
) -> Sought:
    return Sought(gateway, code, None if state is None else state.value, search, begin, end)


Asked = Annotated[Sought, Depends(_sought)]


@router.get("")
async def quarantine(
    room: InRoom,
    account: Entered,
    sought: Asked,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> dict[str, Any]:
    """Newest first; `reason` is `{zh, en}`, `head` the beginning of the payload as text; `cursor` continues a page."""
    async with room.engine.connect() as connection:
        rows = await quarantined.page(connection, sought, _place(cursor), limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    return {
        "items": [{**_told(row), "head": _text(row["head"])} for row in rows[:limit]],
        "next": None if last is None else f"{iso(last['last_seen'])} {last['id']}",
    }


@router.get("/summary")
async def summary(room: InRoom, account: Entered, sought: Asked) -> dict[str, Any]:
    """Entries by code among what is sought; entries, bytes, and those waiting to be read again, of all; how long kept."""
    async with room.engine.connect() as connection:
        found = await quarantined.counts(connection, sought)
    for code in found["codes"]:
        code["last_seen"] = iso(code["last_seen"])
        code["requeueable"] = requeue.why_not("tongluo/v1/", code["code"]) is None
    return {
        **found,
        "keep_days": room.quarantine.keep.days,
        "most_bytes": room.quarantine.most_bytes,
    }


class Which(BaseModel):
    """Entries to be read again: of a code, a gateway, or with these words; at least one must be said."""

    code: Annotated[str, Field(max_length=64)] | None = None
    gateway: Annotated[str, Field(max_length=200)] | None = None
    search: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=requeue.MOST_AT_ONCE)] = requeue.MOST_AT_ONCE


@router.post("/requeue", status_code=202)
async def requeue_many(which: Which, room: InRoom, account: Operating) -> dict[str, int]:
    """Ask for all of a kind to be read again, the oldest first; `requeued` says how many were not asked for already."""
    sought = Sought(gateway=which.gateway, code=which.code, words=which.search)
    if not sought.narrow:
        raise Problem(422, "say which: `code`, `gateway` or `search`")
    async with room.engine.begin() as connection:
        ids = await quarantined.ids(connection, sought, which.limit)
        return {"requeued": await requeue.ask(connection, ids, account.name, wall_now())}


@router.get("/{entry_id}")
async def entry(entry_id: str, room: InRoom, account: Entered) -> dict[str, Any]:
    """One entry with the first 4 KiB of its bytes, as text and in hexadecimal; `why_not` says why it cannot be requeued."""
    row = await _row(room, entry_id)
    payload = bytes(row["payload"])
    why_not = requeue.why_not(row["topic"], row["code"])
    return {
        **_told(row),
        "text": _text(payload[:SHOWN_BYTES]),
        "hex": payload[:SHOWN_BYTES].hex(),
        "shown": min(len(payload), SHOWN_BYTES),
        "why_not": None if why_not is None else {"zh": why_not.zh, "en": why_not.en},
    }


@router.get("/{entry_id}/payload", response_class=Response)
async def payload(entry_id: str, room: InRoom, account: Entered) -> Response:
    """The bytes as they came, to be kept as a file."""
    row = await _row(room, entry_id)
    return Response(
        bytes(row["payload"]),
        media_type="application/octet-stream",
        headers={"content-disposition": f'attachment; filename="quarantine-{row["id"]}.bin"'},
    )


@router.post("/{entry_id}/requeue", status_code=202)
async def requeue_one(entry_id: str, room: InRoom, account: Operating) -> dict[str, int]:
    """Ask for one to be read again. Accepted it is gone from here; refused again it stays with the reason of then."""
    row = await _row(room, entry_id)
    why_not = requeue.why_not(row["topic"], row["code"])
    if why_not is not None:
        raise Problem(409, why_not.en, words={"zh": why_not.zh, "en": why_not.en})
    async with room.engine.begin() as connection:
        return {"requeued": await requeue.ask(connection, [entry_id], account.name, wall_now())}


async def _row(room: InRoom, entry_id: str) -> RowMapping:
    async with room.engine.connect() as connection:
        row = await quarantined.one(connection, entry_id)
    if row is None:
        raise Problem(404, f"there is no entry {entry_id} in quarantine (any more)")
    return row


def _told(row: RowMapping) -> dict[str, Any]:
    told = {name: row[name] for name in row if name not in ("payload", "head")}
    return {**told, **{name: iso(row[name]) for name in ("received", "last_seen", "requeued")}}


def _text(head: bytes) -> str:
    return bytes(head).decode("utf-8", "replace")


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    moment, _, id_ = cursor.partition(" ")
    try:
        last_seen = datetime.fromisoformat(moment)
    except ValueError as error:
        raise Problem(422, "`cursor` is not one that was given here as `next`") from error
    if last_seen.tzinfo is None:
        raise Problem(422, "`cursor` is not one that was given here as `next`")
    return Place(last_seen, id_)
