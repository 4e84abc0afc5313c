"""The ingest role: messages in, readings and refusals to the log, and only then the acknowledgement."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from services.ingest import gateways, pipeline
from services.ingest.mqtt import Broker, Message, subscribe
from tongluo import wire
from tongluo.clock import Clock
from tongluo.hazards import Words
from tongluo.log.port import Entry, Log
from tongluo.reading import Reading, Refusal
from tongluo.region import County
from tongluo.supervise import Pulse
from tongluo.topics import QUARANTINE, READINGS

logger = logging.getLogger(__name__)

FILTERS: Final = ("tongluo/v1/+/+",)
BATCH_MESSAGES: Final = 500


class Ingest:
    """Reads the field until cancelled."""

    def __init__(
        self, broker: Broker, log: Log, county: Callable[[], County], clock: Clock, limits: pipeline.Limits
    ) -> None:
        self._broker = broker
        self._log = log
        self._county = county
        self._clock = clock
        self._limits = limits
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
                    await self._log.append(self._entries(messages))
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

    async def take(self, messages: Sequence[Message]) -> None:
        """The way of messages to the log, for those that do not come from the broker now. Returns when it has them."""
        await self._log.append(self._entries(messages))

    def _entries(self, messages: Sequence[Message]) -> list[Entry]:
        entries: list[Entry] = []
        context = pipeline.Context(self._county(), self._clock.now(), self._limits)
        for message in messages:
            if gateways.is_status(message):
                entries += gateways.entries(message, context.county)
                continue
            for found in self._read(message, context):
                outcome = _set_aside(found, message) if isinstance(found, pipeline.Detected) else found
                if isinstance(outcome, Reading):
                    self._clock.observe(outcome.time)
                    entries.append(Entry(READINGS, outcome.site, wire.READING.encode(outcome), outcome.time))
                else:
                    logger.info("quarantined from %s: %s", outcome.gateway or "?", outcome.reason.en)
                    entries.append(
                        Entry(QUARANTINE, outcome.gateway, wire.REFUSAL.encode(outcome), outcome.received)
                    )
        return entries

    def _read(
        self, message: Message, context: pipeline.Context
    ) -> list[Reading | pipeline.Detected | Refusal]:
        try:
            return pipeline.read(message, context)
        except (ValueError, ArithmeticError, LookupError, TypeError, RecursionError) as error:
            # A mistake of ours, but one message must never stand in the way of a county's readings.
            logger.exception("a message on %r could not be handled", message.topic[:200])
            reason = Words(
                f"程序无法处理此报文，请转告开发者：{error!r}",
                f"the program cannot handle this message, tell its makers: {error!r}",
            )
            return [pipeline.refusal(message, "", "unforeseen", reason, message.payload)]


def _set_aside(found: pipeline.Detected, message: Message) -> Refusal:
    """A detection is kept in quarantine, whole and seen by people, as long as no rule judges detections."""
    reason = Words(
        "烟火识别结果已解读，但尚无规则研判，原文保留在此",
        "the detection was read, but no rule judges detections yet: it is kept here as it came",
    )
    return pipeline.refusal(message, found.detection.gateway, "not_judged", reason, message.payload)
