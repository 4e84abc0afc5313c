"""The event log in PostgreSQL: for one machine, the same promises as Kafka (see port.py).

Ownership is a session advisory lock per partition, held by the connection that also commits. A dead member's
connection ends and its locks are free at once; a commit can only succeed on the connection that still holds
the lock, so a zombie is fenced by construction. A hung member (no heartbeat) has its session ended by the others.
"""

import asyncio
import importlib.resources
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import psycopg
from psycopg_pool import AsyncConnectionPool

from tongluo.errors import Fenced
from tongluo.log.membership import Membership
from tongluo.log.port import Assigned, Batch, Consumer, Entry, Event, Revoked, Snapshot, Stored, check
from tongluo.postgres import Connection, Listener, connect, conninfo, lock_number, wait
from tongluo.topics import TOPICS, Topic


class PostgresLog:
    """The log over one DSN. Open it with `open_log`; `listener` must be running for prompt wake-ups."""

    def __init__(
        self,
        dsn: str,
        pool: AsyncConnectionPool[Connection],
        listener: Listener,
        session_s: float,
        *,
        relaxed: bool,
    ) -> None:
        self._dsn = dsn
        self._pool = pool
        self._listener = listener
        self._session_s = session_s
        self._relaxed = relaxed

    async def append(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        check(entries)
        async with self._pool.connection() as connection:
            await _append(connection, entries)

    @asynccontextmanager
    async def join(
        self, group: str, topic: Topic, *, batch_size: int = 1000, commits: bool = True
    ) -> AsyncIterator[Consumer]:
        connection = await connect(self._dsn, relaxed=self._relaxed)
        try:
            members = Membership(connection, f"{group}/{topic.name}", topic.partitions, self._session_s)
            await members.enter()
            async with self._listener.bell(f"log:{topic.name}") as bell:
                yield _PostgresConsumer(connection, members, group, topic, batch_size, bell)
        finally:
            # Closing gives the locks back; the others are told so that they need not wait for their next look.
            with suppress(psycopg.Error):
                await connection.execute("SELECT pg_notify('tongluo', %s)", (f"log:{topic.name}",))
            await connection.close()

    async def ends(self, topic: Topic) -> dict[int, int]:
        return await self._by_partition(
            "SELECT partition, next_offset FROM log_partition WHERE topic = %s", topic, (topic.name,)
        )

    async def positions(self, group: str, topic: Topic) -> dict[int, int]:
        return await self._by_partition(
            "SELECT partition, next_offset FROM log_position WHERE topic = %s AND consumer_group = %s",
            topic,
            (topic.name, group),
        )

    async def positions_at(self, topic: Topic, time: datetime) -> dict[int, int]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                'SELECT partition, min("offset") FROM log_entry '
                "WHERE topic = %s AND event_time >= %s GROUP BY partition",
                (topic.name, time),
            )
            found: list[tuple[int, int]] = await cursor.fetchall()
        return await self.ends(topic) | dict(found)

    async def trim(self, taken: Mapping[Topic, Mapping[int, int]]) -> int:
        """As the port says. The age of an entry is counted from when it was appended."""
        deleted = 0
        async with self._pool.connection() as connection:
            for topic, positions in taken.items():
                cursor = await connection.execute(
                    'DELETE FROM log_entry e USING unnest(%s::int[], %s::bigint[]) AS t(partition, "limit") '
                    "WHERE e.topic = %s AND e.partition = t.partition "
                    "AND e.appended < now() - make_interval(days => %s) "
                    'AND e."offset" < least(t."limit", (SELECT min(coalesce(s.at_offset, 0)) FROM log_position p '
                    "  LEFT JOIN log_snapshot s USING (consumer_group, topic, partition) "
                    "  WHERE p.topic = e.topic AND p.partition = e.partition))",
                    (list(positions), list(positions.values()), topic.name, topic.keep_days),
                )
                deleted += cursor.rowcount
        return deleted

    async def _by_partition(self, query: str, topic: Topic, values: tuple[object, ...]) -> dict[int, int]:
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(query, values)).fetchall()
        return dict.fromkeys(range(topic.partitions), 0) | dict(rows)


@asynccontextmanager
async def open_log(
    dsn: str, listener: Listener, *, session_s: float = 30.0, relaxed: bool = False
) -> AsyncIterator[PostgresLog]:
    """Create the tables where they are missing and open the log.

    `listener` hears the log's own database. `session_s` is how long a member may go without a sign of life before the
    others take over. `relaxed`: members' commits do not wait for the disk, which is right only where whoever acts on
    them commits to the same database (decision 1).
    """
    schema = importlib.resources.files("tongluo.log").joinpath("postgres_schema.sql").read_text("utf-8")
    async with await connect(dsn) as connection, connection.transaction():
        # Two programs that start together must not create the tables at the same moment.
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number("schema"),))
        await connection.execute(schema.encode())
        for topic in TOPICS:
            await connection.execute(
                "INSERT INTO log_partition (topic, partition) SELECT %s, generate_series(0, %s) "
                "ON CONFLICT DO NOTHING",
                (topic.name, topic.partitions - 1),
            )
    pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
        conninfo(dsn),
        min_size=1,
        max_size=4,
        open=False,
        kwargs={"autocommit": True},
        check=AsyncConnectionPool.check_connection,
    )
    async with pool:
        yield PostgresLog(dsn, pool, listener, session_s, relaxed=relaxed)


class _PostgresConsumer:
    """One member: reads, and commits on the connection that holds its partitions' locks."""

    def __init__(
        self,
        connection: Connection,
        members: Membership,
        group: str,
        topic: Topic,
        batch_size: int,
        bell: asyncio.Event,
    ) -> None:
        self._connection = connection
        self._members = members
        self._group = group
        self._topic = topic
        self._batch_size = batch_size
        self._bell = bell
        self._next: dict[int, int] = {}

    async def next(self, timeout_s: float) -> Event | None:
        self._bell.clear()
        event = await self._rebalance() or await self._fetch()
        if event is None:
            # Not longer than the next look at the membership is due.
            await wait(self._bell, min(timeout_s, self._members.look_every_s))
            event = await self._rebalance() or await self._fetch()
        return event

    async def committed(self, partition: int) -> int:
        cursor = await self._connection.execute(
            "SELECT next_offset FROM log_position WHERE consumer_group = %s AND topic = %s AND partition = %s",
            (self._group, self._topic.name, partition),
        )
        row = await cursor.fetchone()
        return row[0] if row else 0

    async def snapshot(self, partition: int) -> Snapshot | None:
        cursor = await self._connection.execute(
            "SELECT at_offset, value FROM log_snapshot WHERE consumer_group = %s AND topic = %s AND partition = %s",
            (self._group, self._topic.name, partition),
        )
        row = await cursor.fetchone()
        return Snapshot(row[0], bytes(row[1])) if row else None

    def seek(self, partition: int, offset: int) -> None:
        if partition not in self._next:
            raise Fenced(f"partition {partition} of {self._topic.name} is not this member's to read")
        self._next[partition] = offset

    async def commit(
        self,
        partition: int,
        position: int,
        outputs: Sequence[Entry] = (),
        snapshot: Snapshot | None = None,
    ) -> None:
        if partition not in self._members.owned:
            raise Fenced(f"partition {partition} of {self._topic.name} belongs to another member now")
        check(outputs)
        try:
            # The pipeline sends everything at once and waits once.
            async with self._connection.pipeline(), self._connection.transaction():
                await _append(self._connection, outputs)
                await self._write_position(partition, position)
                if snapshot is not None:
                    await self._write_snapshot(partition, snapshot)
        except psycopg.OperationalError as error:
            raise Fenced(f"the session that owned {self._topic.name} has ended: {error}") from error

    async def advance(self, positions: Mapping[int, int]) -> Mapping[int, int]:
        mine = {p: position for p, position in positions.items() if p in self._members.owned}
        try:
            async with self._connection.pipeline(), self._connection.transaction():
                for partition, position in mine.items():
                    await self._write_position(partition, position)
        except psycopg.OperationalError as error:
            raise Fenced(f"the session that owned {self._topic.name} has ended: {error}") from error
        return mine

    async def _rebalance(self) -> Event | None:
        gained, lost = await self._members.look()
        if lost:
            for partition in lost:
                self._next.pop(partition, None)
            return Revoked(lost)
        if gained:
            for partition in gained:
                self._next[partition] = await self.committed(partition)
            return Assigned(gained)
        return None

    async def _fetch(self) -> Batch | None:
        if not self._next:
            return None
        share = max(1, self._batch_size // len(self._next))
        cursor = await self._connection.execute(
            'SELECT e.partition, e."offset", e.key, e.value '
            "FROM unnest(%s::int[], %s::bigint[]) AS want(partition, position), LATERAL ("
            '  SELECT * FROM log_entry WHERE topic = %s AND partition = want.partition AND "offset" >= want.position'
            '  ORDER BY "offset" LIMIT %s) AS e ORDER BY e.partition, e."offset"',
            (list(self._next), list(self._next.values()), self._topic.name, share),
            binary=True,
        )
        entries = tuple(Stored(*row) for row in await cursor.fetchall())
        if not entries:
            return None
        batch = Batch(entries)
        self._next |= batch.positions()
        return batch

    async def _write_position(self, partition: int, position: int) -> None:
        await self._connection.execute(
            "INSERT INTO log_position (consumer_group, topic, partition, next_offset) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
            (self._group, self._topic.name, partition, position),
        )

    async def _write_snapshot(self, partition: int, snapshot: Snapshot) -> None:
        await self._connection.execute(
            "INSERT INTO log_snapshot (consumer_group, topic, partition, at_offset, value) "
            "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (consumer_group, topic, partition) "
            "DO UPDATE SET at_offset = excluded.at_offset, value = excluded.value",
            (self._group, self._topic.name, partition, snapshot.offset, snapshot.value),
        )


async def _append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Append, in the caller's transaction if there is one. One round trip (see log_append in the schema)."""
    if not entries:
        return
    await connection.execute(
        "SELECT log_append(%b::text[], %b::int[], %b::text[], %b::timestamptz[], %b::bytea[])",
        (
            [entry.topic.name for entry in entries],
            [entry.topic.partition_of(entry.key) for entry in entries],
            [entry.key for entry in entries],
            [entry.time for entry in entries],
            [entry.value for entry in entries],
        ),
    )
