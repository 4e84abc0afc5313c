"""Findings become alerts, each course by itself: what is an exercise never mixes with what is real."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notify.desk import Desk
from tests.conftest import opened_log, until
from tongluo import testing, wire
from tongluo.finding import Finding, Level
from tongluo.log.port import Entry, Log
from tongluo.store.engine import open_store
from tongluo.store.tables import subscription
from tongluo.supervise import Supervisor
from tongluo.topics import FINDINGS

NOON = datetime(2026, 7, 1, 4, tzinfo=UTC)


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    async with open_store(dsn) as opened:
        yield opened


@asynccontextmanager
async def desk(dsn: str, engine: AsyncEngine) -> AsyncIterator[Log]:
    async with opened_log(dsn) as log:
        supervisor = Supervisor()
        supervisor.add("desk", Desk(log, engine, testing.county).run)
        async with supervisor.running():
            await supervisor.ready()
            yield log


def found(
    minute: int, level: Level | None, hazard: str = "rainstorm", *, drill: bool = False, site: str = "S-1"
) -> Finding:
    time = NOON + timedelta(minutes=minute)
    return Finding(hazard, hazard, site, time, level, testing.evidence(time, level=level), drill)


async def tell(log: Log, findings: Sequence[Finding | bytes]) -> None:
    entries = [
        Entry(FINDINGS, "S-1", one, NOON)
        if isinstance(one, bytes)
        else Entry(FINDINGS, one.site, wire.FINDING.encode(one), one.time)
        for one in findings
    ]
    await log.append(entries)


async def rows(engine: AsyncEngine, sql: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(sql))]


async def subscribe(engine: AsyncEngine, name: str, *hazards: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            insert(subscription).values(
                id=name, name=name, url="http://127.0.0.1:9/", secret="x", hazards=list(hazards),  # noqa: S106
                min_level="blue", areas=[], enabled=True, created=NOON,
            )
        )  # fmt: skip


async def test_an_exercise_runs_beside_a_real_storm(dsn: str, engine: AsyncEngine) -> None:
    real = [found(0, Level.BLUE), found(20, Level.RED), found(40, None)]
    drill = [
        found(minute, level, drill=True) for minute, level in ((0, Level.RED), (10, None), (30, Level.BLUE))
    ]
    ordered = sorted([*real, *drill], key=lambda one: one.time)
    async with desk(dsn, engine) as log:
        await tell(log, ordered)
        # Told twice is told once.
        await tell(log, ordered)

        async def done() -> bool:
            return len(await rows(engine, "SELECT 1 FROM report")) == 6

        await until(done)
    assert await rows(engine, "SELECT id, drill, level, peak FROM alert ORDER BY id") == [
        ("drill-rainstorm-S-1-20260701T040000Z", True, None, "red"),
        ("drill-rainstorm-S-1-20260701T043000Z", True, "blue", "blue"),
        ("rainstorm-S-1-20260701T040000Z", False, None, "red"),
    ]
    told = await rows(engine, "SELECT no, level_to FROM report WHERE alert NOT LIKE 'drill%' ORDER BY no")
    assert told == [(1, "blue"), (2, "red"), (3, None)]


async def test_silence_goes_to_whoever_named_it(dsn: str, engine: AsyncEngine) -> None:
    await subscribe(engine, "all")
    await subscribe(engine, "duty", "silence", "rainstorm")
    await subscribe(engine, "rain", "rainstorm")
    async with desk(dsn, engine) as log:
        await tell(log, [found(0, Level.BLUE, "silence"), found(0, Level.BLUE, "tailings", site="S-2")])

        async def done() -> bool:
            return len(await rows(engine, "SELECT 1 FROM alert")) == 2

        await until(done)
    assert await rows(engine, "SELECT alert, subscription FROM delivery ORDER BY id") == [
        ("silence-S-1-20260701T040000Z", "duty"),
        ("tailings-S-2-20260701T040000Z", "all"),
    ]


async def test_findings_of_the_release_before_are_applied(dsn: str, engine: AsyncEngine) -> None:
    old = {
        "rule": "rainstorm", "hazard": "rainstorm", "site": "S-1", "time": NOON, "level": "orange",
        "evidence": {
            "rule": "rainstorm", "rule_version": "v", "station": "R-1", "time": NOON, "indicators_mm": {"3h": 52.1},
            "criterion": {"level": "orange", "window": "3h", "reach_mm": 50.0},
        },
    }  # fmt: skip
    async with desk(dsn, engine) as log:
        await tell(log, [msgspec.json.encode({"v": 1, "d": old}), found(10, None)])

        async def done() -> bool:
            return len(await rows(engine, "SELECT 1 FROM report")) == 2

        await until(done)
    [headline, _] = await rows(engine, "SELECT headline->>'zh' FROM report ORDER BY no")
    assert headline == ("温溪镇1号小流域暴雨橙色预警（3小时雨量 52.1 毫米）",)
