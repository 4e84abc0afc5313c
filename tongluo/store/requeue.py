"""Reading again what lies in quarantine, after its cause was mended: asked for, taken up, settled.

A row is `kept` until somebody asks (`requeued`); who reads again takes it up (`sent`), hands its bytes to ingest, and
when the store has whatever became of that, settles it: accepted, the row goes; refused again, the recorder has kept it
with the reason of now. A crash at any point does it once more, and readings have an identity.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tongluo import bells
from tongluo.hazards import Words
from tongluo.store.engine import ring

MOST_AT_ONCE: Final = 10_000
# What was taken up and not settled for this long belongs to a process that is gone.
LEASE: Final = timedelta(minutes=5)

# Of these not the bytes that came were kept, but a part or a description of them.
CUT: Final = frozenset(
    {
        "sl651_picture",
        "sl651_rain_not_counted",
        "sl651_relative_level",
        "sl651_same_place",
        "sl651_unknown_element",
    }
)
_FIELD: Final = ("tongluo/v1/", "spBv1.0/")

# What may be asked for; the same as `why_not`, in the store's words.
_CAN: Final = "code <> ALL(:cut) AND topic LIKE ANY(:field) AND topic NOT LIKE '%…'"
_CAN_VALUES: Final[dict[str, Any]] = {"cut": sorted(CUT), "field": [f"{head}%" for head in _FIELD]}


class Held(msgspec.Struct, frozen=True):
    """A payload to be read again, as it came in."""

    id: str
    topic: str
    payload: bytes
    received: datetime


def why_not(topic: str, code: str) -> Words | None:
    """Why an entry cannot be read again; None when it can."""
    if code in CUT:
        return Words(
            "只保留了报文的一部分，无法重新入队；请让网关补报",
            "only a part of the message was kept: let the gateway send it again",
        )
    if not topic.startswith(_FIELD) or topic.endswith("…"):
        return Words(
            "不是现场发来的报文，无法重新入队", "this did not come from the field: it cannot be read again"
        )
    return None


async def ask(connection: AsyncConnection, ids: Sequence[str], who: str, now: datetime) -> int:
    """Ask for these to be read again, in the caller's transaction; returns how many were not asked for already."""
    asked = await connection.execute(
        text(
            "UPDATE quarantine SET state = 'requeued', requeued = :now, requeued_by = :who "
            f"WHERE id = ANY(:ids) AND state = 'kept' AND {_CAN}"
        ),
        {"ids": list(ids), "who": who, "now": now, **_CAN_VALUES},
    )
    await ring(connection, bells.REQUEUE)
    return int(asked.rowcount)


async def take_up(connection: AsyncConnection, now: datetime, most: int, most_bytes: int) -> list[Held]:
    """The next to be read again, the first asked for first; at least one, then no more than `most_bytes`."""
    rows = await connection.execute(
        text(
            "WITH next AS (SELECT id, length(payload) AS size FROM quarantine WHERE state = 'requeued' "
            "  OR (state = 'sent' AND requeued < :gone) ORDER BY requeued, id LIMIT :most FOR UPDATE SKIP LOCKED), "
            "few AS (SELECT id, sum(size) OVER (ORDER BY id) - size AS before FROM next) "
            "UPDATE quarantine q SET state = 'sent', requeued = :now, attempts = q.attempts + 1 FROM few "
            "WHERE q.id = few.id AND few.before < :bytes RETURNING q.id, q.topic, q.payload, q.received"
        ),
        {"gone": now - LEASE, "now": now, "most": most, "bytes": most_bytes},
    )
    return [Held(row.id, row.topic, bytes(row.payload), row.received) for row in rows]


# Refused for another reason it lies in another row: what is known of the old one goes over to that.
_INHERIT: Final = text(
    "UPDATE quarantine n SET attempts = n.attempts + o.attempts, times = greatest(n.times, o.times), "
    "  requeued = o.requeued, requeued_by = o.requeued_by FROM quarantine o "
    "WHERE o.id = ANY(:ids) AND o.state = 'sent' AND n.last_seen = o.received AND n.id <> o.id "
    "  AND n.topic = o.topic AND n.payload = o.payload AND n.attempts = 0"
)


async def settle(connection: AsyncConnection, ids: Sequence[str]) -> tuple[int, int]:
    """What became of these, once the store has it: (accepted, refused again)."""
    inherited = await connection.execute(_INHERIT, {"ids": list(ids)})
    gone = await connection.execute(
        text("DELETE FROM quarantine WHERE id = ANY(:ids) AND state = 'sent'"), {"ids": list(ids)}
    )
    accepted = int(gone.rowcount) - int(inherited.rowcount)
    return accepted, len(ids) - accepted


async def expire(connection: AsyncConnection, before: datetime, most_bytes: int) -> int:
    """Delete what was last seen before `before`, and the oldest beyond `most_bytes` in all; returns how many.

    What somebody has asked to be read again stays.
    """
    old = await connection.execute(
        text("DELETE FROM quarantine WHERE last_seen < :before AND state = 'kept'"), {"before": before}
    )
    much = await connection.execute(
        text(
            "DELETE FROM quarantine WHERE state = 'kept' AND id IN (SELECT id FROM (SELECT id, "
            "sum(length(payload)) OVER (ORDER BY last_seen DESC, id) AS upto FROM quarantine) AS s WHERE upto > :most)"
        ),
        {"most": most_bytes},
    )
    return int(old.rowcount + much.rowcount)
