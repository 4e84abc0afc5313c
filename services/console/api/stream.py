"""GET /stream: server-sent events for the page; resumes after Last-Event-ID."""

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from services.console.hub import StreamEvent
from services.console.room import Entered, InRoom, Room
from tongluo.wire import iso

router = APIRouter(tags=["stream"])

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@router.get("/stream", response_class=StreamingResponse)
async def stream(
    room: InRoom, account: Entered, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Events: hello, heartbeat (every 5 s), readings, alert, delivery, liveness (ask for it), reset (fetch all anew)."""
    return StreamingResponse(_events(room, last_event_id), media_type="text/event-stream", headers=_HEADERS)


async def _events(room: Room, last_event_id: str | None) -> AsyncIterator[bytes]:
    # The page is opened before the past is read: what happens in between comes twice rather than not at all.
    page = room.hub.open()
    try:
        yield b"retry: 2000\n\n"
        yield _format(StreamEvent("hello", {"now": iso(room.clock.now()), "mode": room.mode}))
        if last_event_id is not None and last_event_id.isdecimal() and len(last_event_id) < 19:
            missed = await room.hub.since(int(last_event_id))
            for event in missed if missed is not None else [StreamEvent("reset", {})]:
                yield _format(event)
        while (event_ := await page.get()) is not None:
            yield _format(event_)
    finally:
        room.hub.leave(page)


def _format(event: StreamEvent) -> bytes:
    head = f"id: {event.id}\n" if event.id is not None else ""
    return f"{head}event: {event.event}\ndata: {msgspec.json.encode(event.data).decode()}\n\n".encode()
