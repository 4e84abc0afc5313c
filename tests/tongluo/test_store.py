"""The migrations build exactly the tables the program knows."""

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncEngine

from tongluo.errors import Fenced
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
