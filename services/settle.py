"""Whether everything that came in has run its course: recorded, judged, applied, and told once."""

import asyncio

from sqlalchemy import text

from services.app import Running
from services.groups import IN_THE_LOG, IN_THE_STORE
from tongluo.store import positions


async def settle(running: Running, messages: int) -> None:
    """Wait until ingest has taken `messages` messages and nothing of them is on its way any more."""
    await running.supervisor.pulses["ingest"].counted("messages", messages)
    # The log and the outbox have no bell for "at the end": a look now and then is enough.
    while not await settled(running):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def settled(running: Running) -> bool:
    """Every consumer stands at the end of its topic, and no delivery waits for its first attempt."""
    log, engine = running.log, running.engine
    for group, topic in IN_THE_LOG:
        if await log.positions(group, topic) != await log.ends(topic):
            return False
    for group, topic in IN_THE_STORE:
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
