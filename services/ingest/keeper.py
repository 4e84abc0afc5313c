"""What makes durable what messages hold, for everything that listens to the field."""

import asyncio
import logging
from collections.abc import Sequence

from services.ingest.intake import Intake, Told
from services.ingest.mqtt import Message
from services.ingest.pipeline import Detected, refusal
from services.ingest.snapshots import Snapshots
from tongluo import wire
from tongluo.clock import wall_now
from tongluo.hazards import Words
from tongluo.log.port import Entry, Log
from tongluo.readings import Readings
from tongluo.topics import QUARANTINE

logger = logging.getLogger(__name__)


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
            refused = []
            if taken.pictured:
                refused = await asyncio.to_thread(self._keep_pictures, taken.pictured)
            await self._log.append([*taken.entries, *refused])
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

    def _keep_pictures(self, pictured: Sequence[Detected]) -> list[Entry]:
        """Store them; the entries for those that could not be stored.

        A full disk must not stand in the way of a county's readings: such a picture is kept in quarantine.
        """
        refused: list[Entry] = []
        for found in pictured:
            try:
                if found.snapshot is not None:
                    self._snapshots.keep(found.snapshot)
            except OSError as error:
                logger.error("%s", error)
                refused.append(_not_stored(found, error))
        return refused


def _not_stored(found: Detected, error: OSError) -> Entry:
    gateway, now = found.detection.gateway, wall_now()
    data = found.snapshot.data if found.snapshot is not None else b""
    reason = Words(
        f"快照无法写入磁盘（{error.strerror}）；识别结果已保留，图片在此",
        f"the snapshot could not be written ({error.strerror}); the detection is kept, its picture is here",
    )
    message = Message(f"tongluo/v1/{gateway}/detections", data, now)
    refused = refusal(message, gateway, "snapshot_not_stored", reason, data)
    return Entry(QUARANTINE, gateway, wire.REFUSAL.encode(refused), now)
