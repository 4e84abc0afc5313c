"""What the page must hear of, numbered in the order of commit so that a stream can resume after any number."""

from datetime import datetime

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tongluo import bells
from tongluo.postgres import lock_number

_LOCK = lock_number("changes")
_LOCK_AND_RING = text(
    "SELECT pg_advisory_xact_lock(:lock), pg_notify('tongluo', :bell), pg_notify('tongluo', :other)"
)


class Change(msgspec.Struct, frozen=True):
    """An alert moved (`delivery` is None) or one of its deliveries did."""

    alert: str
    delivery: str | None = None


async def note(
    connection: AsyncConnection, changes: list[Change], at: datetime, *, also_ring: str = bells.CHANGES
) -> None:
    """Write changes in the caller's transaction; call it last. `also_ring` names a further bell.

    The lock, held until commit, makes numbers become visible in their order: a reader never skips one.
    """
    if not changes:
        return
    await connection.execute(_LOCK_AND_RING, {"lock": _LOCK, "bell": bells.CHANGES, "other": also_ring})
    await connection.execute(
        text(
            "INSERT INTO change (alert, delivery, at) SELECT a, d, :at "
            "FROM unnest(CAST(:alerts AS text[]), CAST(:deliveries AS text[])) AS c(a, d)"
        ),
        {"alerts": [c.alert for c in changes], "deliveries": [c.delivery for c in changes], "at": at},
    )
