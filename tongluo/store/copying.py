"""A whole store into another, empty one, in one transaction: all of it or nothing."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import psycopg
from sqlalchemy import BigInteger, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo.errors import MissingPartError
from tongluo.store import partitions
from tongluo.store.layout import Layout, layout_of
from tongluo.store.tables import consumer_position, metadata
from tongluo.topics import Topic

Progress = Callable[[str], None]
Driver = psycopg.AsyncConnection[Any]

# Sessions end: who moves house logs in anew.
_LEFT: Final = frozenset({"session"})


async def copy_store(
    source: AsyncEngine, target: AsyncEngine, moved: Mapping[Topic, Mapping[int, int]], progress: Progress
) -> dict[str, int]:
    """Copy every table; returns the rows of each.

    `moved` says by topic and partition how far the log's offsets have moved back, so that consumers which keep their
    place in the store go on where they were. Both stores are migrated. Raises MissingPartError when the target is not
    empty.
    """
    async with source.connect() as reading, target.begin() as writing:
        await _must_be_empty(writing)
        if await layout_of(target) is Layout.MONTHS:
            months = await reading.scalars(text("SELECT DISTINCT date_trunc('month', time) FROM reading"))
            await partitions.ensure(writing, target, list(months))
        rows: dict[str, int] = {}
        for table in metadata.sorted_tables:
            if table.name not in _LEFT:
                rows[table.name] = await _copy(reading, writing, table)
                progress(f"{table.name}: {rows[table.name]} rows")
        for topic, by_partition in moved.items():
            await _move_places(writing, topic, by_partition)
        return rows


async def _must_be_empty(connection: AsyncConnection) -> None:
    for table in metadata.sorted_tables:
        if await connection.scalar(text(f'SELECT EXISTS (SELECT 1 FROM "{table.name}")')):
            raise MissingPartError(
                f"the store to move to is not empty (table {table.name} has rows): name an empty database in --store"
            )


async def _copy(reading: AsyncConnection, writing: AsyncConnection, table: Table) -> int:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    source, target = await _driver(reading), await _driver(writing)
    async with source.cursor() as out, target.cursor() as into:
        async with (
            out.copy(
                f'COPY (SELECT {columns} FROM "{table.name}") TO STDOUT (FORMAT binary)'.encode()
            ) as rows,
            into.copy(f'COPY "{table.name}" ({columns}) FROM STDIN (FORMAT binary)'.encode()) as copied,
        ):
            async for chunk in rows:
                await copied.write(chunk)
        count = into.rowcount
    for column in table.columns:
        if column.identity is not None and isinstance(column.type, BigInteger):
            # What is made after the move is numbered after what was moved.
            await writing.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), "
                    f'coalesce(max("{column.name}"), 0) + 1, false) FROM "{table.name}"'
                )
            )
    return count


async def _driver(connection: AsyncConnection) -> Driver:
    return cast("Driver", (await connection.get_raw_connection()).driver_connection)


async def _move_places(connection: AsyncConnection, topic: Topic, moved: Mapping[int, int]) -> None:
    place = consumer_position.c
    for partition, back in moved.items():
        await connection.execute(
            consumer_position.update()
            .where(place.topic == topic.name, place.partition == partition)
            .values(next_offset=text("greatest(0, next_offset - :back)").bindparams(back=back))
        )
