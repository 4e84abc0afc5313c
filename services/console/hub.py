"""The live stream: what changes in the store goes to every open page, in order, and can be resumed.

Nothing is told from memory: the hub is woken by the store and reads what was committed.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console import words
from tongluo import bells
from tongluo.clock import Clock
from tongluo.postgres import Listener, wait
from tongluo.region import County
from tongluo.supervise import Pulse
from tongluo.wire import iso

HEARTBEAT_S: Final = 5.0
# Readings are shown at most this often.
READINGS_EVERY_S: Final = 0.25
# A county full of births after a restart of the broker is told so often.
LIVENESS_EVERY_S: Final = 1.0
# Alerts are shown after this much time to gather, which nobody notices.
GATHER_S: Final = 0.05
# A page further behind than this fetches everything anew.
RESUME_AT_MOST: Final = 500
QUEUE_EVENTS: Final = 1000


class StreamEvent(msgspec.Struct, frozen=True):
    """One server-sent event; `id` only where a stream can resume after it."""

    event: str
    data: dict[str, Any]
    id: int | None = None


class News(msgspec.Struct, frozen=True):
    """What became of a number of changes; `last_id` is the last of them, whether or not it made an event."""

    events: list[StreamEvent]
    changes: int
    last_id: int


class Page:
    """One open page's queue. A page that cannot keep up is told to start anew rather than fill the memory."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[StreamEvent | None] = asyncio.Queue(QUEUE_EVENTS)

    def put(self, event: StreamEvent | None) -> None:
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(StreamEvent("reset", {}) if event is not None else None)

    async def get(self) -> StreamEvent | None:
        """The next event; None when the stream ends."""
        return await self._queue.get()


class Hub:
    """Reads the store's changes and hands them to the pages. Run `run` as a role."""

    def __init__(
        self, engine: AsyncEngine, listener: Listener, county: Callable[[], County], clock: Clock
    ) -> None:
        self._engine = engine
        self._listener = listener
        self._county = county
        self._clock = clock
        self._pages: set[Page] = set()
        self._newest: datetime | None = None
        # Kept over restarts of the role: what was committed meanwhile is told then.
        self._told: int | None = None
        self._shown: dict[tuple[str, str], datetime] = {}
        self._closed = False

    def open(self) -> Page:
        page = Page()
        self._pages.add(page)
        if self._closed:
            page.put(None)
        return page

    def leave(self, page: Page) -> None:
        self._pages.discard(page)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closed = True
        self._send(None)

    async def run(self, pulse: Pulse) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_changes(pulse), name="hub changes")
            group.create_task(self._follow_readings(), name="hub readings")
            group.create_task(self._follow_liveness(), name="hub liveness")
            group.create_task(self._beat(), name="hub heartbeat")

    async def since(self, last_id: int) -> list[StreamEvent] | None:
        """The changes after `last_id`; None when they cannot be told one by one: too many, or an id we never gave."""
        if last_id > await self.last_id():
            return None
        news = await self._news_after(last_id, RESUME_AT_MOST + 1)
        return news.events if news.changes <= RESUME_AT_MOST else None

    async def last_id(self) -> int:
        async with self._engine.connect() as connection:
            return int(await connection.scalar(text("SELECT coalesce(max(id), 0) FROM change")) or 0)

    async def _follow_changes(self, pulse: Pulse) -> None:
        if self._told is None:
            self._told = await self.last_id()
        async with self._listener.bell(bells.CHANGES) as bell:
            pulse.beat()
            while True:
                bell.clear()
                news = await self._news_after(self._told, RESUME_AT_MOST)
                for event in news.events:
                    self._send(event)
                self._told = news.last_id
                if not news.changes:
                    await wait(bell, HEARTBEAT_S)
                    # What happens together is told together.
                    await asyncio.sleep(GATHER_S)

    async def _follow_readings(self) -> None:
        async with self._listener.bell(bells.READINGS) as bell:
            while True:
                bell.clear()
                items = await self._new_readings()
                if items:
                    self._send(StreamEvent("readings", {"items": items}))
                await asyncio.sleep(READINGS_EVERY_S)
                await wait(bell, HEARTBEAT_S)

    async def _follow_liveness(self) -> None:
        """A word that something changed: what is silent now is one short answer, and that is asked for."""
        async with self._listener.bell(bells.EVENTS) as bell:
            while True:
                await bell.wait()
                bell.clear()
                self._send(StreamEvent("liveness", {}))
                await asyncio.sleep(LIVENESS_EVERY_S)

    async def _beat(self) -> None:
        county = self._county()
        while True:
            if self._county() is not county:
                # Stations may have come or gone: every page fetches them anew.
                county = self._county()
                self._send(StreamEvent("reset", {}))
            beat = {"now": iso(self._clock.now()), "newest_reading": iso(self._newest)}
            self._send(StreamEvent("heartbeat", beat))
            await asyncio.sleep(HEARTBEAT_S)

    async def _new_readings(self) -> list[dict[str, Any]]:
        """What became newest since the last look: by record time, with an overlap for slow transactions."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                text(
                    "SELECT station, metric, time, value, quality FROM latest WHERE recorded > "
                    "(SELECT coalesce(max(recorded), now()) FROM latest) - CAST(:overlap AS interval)"
                ),
                {"overlap": timedelta(seconds=10)},
            )
            found = list(rows.mappings())
        items: list[dict[str, Any]] = []
        for row in found:
            if self._shown.get((row["station"], row["metric"])) == row["time"]:
                continue
            self._shown[row["station"], row["metric"]] = row["time"]
            self._newest = max(self._newest or row["time"], row["time"])
            items.append({**row, "time": iso(row["time"])})
        return items

    async def _news_after(self, last_id: int, limit: int) -> News:
        """At most `limit` changes after `last_id`, as events: of several changes of one thing only the last."""
        async with self._engine.connect() as connection:
            rows = list(
                await connection.execute(
                    text("SELECT id, alert, delivery FROM change WHERE id > :last ORDER BY id LIMIT :limit"),
                    {"last": last_id, "limit": limit},
                )
            )
            newest = {(row.alert, row.delivery): int(row.id) for row in rows}
            alerts = await connection.execute(
                text("SELECT * FROM alert WHERE id = ANY(:ids)"), {"ids": [a for a, d in newest if d is None]}
            )
            deliveries = await connection.execute(
                text(
                    f"SELECT {words.DELIVERY_COLUMNS} FROM delivery d JOIN subscription s ON s.id = d.subscription "
                    "WHERE d.id = ANY(:ids)"
                ),
                {"ids": [d for _, d in newest if d is not None]},
            )
            events = [
                StreamEvent("alert", words.alert(row, self._county()), newest[row["id"], None])
                for row in alerts.mappings()
            ] + [
                StreamEvent("delivery", words.delivery(row), newest[row["alert"], row["id"]])
                for row in deliveries.mappings()
            ]
        events.sort(key=lambda event: event.id or 0)
        return News(events, len(rows), int(rows[-1].id) if rows else last_id)

    def _send(self, event: StreamEvent | None) -> None:
        for page in self._pages:
            page.put(event)
