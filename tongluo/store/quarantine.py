"""What could not be used, kept with its reason until somebody has looked."""

import hashlib
import logging
from typing import Final

import msgspec
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from tongluo.clock import wall_now
from tongluo.errors import WireError
from tongluo.hazards import Words
from tongluo.log.port import Stored
from tongluo.reading import Refusal, storable, storable_words
from tongluo.topics import Topic

logger = logging.getLogger(__name__)

# The same bytes for the same reason are one row that counts, so that a broken gateway cannot fill the page. What comes
# back from being read again (sent) has come no further time; it is kept once more, with the reason of now.
_KEEP: Final = text(
    "INSERT INTO quarantine AS q (id, gateway, topic, code, reason, payload, times, received, last_seen) "
    "VALUES (:id, :gateway, :topic, :code, :reason, :payload, 1, :received, :received) "
    "ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, "
    "  times = q.times + (q.state <> 'sent')::int, "
    "  state = CASE q.state WHEN 'sent' THEN 'kept' ELSE q.state END, "
    "  last_seen = greatest(q.last_seen, excluded.last_seen)"
).bindparams(bindparam("reason", type_=JSONB))


async def keep(connection: AsyncConnection, refusal: Refusal) -> None:
    """Write a refusal in the caller's transaction."""
    await connection.execute(
        _KEEP,
        {
            "id": refusal_id(refusal),
            "gateway": storable(refusal.gateway),
            "topic": storable(refusal.topic),
            "code": refusal.code,
            "reason": msgspec.to_builtins(storable_words(refusal.reason)),
            "payload": refusal.payload,
            "received": refusal.received,
        },
    )


async def set_aside(connection: AsyncConnection, topic: Topic, entry: Stored, error: WireError) -> None:
    """An entry of the log that is not what its topic says must not stop what comes after it."""
    logger.error("entry %d of %s/%d is set aside: %s", entry.offset, topic.name, entry.partition, error)
    reason = Words(
        f"日志 {topic.name} 中的条目无法读取：{error}",
        f"an entry of log topic {topic.name} cannot be read: {error}",
    )
    await keep(connection, Refusal("", topic.name, wall_now(), "unreadable_entry", reason, entry.value))


def refusal_id(refusal: Refusal) -> str:
    """The same bytes from the same topic for the same cause have the same id."""
    parts = (refusal.topic.encode("utf-8", "replace"), refusal.code.encode(), refusal.payload)
    return hashlib.sha256(b"\x00".join(parts)).hexdigest()[:24]
