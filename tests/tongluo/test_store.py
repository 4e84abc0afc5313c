"""The migrations build exactly the tables the program knows."""

import msgspec
import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg.types.json import Jsonb
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncEngine

from tongluo.errors import Fenced
from tongluo.finding import Criterion, Evidence, Level
from tongluo.log.postgres import open_log
from tongluo.postgres import Listener
from tongluo.store import positions
from tongluo.store.engine import open_store, sqlalchemy_url
from tongluo.store.migrate import alembic_config, migrate
from tongluo.store.tables import metadata
from tongluo.topics import FINDINGS


async def test_migrated_is_what_the_tables_say(dsn: str) -> None:
    async with open_log(dsn, Listener(dsn)):
        pass
    engine = create_engine(sqlalchemy_url(dsn))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: (
                    not (kind == "table" and name.startswith(("log_", "reading_")))
                )
            },
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_migrating_twice_is_harmless(dsn: str) -> None:
    migrate(dsn)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_a_reason_in_one_text_becomes_one_in_each_language(dsn: str) -> None:
    engine = create_engine(sqlalchemy_url(dsn))
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0003-1")
    reasons = {
        "both": "不是 JSON · not JSON",
        "one": "not JSON",
        "more": "第一处：缺少 · 2 faults · the first of them",
    }
    with psycopg.connect(dsn) as old:
        for name, reason in reasons.items():
            old.execute(
                "INSERT INTO quarantine (id, gateway, topic, code, reason, payload, times, received, last_seen) "
                "VALUES (%s, '', '', '', %s, '', 1, now(), now())",
                (name, reason),
            )
    migrate(dsn)
    with psycopg.connect(dsn) as new:
        assert dict(new.execute("SELECT id, reason FROM quarantine").fetchall()) == {
            "both": {"zh": "不是 JSON", "en": "not JSON"},
            "one": {"zh": "not JSON", "en": "not JSON"},
            "more": {"zh": "第一处：缺少", "en": "2 faults · the first of them"},
        }
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0003-1")
    engine.dispose()
    with psycopg.connect(dsn) as old:
        assert dict(old.execute("SELECT id, reason FROM quarantine").fetchall()) == reasons


OLD_EVIDENCE = {
    "rule": "rainstorm", "rule_version": "0123456789ab", "station": "R-1", "time": "2026-07-01T04:05:00Z",
    "indicators_mm": {"1h": 20.0, "3h": 52.1}, "criterion": {"level": "orange", "window": "3h", "reach_mm": 50.0},
}  # fmt: skip


def _alerts(dsn: str, columns: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(f"SELECT {columns} FROM alert ORDER BY id".encode()).fetchall()


def test_evidence_of_an_earlier_release_is_brought_over_and_back(dsn: str) -> None:
    engine = create_engine(sqlalchemy_url(dsn))
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0009")
    plain = {**OLD_EVIDENCE, "criterion": None}
    with psycopg.connect(dsn) as old:
        # More than are rewritten at once.
        for number in range(1100):
            evidence = Jsonb(plain if number % 2 else OLD_EVIDENCE)
            old.execute(
                "INSERT INTO alert (id, hazard, site, onset, level, peak, state, updated, report_no, evidence, headline) "
                "VALUES (%s, 'rainstorm', 'S-1', now(), 'orange', 'orange', 'raised', now(), 1, %s, '{}')",
                (f"a-{number:04d}", evidence),
            )
            old.execute(
                "INSERT INTO report (alert, no, time, transition, evidence, headline, recorded) "
                "VALUES (%s, 1, now(), 'raised', %s, '{}', now())",
                (f"a-{number:04d}", evidence),
            )
    migrate(dsn)
    with psycopg.connect(dsn) as new:
        stored = [
            row[0] for row in new.execute("SELECT evidence FROM alert UNION ALL SELECT evidence FROM report")
        ]
        new.execute(
            "INSERT INTO alert (id, hazard, site, onset, peak, state, updated, report_no, evidence, headline, drill) "
            "VALUES ('drill-a', 'rainstorm', 'S-1', now(), 'red', 'raised', now(), 1, %s, '{}', true)",
            (Jsonb(stored[0]),),
        )
    found = [msgspec.convert(evidence, Evidence) for evidence in stored]
    assert len(found) == 2200
    assert {one.figure.zh for one in found} == {"3小时雨量 52.1 毫米"}
    assert sum(one.criterion == Criterion(Level.ORANGE, "rain_3h", 50.0, 40.0) for one in found) == 1100
    assert sum(one.criterion is None for one in found) == 1100
    with engine.connect() as connection:
        command.downgrade(alembic_config(connection), "0009")
    engine.dispose()
    # The earlier release knows no drills, and would take them for real.
    assert [row[0] for row in _alerts(dsn, "evidence")] == [OLD_EVIDENCE, plain] * 550


async def advance(engine: AsyncEngine, first: int, following: int) -> None:
    async with engine.begin() as connection:
        await positions.advance(connection, "g", FINDINGS, {0: (first, following)})


async def test_a_place_in_the_log_is_taken_once(dsn: str) -> None:
    async with open_store(dsn) as engine:
        await advance(engine, 0, 5)
        with pytest.raises(Fenced):
            await advance(engine, 0, 3)
        with pytest.raises(Fenced):
            await advance(engine, 4, 9)
        await advance(engine, 5, 9)
        assert (await positions.positions(engine, "g", FINDINGS))[0] == 9
