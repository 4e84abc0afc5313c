"""What makes durable what messages hold, for everything that listens to the field."""

import asyncio
from collections.abc import Sequence

from services.ingest.intake import Intake, Told
from services.ingest.mqtt import Message
from services.ingest.snapshots import Snapshots
from tongluo.detection import Snapshot
from tongluo.log.port import Log
from tongluo.readings import Readings


class Keeper:
    """Snapshots first, then the log, and only then is a batch remembered."""

    def __init__(self, log: Log, intake: Intake, snapshots: Snapshots) -> None:
        self._log = log
        self._intake = intake
        self._snapshots = snapshots
        # One batch after the other, whoever brings it: what the first has taught is known to the next. Snapshots, too,
        # are for one thread at a time.
        self._turn = asyncio.Lock()

    async def keep(self, messages: Sequence[Message | Told]) -> None:
        """Return when everything the messages hold is durable. Raises OSError, or what the log raises."""
        async with self._turn:
            taken = self._intake.take(messages)
            if taken.snapshots:
                await asyncio.to_thread(self._keep_snapshots, taken.snapshots)
            await self._log.append(taken.entries)
            self._intake.learn(taken)

    async def hear(self, readings: Readings) -> None:
        """Remember what somebody else has put into the log, or we before a restart."""
        async with self._turn:
            self._intake.recall(readings)

    async def keep_telemetry(self, message: Message) -> None:
        """The same for a station that connects by itself: its address, in the topic, names its gateway."""
        root, version, address, kind = message.topic.split("/")
        gateway = self._intake.places().gateway(address)
        await self.keep([Message(f"{root}/{version}/{gateway}/{kind}", message.payload, message.received)])

    def _keep_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        for snapshot in snapshots:
            self._snapshots.keep(snapshot)
