"""The way to the gateways: commands that are due go out until they are answered, and answers are written down.

One process at a time does it, by a lock of the store. Should two ever believe they are the one, both are harmless: a row
is claimed by one of them, and an answer counts once.
"""

import asyncio
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.downlink import commands
from services.ingest.downlink.commands import Answered, Claimed
from services.ingest.downlink.demand import Demand
from services.ingest.mqtt import FieldConnection, Message
from tongluo import bells, sampling
from tongluo.clock import wall_now
from tongluo.postgres import Connection, Listener, connect, lock_number, wait
from tongluo.supervise import Pulse

logger = logging.getLogger(__name__)

FILTER: Final = "tongluo/v1/+/commands/+"
# Seconds after the 1st, 2nd, ... time a command is sent; after the last it is given up as unanswered (54 min).
WAITS_S: Final = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0)
CLAIM_AT_ONCE: Final = 100
LOOK_AGAIN_S: Final = 5.0
_LOCK: Final = lock_number("downlink")
_TOPIC: Final = re.compile(r"tongluo/v1/([A-Za-z0-9_-]{1,64})/commands/([A-Za-z0-9_-]{1,300})")


class Downlink:
    """Sends and listens, as a guest on ingest's connection (guests.py). Run `run` as a role.

    `waits_s` are the pauses after the 1st, 2nd, ... time a command is sent.
    """

    filters: tuple[str, ...] = (FILTER,)

    def __init__(
        self,
        engine: AsyncEngine,
        dsn: str,
        listener: Listener,
        demand: Demand,
        *,
        waits_s: Sequence[float] = WAITS_S,
    ) -> None:
        self._engine = engine
        self._dsn = dsn
        self._listener = listener
        self._demand = demand
        self._waits_s = waits_s
        self._field: FieldConnection | None = None
        self._connected = asyncio.Event()

    def takes(self, topic: str) -> bool:
        return "/commands/" in topic

    def will(self) -> None:
        return None

    def joined(self, field: FieldConnection) -> None:
        self._field = field
        self._connected.set()

    async def take(self, messages: Sequence[Message]) -> None:
        """Write answers down; every process does, and an answer counts once."""
        answers = read(messages)
        if answers:
            async with self._engine.begin() as connection:
                await commands.answer(connection, answers, wall_now())

    async def run(self, pulse: Pulse) -> None:
        """Raises OSError when the broker is away, psycopg.Error when the store is."""
        lock = await connect(self._dsn)
        try:
            await _alone(lock, pulse)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._demand.keep_renewing(pulse), name="downlink renewals")
                tasks.create_task(_keep(lock), name="downlink lock")
                await self._connected.wait()
                pulse.beat("connected")
                await self._send(pulse)
        finally:
            # With the connection goes the lock.
            with suppress(psycopg.Error):
                await lock.close()

    async def _send(self, pulse: Pulse) -> None:
        async with self._listener.bell(bells.COMMANDS) as bell:
            while True:
                bell.clear()
                for due in await self._claim():
                    await self._publish(due)
                    pulse.count("commands sent", 1)
                await wait(bell, await self._pause_s())

    async def _claim(self) -> list[Claimed]:
        """What is due, marked as sent before it is: killed in between, it is due again and sent again."""
        now = wall_now()
        async with self._engine.begin() as connection:
            expired, unanswered = await commands.close(connection, len(self._waits_s), now)
            claimed = await commands.claim(connection, self._waits_s, CLAIM_AT_ONCE, now)
        if expired:
            logger.warning("%d commands have run out unanswered, %s first", len(expired), expired[0])
        if unanswered:
            logger.warning("%d commands were never answered, %s first", len(unanswered), unanswered[0])
        return claimed

    async def _pause_s(self) -> float:
        async with self._engine.connect() as connection:
            due = await commands.next_due(connection)
        if due is None:
            return LOOK_AGAIN_S
        return min(max((due - wall_now()).total_seconds(), 0.02), LOOK_AGAIN_S)

    async def _publish(self, due: Claimed) -> None:
        """Raises OSError when the broker goes away; a command it does not let pass stays unanswered."""
        field = self._field
        if field is None:
            raise ConnectionResetError("the MQTT broker is not there yet")
        try:
            refused = await field.deliver(f"tongluo/v1/{due.gateway}/commands", sampling.encode(due.command))
        except OSError:
            if self._field is field:
                # Until ingest has connected again.
                self._connected.clear()
            raise
        if refused is not None:
            logger.warning("the MQTT broker does not let command %s pass: %s", due.command.id, refused)


def read(messages: Sequence[Message]) -> list[Answered]:
    """What gateways answered. What is no answer is told in one line of the log for all of them."""
    found: list[Answered] = []
    refused: list[str] = []
    for message in messages:
        try:
            found.append(_read(message))
        except (ValueError, RecursionError) as error:
            refused.append(f"{message.topic[:120]!r}: {str(error)[:200]}")
    if refused:
        logger.warning(
            "%d answers to commands cannot be understood, the first on %s", len(refused), refused[0]
        )
    return found


def _read(message: Message) -> Answered:
    """Raises ValueError on what is no answer."""
    address = _TOPIC.fullmatch(message.topic)
    if address is None:
        raise ValueError("not the topic of a command")
    return Answered(address[1], address[2], sampling.read_answer(message.payload))


async def _alone(lock: Connection, pulse: Pulse) -> None:
    """Wait until no other process is at it."""
    while True:
        row = await (await lock.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))).fetchone()
        if row is not None and row[0]:
            return
        pulse.beat("standing by")
        await asyncio.sleep(LOOK_AGAIN_S)


async def _keep(lock: Connection) -> None:
    """Notice when the connection that holds the lock is gone. Raises psycopg.OperationalError."""
    while True:
        await asyncio.sleep(LOOK_AGAIN_S)
        await lock.execute("SELECT 1")
