"""The ingest role: messages in, readings and refusals to the log, and only then the acknowledgement."""

import asyncio
from collections.abc import Sequence
from typing import Final

from services.ingest.intake import Intake, Told
from services.ingest.mqtt import Broker, Message, subscribe
from services.ingest.snapshots import Snapshots
from tongluo.detection import Snapshot
from tongluo.log.port import Log
from tongluo.supervise import Pulse

FILTERS: Final = ("tongluo/v1/+/+",)
BATCH_MESSAGES: Final = 500


class Keeper:
    """Makes durable what messages hold: snapshots first, then the log. Shared by everything that listens."""

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


class Ingest:
    """Reads the field until cancelled."""

    def __init__(self, broker: Broker, keeper: Keeper) -> None:
        self._broker = broker
        self._keeper = keeper
        self._held = 0
        self._taken = 0

    async def run(self, pulse: Pulse) -> None:
        """Raises OSError when the broker is away; the supervisor starts us again and the broker redelivers."""
        async with subscribe(self._broker, FILTERS) as field:
            pulse.beat("subscribed")
            while True:
                messages = await field.batch(BATCH_MESSAGES)
                self._held = len(messages)
                self._taken += len(messages)
                try:
                    await self._keeper.keep(messages)
                finally:
                    self._held = 0
                # Only now is it safe with us: a crash before this line makes the broker send it again.
                field.acknowledge(messages)
                pulse.count("messages", len(messages))

    async def quiet(self, pulse: Pulse, for_s: float) -> None:
        """Wait until we are subscribed, hold nothing, and nothing has come for `for_s` seconds."""
        seen = -1
        while seen != self._taken or self._held or not pulse.ready.is_set():
            seen = self._taken
            await asyncio.sleep(for_s)
