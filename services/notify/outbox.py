"""The outbox: deliveries that are due, claimed by updating one row each, sent, and their outcome written down.

Killed after sending and before writing, a delivery is sent again with the same id once its claim has run out.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notify.backoff import WAITS_S, wait_s
from services.notify.channels.webhook import TIMEOUT_S, WebhookChannel, open_webhooks
from tongluo import bells
from tongluo.clock import wall_now
from tongluo.errors import DeliveryError
from tongluo.postgres import Listener, wait
from tongluo.store import changes
from tongluo.supervise import Pulse

logger = logging.getLogger(__name__)

# Every subscriber has places of its own, so that slow ones delay nobody else.
AT_ONCE_EACH: Final = 8
CLAIM: Final = timedelta(seconds=TIMEOUT_S + 5)
# The receiver says that it is no longer there (Standard Webhooks): its subscription is disabled.
GONE: Final = 410

# The oldest undelivered report of each alert and subscriber: what follows waits, so that nobody hears "cleared"
# before "raised". Deliveries of a disabled subscription stay until it is enabled again. `taken` is how many of a
# subscriber's places are in use; first attempts go before repeated ones. A row whose claim has run out is due again,
# and taken over. Each step is made once and whole (MATERIALIZED, ARRAY): a plan that was good for three waiting
# reports must not become quadratic with a thousand.
_CLAIM: Final = text(
    "WITH waiting AS MATERIALIZED ("
    "  SELECT d.id, d.subscription, d.attempts, d.seq, d.due, d.alert IS NULL OR d.report_no ="
    "    min(d.report_no) OVER (PARTITION BY d.alert, d.subscription) AS is_next"
    "  FROM delivery d WHERE d.state IN ('pending', 'sending')), "
    "sendable AS MATERIALIZED ("
    "  SELECT w.id, coalesce(u.count, 0)"
    "    + row_number() OVER (PARTITION BY w.subscription ORDER BY w.attempts, w.seq) AS place"
    "  FROM waiting w JOIN subscription s ON s.id = w.subscription AND s.enabled"
    "  LEFT JOIN unnest(CAST(:users AS text[]), CAST(:taken AS int[])) AS u(subscription, count)"
    "    ON u.subscription = w.subscription WHERE w.is_next AND w.due <= :now), "
    "mine AS (SELECT d.id, s.url, s.secret FROM delivery d JOIN subscription s ON s.id = d.subscription"
    "  WHERE d.id = ANY(ARRAY(SELECT id FROM sendable WHERE place <= :each))"
    "    AND d.state IN ('pending', 'sending') AND d.due <= :now FOR UPDATE OF d SKIP LOCKED) "
    "UPDATE delivery d SET state = 'sending', attempts = d.attempts + 1, due = :until FROM mine WHERE d.id = mine.id "
    "RETURNING d.id, d.seq, d.subscription, d.alert, d.body, d.attempts, mine.url, mine.secret"
)

# When the next one that is not due yet will be; those that wait for a place or a predecessor are rung for.
_NEXT_DUE: Final = text(
    "SELECT min(d.due) FROM delivery d JOIN subscription s ON s.id = d.subscription AND s.enabled "
    "WHERE d.state IN ('pending', 'sending') AND d.due > :now"
)

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
    """Sends until cancelled. `waits_s` are the pauses after the 1st, 2nd, ... failed attempt."""

    def __init__(
        self, engine: AsyncEngine, listener: Listener, *, waits_s: Sequence[float] = WAITS_S
    ) -> None:
        self._engine = engine
        self._listener = listener
        self._waits_s = waits_s
        self._in_flight: Counter[str] = Counter()
        # Jitter needs no secrecy.
        self._random = random.Random()  # noqa: S311

    async def run(self, pulse: Pulse) -> None:
        self._in_flight.clear()
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        async with (
            open_webhooks() as channel,
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
        now = wall_now()
        users = [name for name, count in self._in_flight.items() if count > 0]
        async with self._engine.begin() as connection:
            rows = await connection.execute(
                _CLAIM,
                {
                    "now": now,
                    "users": users,
                    "taken": [self._in_flight[name] for name in users],
                    "each": AT_ONCE_EACH,
                    "until": now + CLAIM,
                },
            )
            found = [Claimed(*row) for row in rows]
        return sorted(found, key=lambda delivery: delivery.seq)

    async def _pause_s(self) -> float:
        """Seconds until something becomes due; a bell ends the wait earlier."""
        now = wall_now()
        async with self._engine.connect() as connection:
            due: datetime | None = await connection.scalar(_NEXT_DUE, {"now": now})
        return 5.0 if due is None else min(max((due - now).total_seconds(), 0.02), 5.0)

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
            if self._in_flight[delivery.subscription] >= AT_ONCE_EACH:
                bell.set()  # there is room again
            self._in_flight[delivery.subscription] -= 1

    def _failed(self, delivery: Claimed, error: DeliveryError, now: datetime) -> Outcome:
        pause: float | None = None
        if not error.permanent:
            pause = wait_s(delivery.attempts, error.retry_after_s, self._random, self._waits_s)
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
            await changes.note(connection, noted, wall_now())
        # Asked after the commit: whoever adds a report from here on finds its predecessor out of the way.
        async with self._engine.connect() as connection:
            waiting = await connection.scalar(_FOLLOWED, {"ids": [outcome.id for outcome in ended]})
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
