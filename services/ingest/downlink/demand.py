"""From findings to commands in the store: command, level and place in the log in one transaction."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.downlink import commands, judgement
from tongluo import wire
from tongluo.clock import wall_now
from tongluo.errors import WireError
from tongluo.finding import Finding
from tongluo.log.port import Log, Stored
from tongluo.region import County
from tongluo.sampling import DenseIntervals
from tongluo.store.consume import StoreConsumer
from tongluo.store.positions import positions
from tongluo.supervise import Pulse
from tongluo.topics import FINDINGS

logger = logging.getLogger(__name__)

GROUP: Final = "sampling"
BATCH_FINDINGS: Final = 500
# Alerts come first; a gateway is asked this much later.
GATHER_S: Final = 0.2
RENEW_EVERY_S: Final = 60.0


@dataclass(frozen=True)
class Demand:
    """What is wanted of the field. With a policy that asks for nothing, levels are kept and nothing is commanded."""

    log: Log
    engine: AsyncEngine
    county: Callable[[], County]
    policy: DenseIntervals
    now: Callable[[], datetime] = wall_now

    async def run(self, pulse: Pulse) -> None:
        """A role: take findings until cancelled."""
        consumer = StoreConsumer(
            self.log, self.engine, GROUP, FINDINGS, self._apply, BATCH_FINDINGS, gather_s=GATHER_S
        )
        await consumer.run(pulse)

    async def keep_renewing(self, pulse: Pulse) -> None:
        """Renew what still holds, until cancelled."""
        while True:
            pulse.count("renewed", await self.renew())
            await asyncio.sleep(RENEW_EVERY_S)

    async def renew(self) -> int:
        """Renew what still holds; how many commands that made. While findings wait to be read, none: they may release."""
        if await positions(self.engine, GROUP, FINDINGS) != await self.log.ends(FINDINGS):
            return 0
        async with self.engine.begin() as connection:
            memory, now = await commands.remember(connection, None), self.now()
            wanted = judgement.renew(memory, self.county(), self.policy, now)
            await commands.put(connection, wanted, now)
        return len(wanted)

    async def _apply(self, connection: AsyncConnection, entries: Sequence[Stored]) -> None:
        # An exercise asks nothing of the field.
        findings = [finding for finding in _readable(entries) if not finding.drill]
        if not findings:
            return
        before = await commands.remember(connection, {finding.site for finding in findings})
        now = self.now()
        after, wanted = judgement.judge(before, findings, self.county(), self.policy, now)
        await commands.keep_levels(connection, before, after)
        if self.policy.by_level:
            await commands.put(connection, wanted, now)


def _readable(entries: Sequence[Stored]) -> list[Finding]:
    """The desk, which reads the same entries, puts what is none in quarantine."""
    found: list[Finding] = []
    for entry in entries:
        try:
            found.append(wire.FINDING.decode(entry.value))
        except WireError as error:
            logger.info("an entry of findings asks for nothing: %s", error)
    return found
