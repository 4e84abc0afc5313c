"""The migrations build exactly the tables the program knows."""

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncEngine

from tongluo.errors import Fenced
from tongluo.log.postgres import open_log
from tongluo.postgres import Listener
from tongluo.store import positions
from tongluo.store.engine import open_store, sqlalchemy_url
from tongluo.store.migrate import migrate
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
