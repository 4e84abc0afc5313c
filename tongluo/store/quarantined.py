"""Looking through the quarantine: what is searched, listed page by page, and counted."""

from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

_WHERE: Final = (
    "(CAST(:gateway AS text) IS NULL OR gateway = :gateway) "
    "AND (CAST(:code AS text) IS NULL OR code = :code) "
    "AND (CAST(:state AS text) IS NULL OR state = :state) "
    "AND (CAST(:begin AS timestamptz) IS NULL OR last_seen >= :begin) "
    "AND (CAST(:end AS timestamptz) IS NULL OR last_seen < :end) "
    # strpos: what is searched for is no pattern. Of a large payload the beginning is searched.
    "AND (CAST(:words AS text) IS NULL OR strpos(lower(concat_ws(' ', id, gateway, topic, code, "
    "  reason->>'zh', reason->>'en')), lower(:words)) > 0 "
    "  OR position(convert_to(:words, 'UTF8') IN substring(payload FROM 1 FOR 65536)) > 0)"
)
_COLUMNS: Final = (
    "id, gateway, topic, code, reason, times, received, last_seen, state, attempts, requeued, requeued_by, "
    "length(payload) AS size"
)


class Sought(msgspec.Struct, frozen=True):
    """What is looked for; None does not narrow. `words` stand anywhere in ids, names, reason or payload."""

    gateway: str | None = None
    code: str | None = None
    state: str | None = None
    words: str | None = None
    begin: datetime | None = None
    end: datetime | None = None

    @property
    def narrow(self) -> bool:
        """Whether it is less than everything."""
        return any(value is not None for value in msgspec.structs.astuple(self))


class Place(msgspec.Struct, frozen=True):
    """Where a page ended: the newest first, and of the same moment by id."""

    last_seen: datetime
    id: str


async def page(
    connection: AsyncConnection, sought: Sought, after: Place | None, limit: int
) -> list[RowMapping]:
    """Entries with the beginning of their payload (`head`), the one seen last first."""
    rows = await connection.execute(
        text(
            f"SELECT {_COLUMNS}, substring(payload FROM 1 FOR 200) AS head FROM quarantine WHERE {_WHERE} "
            "AND (CAST(:after AS timestamptz) IS NULL OR (last_seen, id) < (:after, :after_id)) "
            "ORDER BY last_seen DESC, id DESC LIMIT :limit"
        ),
        {
            **msgspec.structs.asdict(sought),
            "after": None if after is None else after.last_seen,
            "after_id": "" if after is None else after.id,
            "limit": limit,
        },
    )
    return list(rows.mappings())


async def one(connection: AsyncConnection, id_: str) -> RowMapping | None:
    """An entry with its whole payload."""
    rows = await connection.execute(
        text(f"SELECT {_COLUMNS}, payload FROM quarantine WHERE id = :id"), {"id": id_}
    )
    return rows.mappings().first()


async def ids(connection: AsyncConnection, sought: Sought, limit: int) -> list[str]:
    """The oldest that are only kept."""
    rows = await connection.scalars(
        text(
            f"SELECT id FROM quarantine WHERE {_WHERE} AND state = 'kept' ORDER BY last_seen, id LIMIT :limit"
        ),
        {**msgspec.structs.asdict(sought), "limit": limit},
    )
    return list(rows)


async def counts(connection: AsyncConnection, sought: Sought) -> dict[str, Any]:
    """How many there are of each code, how many bytes in all, and how many are on their way to be read again.

    The codes are counted as if none had been chosen, for whoever wants to choose another.
    """
    given = msgspec.structs.asdict(msgspec.structs.replace(sought, code=None))
    codes = await connection.execute(
        text(
            "SELECT code, count(*) AS entries, sum(times)::bigint AS times, max(last_seen) AS last_seen "
            f"FROM quarantine WHERE {_WHERE} GROUP BY code ORDER BY entries DESC, code"
        ),
        given,
    )
    whole = await connection.execute(
        text(
            "SELECT count(*) AS entries, coalesce(sum(length(payload)), 0)::bigint AS bytes, "
            "count(*) FILTER (WHERE state <> 'kept') AS waiting FROM quarantine"
        )
    )
    return {"codes": [dict(row) for row in codes.mappings()], **dict(whole.mappings().one())}
