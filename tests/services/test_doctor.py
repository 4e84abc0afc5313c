"""What the doctor says of a store."""

from pathlib import Path

import psycopg

from services.doctor import Verdict, examine
from tests.conftest import settings


async def store_of(folder: Path, dsn: str) -> Verdict:
    return next(found for found in await examine(settings(folder, store=dsn)) if found.part == "PostgreSQL")


async def test_it_says_how_readings_lie(dsn: str, tmp_path: Path) -> None:
    found = await store_of(tmp_path, dsn)
    assert found.well
    assert found.words.endswith("readings in monthly partitions, without TimescaleDB")


async def test_it_says_that_a_store_is_new(server: str, tmp_path: Path) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty_store")
    found = await store_of(tmp_path, server.replace("/postgres?", "/empty_store?"))
    assert found.words.endswith("no tables of ours yet")
