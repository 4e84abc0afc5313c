"""Whether everything that came in has run its course: recorded, judged, applied, and told once."""

import asyncio

from sqlalchemy import text

from services.app import Running
from services.ingest import recorder
from services.ingest.downlink import demand
from services.notify import desk
from services.rules import service as rules
from tongluo.store import positions
from tongluo.topics import DETECTIONS, FINDINGS, QUARANTINE, READINGS


async def settle(running: Running, messages: int) -> None:
    """Wait until ingest has taken `messages` messages and nothing of them is on its way any more."""
    await running.supervisor.pulses["ingest"].counted("messages", messages)
    # The log and the outbox have no bell for "at the end": a look now and then is enough.
    while not await settled(running):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def settled(running: Running) -> bool:
    """Every consumer stands at the end of its topic, and no delivery waits for its first attempt."""
    log, engine = running.log, running.engine
    if await log.positions(rules.GROUP, READINGS) != await log.ends(READINGS):
        return False
    for group, topic in (
        (recorder.GROUP, READINGS),
        (recorder.GROUP, DETECTIONS),
        (recorder.GROUP, QUARANTINE),
        (desk.GROUP, FINDINGS),
        (demand.GROUP, FINDINGS),
    ):
        if await positions.positions(engine, group, topic) != await log.ends(topic):
            return False
    async with engine.connect() as connection:
        waiting = await connection.scalar(
            text(
                "SELECT count(*) FROM delivery d JOIN subscription s ON s.id = d.subscription AND s.enabled "
                "WHERE d.state IN ('pending', 'sending') AND d.attempts <= 1"
            )
        )
    return not waiting
