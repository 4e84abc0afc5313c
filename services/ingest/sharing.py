"""Several ingest processes share the field (MQTT 5 shared subscriptions), and none of what a dead one holds is lost.

A broker goes on handing an absent member its share, into a session that lasts for days: acknowledged to the gateway,
taken by nobody. So members make themselves known in the store, and what one leaves behind another takes: connects by
its client id, ends its subscription, takes what is queued, and ends the session (docs/decisions/0014).
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.mqtt import Broker, FieldConnection, Message, adopt
from services.ingest.service import BATCH_MESSAGES, Ingest
from tongluo.supervise import Pulse

logger = logging.getLogger(__name__)

BEAT_S: Final = 5.0
AWAY_AFTER: Final = timedelta(seconds=30)
# A session with nothing more to say for this long, and a ping answered since, is empty.
QUIET_S: Final = 2.0


def orphans(seen: Mapping[str, datetime], me: str, since: datetime, now: datetime) -> list[str]:
    """Whose sessions `me` is to adopt: those of members not seen for AWAY_AFTER, shared out among the living.

    `seen` is when each member was last at work, `since` the beginning of an unbroken time in which I was. Before
    AWAY_AFTER has passed I judge nobody: after the store was away everybody looks dead. All times are the store's.
    """
    if now - since < AWAY_AFTER:
        return []
    living = sorted({me, *(name for name, at in seen.items() if now - at < AWAY_AFTER)})
    dead = sorted(name for name in seen if name not in living)
    return [name for nth, name in enumerate(dead) if living[nth % len(living)] == me]


class Members:
    """The members of one share, in the store. Raises SQLAlchemyError when it is away."""

    def __init__(self, engine: AsyncEngine, share: str) -> None:
        self._engine = engine
        self._share = share

    async def beat(self, me: str) -> tuple[dict[str, datetime], datetime]:
        """I am at work; when each member was last, and the store's time."""
        async with self._engine.begin() as connection:
            await connection.execute(
                text(
                    "INSERT INTO ingest_member (client, share, seen) VALUES (:me, :share, clock_timestamp()) "
                    "ON CONFLICT (client) DO UPDATE SET share = :share, seen = clock_timestamp()"
                ),
                {"me": me, "share": self._share},
            )
            rows = await connection.execute(
                text("SELECT client, seen, clock_timestamp() FROM ingest_member WHERE share = :share"),
                {"share": self._share},
            )
            found = [tuple(row) for row in rows]
        return {client: seen for client, seen, _ in found}, max(now for _, _, now in found)

    async def forget(self, client: str, seen: datetime) -> None:
        """Strike a member off whose session has ended, unless it has come back since it was `seen`."""
        async with self._engine.begin() as connection:
            await connection.execute(
                text("DELETE FROM ingest_member WHERE client = :client AND seen = :seen"),
                {"client": client, "seen": seen},
            )


class Sharing:
    """Makes this process known while its ingest is at work, and takes what dead members left. Run it as a role."""

    def __init__(self, broker: Broker, members: Members, ingest: Ingest, working: Pulse) -> None:
        self._broker = broker
        self._filters = ingest.filters
        self._members = members
        self._ingest = ingest
        self._working = working

    async def run(self, pulse: Pulse) -> None:
        """Raises what the store raises; the supervisor starts us again, and judging starts anew."""
        me, since = self._broker.client_id, None
        while True:
            if not self._working.ready.is_set():
                # One that does not take its share must not look as if it did.
                since = None
                await self._working.ready.wait()
            seen, now = await self._members.beat(me)
            pulse.beat()
            since = since or now
            await self._adopt_all(orphans(seen, me, since, now), seen, pulse)
            await asyncio.sleep(BEAT_S)

    async def _adopt_all(self, names: Iterable[str], seen: Mapping[str, datetime], pulse: Pulse) -> None:
        for name in names:
            logger.warning("%s has not been seen since %s: taking what is queued for it", name, seen[name])
            try:
                taken = await self._adopt(name)
            except (OSError, TimeoutError) as error:
                # It has come back, or the broker is away; either shows in the next round.
                logger.warning("%s is left alone: %s", name, error)
                continue
            await self._members.forget(name, seen[name])
            pulse.count("adopted", taken)
            logger.warning("%s: %d messages taken, its session has ended", name, taken)

    async def _adopt(self, name: str) -> int:
        """Take all that is queued for a dead member and end its session; how many messages it was."""
        taken = 0
        async with adopt(msgspec.structs.replace(self._broker, client_id=name), self._filters) as field:
            if field is None:
                return 0
            while messages := await _waiting(field):
                await self._ingest.take(messages)
                field.acknowledge(messages)
                taken += len(messages)
            field.end_session()
        return taken


async def _waiting(field: FieldConnection) -> list[Message]:
    """What has come; nothing when nothing comes any more, which only silence tells."""
    try:
        async with asyncio.timeout(QUIET_S):
            return await field.batch(BATCH_MESSAGES)
    except TimeoutError:
        # What was acknowledged last may have let more go out, by a broker that is slow.
        await field.answered()
        return field.held(BATCH_MESSAGES)
