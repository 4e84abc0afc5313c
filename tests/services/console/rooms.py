"""A duty room over a store, with the real rules reader and a replay whose course the test sets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console.app import build
from services.console.hub import Hub
from services.console.replays import Replays, ReplayWish, Report
from services.console.room import Room
from services.console.rulebook import Book, Rulebook, noting
from services.rules.catalogue.model import Catalogue
from services.rules.catalogue.read import read_catalogue
from services.rules.summary import summary
from services.rules_watch import open_rules
from tests.conftest import TOKEN
from tongluo import testing
from tongluo.clock import Clock, WallClock
from tongluo.postgres import Listener
from tongluo.store.layout import layout_of
from tongluo.store.rules import BUILT_IN, Files
from tongluo.supervise import Supervisor

RAIN = """
id = "rainstorm"
hazard = "rainstorm"
source = "invented"
name = { zh = "暴雨", en = "Rainstorm" }

[[item]]
id = "rain"
metric = "rain"
release_ratio = 0.8

[item.indicators]
rain_1h = { sum = "1h" }
rain_3h = { sum = "3h" }

[item.levels]
rain_3h = { orange = 50.0, red = 100.0 }
"""
POND = """
id = "tailings"
hazard = "tailings"
source = "invented"
name = { zh = "尾矿库", en = "Tailings pond" }

[[item]]
id = "beach"
metric = "dry_beach"
side = "below"
release_ratio = 1.2

[item.indicators]
dry_beach = "last"

[item.levels]
dry_beach = { red = 40.0 }
"""
FIRE = """
id = "forest_fire"
hazard = "forest_fire"
kind = "fire"
source = "invented"
name = { zh = "森林火灾", en = "Forest fire" }
"""
FILES = {"rainstorm.toml": RAIN}
LOWER = {"rainstorm.toml": RAIN.replace("orange = 50.0", "orange = 40.0")}
WRONG = {"rainstorm.toml": RAIN.replace("orange = 50.0", 'orange = "much"').replace('"3h" }', '"3x" }')}
PERIOD = {"from": "2026-06-01T00:00:00+08:00", "to": "2026-07-01T00:00:00+08:00"}


@dataclass
class Trier:
    """A replay port: `course` is what it does; every wish is kept."""

    course: Callable[[ReplayWish], Awaitable[Report]]
    wishes: list[ReplayWish]

    async def __call__(self, wish: ReplayWish) -> Report:
        self.wishes.append(wish)
        return await self.course(wish)


async def at_once(wish: ReplayWish) -> Report:
    wish.progress(0.5)
    return Report({"hits": 1}, "<h1>回放</h1>")


@dataclass(frozen=True)
class Duty:
    """The room under test, and a client of it."""

    api: httpx.AsyncClient
    room: Room
    trier: Trier


async def rulebook(engine: AsyncEngine, trier: Trier, files: Files) -> Rulebook[Catalogue]:
    watch, _ = await open_rules(engine, Listener(""), read_catalogue, files, BUILT_IN)
    return Rulebook(
        watch,
        read=lambda texts: read_catalogue(texts, testing.county()),
        describe=lambda catalogue: Book(catalogue.version, summary(catalogue)),
        replays=Replays(trier, noting(engine)),
    )


async def no_news() -> None:
    """Nothing has changed."""


async def room_of(engine: AsyncEngine, clock: Clock, trier: Trier, files: Files = FILES) -> Room:
    return Room(
        engine,
        testing.county,
        clock,
        "live",
        await rulebook(engine, trier, files),
        dict,  # type: ignore[arg-type]  # no probe is asked here
        TOKEN,
        hub=Hub(engine, Listener(""), testing.county, clock),
        layout=await layout_of(engine),
        snapshots=Path("none"),
        asyncapi={},
        look=no_news,
    )


@asynccontextmanager
async def duty(engine: AsyncEngine, clock: Clock | None = None, files: Files = FILES) -> AsyncIterator[Duty]:
    """A room whose replays run."""
    trier = Trier(at_once, [])
    room = await room_of(engine, clock or WallClock(), trier, files)
    supervisor = Supervisor()
    supervisor.add("replays", room.rulebook.replays.run)
    async with (
        supervisor.running(),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(build(room)),
            base_url="http://room/api/v1",
            headers={"authorization": f"Bearer {TOKEN}"},
        ) as api,
    ):
        await supervisor.ready()
        yield Duty(api, room, trier)


async def ended(api: httpx.AsyncClient, replay_id: str) -> dict[str, object]:
    """A replay once it is over."""
    async with asyncio.timeout(10):
        while True:
            found: dict[str, object] = (await api.get(f"/rules/replay/{replay_id}")).raise_for_status().json()
            if found["state"] not in ("waiting", "running"):
                return found
            await asyncio.sleep(0.01)
