"""The outbox: deliveries that are due, claimed by updating one row each, sent, and their outcome written down.

Killed after sending and before writing, a delivery is sent again with the same id once its claim has run out.
"""

import asyncio
import logging
import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notify.backoff import wait_s
from services.notify.channels.webhook import TIMEOUT_S, WebhookChannel, open_webhooks
from tongluo import bells
from tongluo.clock import wall_now
from tongluo.errors import DeliveryError
from tongluo.postgres import Listener, wait
from tongluo.store import changes
from tongluo.supervise import Pulse

logger = logging.getLogger(__name__)

AT_ONCE: Final = 64
# One subscriber may not take all the places: a slow one delays nobody else.
AT_ONCE_EACH: Final = 16
CLAIM: Final = timedelta(seconds=TIMEOUT_S + 5)
# The receiver says that it is no longer there (Standard Webhooks): its subscription is disabled.
GONE: Final = 410

# The oldest undelivered report of each alert and subscriber: what follows waits, so that nobody hears "cleared"
# before "raised". Deliveries of a disabled subscription stay until it is enabled again.
_SENDABLE: Final = (
    "FROM delivery d JOIN subscription s ON s.id = d.subscription AND s.enabled "
    "WHERE d.state IN ('pending', 'sending') AND d.subscription <> ALL(CAST(:busy AS text[])) AND NOT EXISTS ("
    "  SELECT 1 FROM delivery e WHERE e.alert = d.alert AND e.subscription = d.subscription"
    "    AND e.report_no < d.report_no AND e.state IN ('pending', 'sending')) "
)

# A row whose claim has run out is due again, and taken over.
_CLAIM: Final = text(
    f"WITH due AS (SELECT d.id, s.url, s.secret {_SENDABLE} AND d.due <= :now"
    "  ORDER BY d.seq LIMIT :places FOR UPDATE OF d SKIP LOCKED) "
    "UPDATE delivery d SET state = 'sending', attempts = d.attempts + 1, due = :until FROM due WHERE d.id = due.id "
    "RETURNING d.id, d.seq, d.subscription, d.alert, d.body, d.attempts, due.url, due.secret"
)

_NEXT_DUE: Final = text(f"SELECT min(d.due) {_SENDABLE}")

# An outcome counts only if the claim is still this attempt's.
_OUTCOME: Final = text(
    "UPDATE delivery SET state = :state, status = :status, error = :error, due = :due, delivered = :delivered "
    "WHERE id = :id AND state = 'sending' AND attempts = :attempts"
)

_DISABLE: Final = text("UPDATE subscription SET enabled = false WHERE id = ANY(:gone)")

# A report that could not be handed over gives way to a newer one: a red must not wait behind a late orange.
_GIVE_WAY: Final = text(
    "UPDATE delivery d SET state = 'superseded' WHERE d.id = ANY(:ids) AND d.state = 'pending' AND EXISTS ("
    "  SELECT 1 FROM delivery e WHERE e.alert = d.alert AND e.subscription = d.subscription"
    "    AND e.report_no > d.report_no)"
)

# Whether a report waited for one of these to be out of its way.
_FOLLOWED: Final = text(
    "SELECT EXISTS (SELECT 1 FROM delivery d JOIN delivery e ON e.alert = d.alert AND e.subscription = d.subscription"
    "  AND e.report_no > d.report_no AND e.state = 'pending' WHERE d.id = ANY(:ids))"
)


class Claimed(msgspec.Struct, frozen=True):
    """A delivery that is ours to send until the claim runs out."""

    id: str
    seq: int
    subscription: str
    alert: str | None
    body: bytes
    attempts: int
    url: str
    secret: str


class Outcome(msgspec.Struct, frozen=True):
    """How one attempt ended."""

    id: str
    attempts: int
    alert: str | None
    subscription: str
    state: str
    due: datetime
    status: int | None = None
    error: str | None = None
    delivered: datetime | None = None


class Outbox:
    """Sends until cancelled."""

    def __init__(self, engine: AsyncEngine, listener: Listener) -> None:
        self._engine = engine
        self._listener = listener
        self._in_flight: Counter[str] = Counter()
        # Jitter needs no secrecy.
        self._random = random.Random()  # noqa: S311

    async def run(self, pulse: Pulse) -> None:
        self._in_flight.clear()
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        async with (
            open_webhooks(AT_ONCE) as channel,
            self._listener.bell(bells.OUTBOX) as bell,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._keep_outcomes(outcomes, bell, pulse), name="outbox outcomes")
            pulse.beat()
            while True:
                bell.clear()
                claimed = await self._claim()
                for delivery in claimed:
                    self._in_flight[delivery.subscription] += 1
                    tasks.create_task(self._send(channel, delivery, outcomes, bell), name=delivery.id)
                if not claimed:
                    await wait(bell, await self._pause_s())

    async def _claim(self) -> list[Claimed]:
        places = min(AT_ONCE - self._in_flight.total(), AT_ONCE_EACH)
        if places <= 0:
            return []
        now = wall_now()
        async with self._engine.begin() as connection:
            rows = await connection.execute(
                _CLAIM, {"now": now, "busy": self._busy(), "places": places, "until": now + CLAIM}
            )
            found = [Claimed(*row) for row in rows]
        return sorted(found, key=lambda delivery: delivery.seq)

    def _full(self) -> bool:
        return self._in_flight.total() >= AT_ONCE or any(
            count >= AT_ONCE_EACH for count in self._in_flight.values()
        )

    def _busy(self) -> list[str]:
        return [name for name, count in self._in_flight.items() if count >= AT_ONCE_EACH]

    async def _pause_s(self) -> float:
        """Seconds until something is due; a bell ends the wait earlier."""
        if self._in_flight.total() >= AT_ONCE:
            return 5.0
        async with self._engine.connect() as connection:
            due: datetime | None = await connection.scalar(_NEXT_DUE, {"busy": self._busy()})
        if due is None:
            return 5.0
        return min(max((due - wall_now()).total_seconds(), 0.02), 5.0)

    async def _send(
        self,
        channel: WebhookChannel,
        delivery: Claimed,
        outcomes: asyncio.Queue[Outcome],
        bell: asyncio.Event,
    ) -> None:
        try:
            now = wall_now()
            status = await channel.send(delivery.url, delivery.secret, delivery.id, delivery.body, now)
            outcomes.put_nowait(_delivered(delivery, status, wall_now()))
        except DeliveryError as error:
            logger.warning("delivery %s failed: %s", delivery.id, error)
            outcomes.put_nowait(self._failed(delivery, error, wall_now()))
        finally:
            if self._full():
                bell.set()  # there is room again
            self._in_flight[delivery.subscription] -= 1

    def _failed(self, delivery: Claimed, error: DeliveryError, now: datetime) -> Outcome:
        pause = None if error.permanent else wait_s(delivery.attempts, error.retry_after_s, self._random)
        return Outcome(
            delivery.id,
            delivery.attempts,
            delivery.alert,
            delivery.subscription,
            state="failed" if pause is None else "pending",
            due=now + timedelta(seconds=pause or 0.0),
            status=error.status,
            error=str(error)[:1000],
        )

    async def _keep_outcomes(
        self, outcomes: asyncio.Queue[Outcome], bell: asyncio.Event, pulse: Pulse
    ) -> None:
        """Write outcomes down, as many in one transaction as have come in meanwhile."""
        while True:
            ended = [await outcomes.get()]
            while not outcomes.empty():
                ended.append(outcomes.get_nowait())
            if await self._write(ended):
                bell.set()
            pulse.count("delivered", sum(outcome.delivered is not None for outcome in ended))
            pulse.count("failed", sum(outcome.delivered is None for outcome in ended))

    async def _write(self, ended: list[Outcome]) -> bool:
        """Write outcomes; whether something may be sent sooner than was known before."""
        failed = [outcome.id for outcome in ended if outcome.delivered is None]
        gone = [outcome.subscription for outcome in ended if outcome.status == GONE]
        noted = [changes.Change(outcome.alert, outcome.id) for outcome in ended if outcome.alert is not None]
        async with self._engine.begin() as connection:
            await connection.execute(_OUTCOME, [msgspec.structs.asdict(outcome) for outcome in ended])
            if failed:
                await connection.execute(_GIVE_WAY, {"ids": failed})
            if gone:
                await connection.execute(_DISABLE, {"gone": gone})
            waiting = await connection.scalar(_FOLLOWED, {"ids": [outcome.id for outcome in ended]})
            await changes.note(connection, noted, wall_now())
        return bool(failed) or bool(waiting)


def _delivered(delivery: Claimed, status: int, now: datetime) -> Outcome:
    return Outcome(
        delivery.id,
        delivery.attempts,
        delivery.alert,
        delivery.subscription,
        state="delivered",
        due=now,
        status=status,
        delivered=now,
    )
