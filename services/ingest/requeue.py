"""What lies in quarantine, read again when somebody asks: it goes the very way it came, with the time it came in."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest import recorder
from services.ingest.mqtt import Message
from tongluo import bells
from tongluo.clock import wall_now
from tongluo.log.port import Log
from tongluo.postgres import Listener, wait
from tongluo.store import positions, requeue
from tongluo.supervise import Pulse
from tongluo.topics import QUARANTINE

Take = Callable[[Sequence[Message]], Awaitable[None]]

AT_ONCE: Final = 200
AT_ONCE_BYTES: Final = 4 * 1024 * 1024
# Also without a bell: what another process took up and left is due some time.
LOOK_EVERY_S: Final = 60.0
# The recorder is behind or away; what was taken up is taken up again when its lease has run out.
PATIENCE_S: Final = 60.0


@dataclass(frozen=True)
class Requeue:
    """Run `run` as a role. `take` returns when the log has what became of messages; several processes share the work."""

    engine: AsyncEngine
    log: Log
    listener: Listener
    take: Take

    async def run(self, pulse: Pulse) -> None:
        """Raises TimeoutError when nobody records what became of it."""
        async with self.listener.bell(bells.REQUEUE) as bell:
            while True:
                bell.clear()
                pulse.beat()
                while await self.some(pulse):
                    pulse.beat()
                await wait(bell, LOOK_EVERY_S)

    async def some(self, pulse: Pulse) -> bool:
        """Read some of it again; False when there was nothing."""
        async with self.engine.begin() as connection:
            held = await requeue.take_up(connection, wall_now(), AT_ONCE, AT_ONCE_BYTES)
        if not held:
            return False
        await self.take([Message(one.topic, one.payload, one.received) for one in held])
        await self._recorded()
        async with self.engine.begin() as connection:
            accepted, refused = await requeue.settle(connection, [one.id for one in held])
        pulse.count("accepted", accepted)
        pulse.count("refused again", refused)
        return True

    async def _recorded(self) -> None:
        """Wait until the store has every refusal that the log has now."""
        ends = await self.log.ends(QUARANTINE)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                places = await positions.positions(self.engine, recorder.GROUP, QUARANTINE)
                if all(places[partition] >= end for partition, end in ends.items()):
                    return
                await asyncio.sleep(0.05)
