"""Who owns which partition: advisory locks of PostgreSQL sessions, shared out evenly within a group."""

import time

from tongluo.postgres import Connection, lock_number

# The lock every member holds in shared mode, beside the partitions' numbers from 0 on.
PRESENCE = 0x7FFF_FFFF


class Membership:
    """One member's part in a group.

    `look` is called between batches: it beats, counts the members, gives back what is above this member's fair share
    and takes what is free below it.
    """

    look_every_s = 1.0

    def __init__(self, connection: Connection, name: str, partitions: int, session_s: float) -> None:
        self._connection = connection
        self._lock = lock_number(name)
        self._partitions = partitions
        self._session_s = session_s
        self._looked_s = float("-inf")
        self._pid = connection.info.backend_pid
        self.owned: set[int] = set()

    async def enter(self) -> None:
        """Be counted from now on."""
        await self._connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", (self._lock, PRESENCE))

    async def look(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(gained, lost) partitions since the last look; at most once a second, as it costs a query."""
        if time.monotonic() - self._looked_s < self.look_every_s:
            return (), ()
        self._looked_s = time.monotonic()
        await self._beat()
        await self._end_hung_sessions()
        share = await self._fair_share()
        if len(self.owned) > share:
            return (), await self._give_back(len(self.owned) - share)
        return await self._take(share - len(self.owned)), ()

    async def _beat(self) -> None:
        await self._connection.execute(
            "INSERT INTO log_member (backend_pid, group_lock, beat) VALUES (%s, %s, clock_timestamp()) "
            "ON CONFLICT (backend_pid) DO UPDATE SET group_lock = excluded.group_lock, beat = excluded.beat",
            (self._pid, self._lock),
        )

    async def _end_hung_sessions(self) -> None:
        """End sessions of this group that hold locks but have shown no life for `session_s`."""
        await self._connection.execute(
            "WITH gone AS (DELETE FROM log_member WHERE group_lock = %s "
            "  AND beat < clock_timestamp() - make_interval(secs => %s) RETURNING backend_pid) "
            "SELECT pg_terminate_backend(l.pid) FROM gone JOIN pg_locks l ON l.pid = gone.backend_pid "
            "WHERE l.locktype = 'advisory' AND l.classid = %s AND l.objid = %s",
            (self._lock, self._session_s, self._lock, PRESENCE),
        )

    async def _fair_share(self) -> int:
        """How many partitions this member should own: everyone the same, the first few one more."""
        cursor = await self._connection.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY pid",
            (self._lock, PRESENCE),
        )
        pids = [pid for (pid,) in await cursor.fetchall()]
        each, rest = divmod(self._partitions, len(pids))
        return each + (1 if pids.index(self._pid) < rest else 0)

    async def _give_back(self, count: int) -> tuple[int, ...]:
        lost = tuple(sorted(self.owned)[-count:])
        for partition in lost:
            await self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", (self._lock, partition))
            self.owned.discard(partition)
        return lost

    async def _take(self, count: int) -> tuple[int, ...]:
        gained: list[int] = []
        for partition in range(self._partitions):
            if len(gained) == count:
                break
            if partition in self.owned:
                continue
            cursor = await self._connection.execute(
                "SELECT pg_try_advisory_lock(%s, %s)", (self._lock, partition)
            )
            row = await cursor.fetchone()
            if row is not None and row[0]:
                gained.append(partition)
        self.owned.update(gained)
        return tuple(gained)
