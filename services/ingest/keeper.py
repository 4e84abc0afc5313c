"""What makes durable what messages hold, for everything that listens to the field."""

import asyncio
from collections.abc import Sequence

from services.ingest.intake import Intake, Told
from services.ingest.mqtt import Message
from services.ingest.snapshots import Snapshots
from tongluo.detection import Snapshot
from tongluo.log.port import Log


class Keeper:
    """Snapshots first, then the log, and only then is a batch remembered."""

    def __init__(self, log: Log, intake: Intake, snapshots: Snapshots) -> None:
        self._log = log
        self._intake = intake
        self._snapshots = snapshots
        # Snapshots are for one thread at a time.
        self._writing = asyncio.Lock()

    async def keep(self, messages: Sequence[Message | Told]) -> None:
        """Return when everything the messages hold is durable. Raises OSError, or what the log raises."""
        taken = self._intake.take(messages)
        if taken.snapshots:
            async with self._writing:
                await asyncio.to_thread(self._keep_snapshots, taken.snapshots)
        await self._log.append(taken.entries)
        self._intake.learn(taken)

    async def keep_telemetry(self, message: Message) -> None:
        """The same for a station that connects by itself: its address, in the topic, names its gateway."""
        root, version, address, kind = message.topic.split("/")
        gateway = self._intake.places().gateway(address)
        await self.keep([Message(f"{root}/{version}/{gateway}/{kind}", message.payload, message.received)])

    def _keep_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        for snapshot in snapshots:
            self._snapshots.keep(snapshot)
