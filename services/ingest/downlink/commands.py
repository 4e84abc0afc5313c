"""The commands in the store: what was decided, what is due, what became of it.

pending → sent (again and again) → accepted | refused; sent → unanswered, which a late answer still mends; pending, sent
→ expired once `until` has passed; pending, sent, unanswered → superseded by a newer command to the same station.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.downlink.judgement import Asked, Held, Memory, Wanted
from tongluo import bells
from tongluo.finding import Level
from tongluo.postgres import lock_number
from tongluo.sampling import Answer, Command
from tongluo.store import tables
from tongluo.store.engine import ring

# Locked until the transaction ends: what one decides on, another must not change meanwhile.
_LEVELS: Final = text(
    "SELECT site, hazard, level, time FROM sampling_level WHERE CAST(:sites AS text[]) IS NULL OR site = ANY(:sites) "
    "ORDER BY site, hazard FOR UPDATE"
)
_NEWEST: Final = text(
    "SELECT DISTINCT ON (station) station, gateway, site, interval_s, until, hazard, level, found, number, state "
    "FROM command WHERE site = ANY(:sites) ORDER BY station, seq DESC"
)
_SUPERSEDE: Final = text(
    "UPDATE command c SET state = 'superseded' WHERE c.station = ANY(:stations) "
    "AND c.state IN ('pending', 'sent', 'unanswered') "
    "AND EXISTS (SELECT 1 FROM command n WHERE n.station = c.station AND n.seq > c.seq)"
)
_CLAIM: Final = text(
    "UPDATE command c SET state = 'sent', attempts = c.attempts + 1, sent = :now, due = "
    "  CAST(:now AS timestamptz) + make_interval(secs => (CAST(:waits AS float8[]))[c.attempts + 1]) "
    "FROM (SELECT id FROM command WHERE state IN ('pending', 'sent') AND due <= :now "
    "  AND attempts < cardinality(CAST(:waits AS float8[])) "
    "  ORDER BY seq LIMIT :limit FOR UPDATE SKIP LOCKED) mine "
    "WHERE c.id = mine.id RETURNING c.seq, c.id, c.gateway, c.station, c.interval_s, c.until"
)
_EXPIRE: Final = text(
    "UPDATE command SET state = 'expired' WHERE state IN ('pending', 'sent') AND until <= :now RETURNING id"
)
_GIVE_UP: Final = text(
    "UPDATE command SET state = 'unanswered' WHERE state = 'sent' AND due <= :now AND attempts >= :most RETURNING id"
)
_NEXT_DUE: Final = text("SELECT min(due) FROM command WHERE state IN ('pending', 'sent')")
# Only the command's own gateway has a say, once, and while it still matters.
_ANSWER: Final = text(
    "UPDATE command SET state = :state, reason = :reason, in_force_s = :in_force_s, answered = :now "
    "WHERE id = :id AND gateway = :gateway AND state IN ('sent', 'unanswered') "
    "AND (until IS NULL OR until > :now) RETURNING id"
)

# Whoever changes commands does so alone, for the moment of a transaction: several rows in different orders would meet
# in a deadlock.
_ALONE: Final = text("SELECT pg_advisory_xact_lock(:lock)")
_LOCK: Final = lock_number("commands")


class Claimed(msgspec.Struct, frozen=True):
    """A command to send now."""

    gateway: str
    command: Command


class Answered(msgspec.Struct, frozen=True):
    """What a gateway said to the command `id`."""

    gateway: str
    id: str
    answer: Answer


async def remember(connection: AsyncConnection, sites: Collection[str] | None) -> Memory:
    """What is known of these sites, or of all (None), locked until the transaction ends."""
    given = None if sites is None else sorted(sites)
    rows = await connection.execute(_LEVELS, {"sites": given})
    held = {(row.site, row.hazard): Held(_level(row.level), row.time) for row in rows}
    of = given if given is not None else sorted({site for site, _ in held})
    newest = await connection.execute(_NEWEST, {"sites": of})
    return Memory(held, {row.station: _asked(row) for row in newest})


async def keep_levels(connection: AsyncConnection, before: Memory, after: Memory) -> None:
    rows = [
        {"site": site, "hazard": hazard, "level": held.level.value if held.level else None, "time": held.time}
        for (site, hazard), held in sorted(after.held.items())
        if before.held.get((site, hazard)) != held
    ]
    if rows:
        statement = upsert(tables.sampling_level)
        moving = {name: statement.excluded[name] for name in ("level", "time")}
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["site", "hazard"], set_=moving), rows
        )


async def put(connection: AsyncConnection, wanted: Sequence[Wanted], now: datetime) -> None:
    """Store commands in order; those they replace are not sent any more. Stored twice, a command is there once."""
    if not wanted:
        return
    await connection.execute(_ALONE, {"lock": _LOCK})
    statement = upsert(tables.command).on_conflict_do_nothing(index_elements=["id"])
    await connection.execute(statement, [_row(one, now) for one in wanted])
    await connection.execute(_SUPERSEDE, {"stations": sorted({one.station for one in wanted})})
    await ring(connection, bells.COMMANDS)


async def claim(
    connection: AsyncConnection, waits_s: Sequence[float], limit: int, now: datetime
) -> list[Claimed]:
    """The oldest commands that are due, marked as sent; `close` first those that are over.

    `waits_s` are the pauses after the 1st, 2nd, ... time.
    """
    rows = await connection.execute(_CLAIM, {"now": now, "waits": list(waits_s), "limit": limit})
    return [
        Claimed(row.gateway, Command(row.id, row.station, row.interval_s, row.until))
        for row in sorted(rows, key=lambda row: int(row.seq))
    ]


async def close(connection: AsyncConnection, most: int, now: datetime) -> tuple[list[str], list[str]]:
    """End what needs no more sending: the ids of those that expired, and of those sent `most` times for nothing."""
    await connection.execute(_ALONE, {"lock": _LOCK})
    expired = (await connection.execute(_EXPIRE, {"now": now})).scalars().all()
    unanswered = (await connection.execute(_GIVE_UP, {"now": now, "most": most})).scalars().all()
    return list(expired), list(unanswered)


async def next_due(connection: AsyncConnection) -> datetime | None:
    found: datetime | None = await connection.scalar(_NEXT_DUE)
    return found


async def answer(connection: AsyncConnection, given: Sequence[Answered], now: datetime) -> int:
    """Write answers down; how many were to a command that waited for one, from the gateway it was sent to."""
    taken = 0
    await connection.execute(_ALONE, {"lock": _LOCK})
    for one in given:
        changed = await connection.execute(
            _ANSWER,
            {
                "id": one.id,
                "gateway": one.gateway,
                "state": "accepted" if one.answer.accepted else "refused",
                "reason": one.answer.reason,
                "in_force_s": one.answer.interval_s,
                "now": now,
            },
        )
        taken += changed.first() is not None
    return taken


def _level(word: str | None) -> Level | None:
    return Level(word) if word is not None else None


def _asked(row: Row[Any]) -> Asked:
    fields = {name: getattr(row, name) for name in Wanted.__struct_fields__}
    return Asked(Wanted(**{**fields, "level": _level(row.level)}), refused=row.state == "refused")


def _row(wanted: Wanted, now: datetime) -> dict[str, Any]:
    fields = msgspec.structs.asdict(wanted)
    return {
        **fields,
        "id": wanted.id,
        "level": wanted.level.value if wanted.level else None,
        "state": "pending",
        "attempts": 0,
        "created": now,
        "due": now,
    }
