"""The ingest role: messages in, readings and refusals to the log, and only then the acknowledgement."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

from services.ingest import fast, pipeline, rows
from services.ingest.mqtt import Broker, Message, subscribe
from services.ingest.places import Places
from services.ingest.quality.inspector import Inspected, Inspector
from services.ingest.rows import Rows
from tongluo import wire
from tongluo.clock import Clock
from tongluo.hazards import Words
from tongluo.log.port import Entry, Log
from tongluo.reading import Refusal
from tongluo.readings import Readings, moment
from tongluo.region import County
from tongluo.supervise import Pulse
from tongluo.topics import QUARANTINE

logger = logging.getLogger(__name__)

FILTERS: Final = ("tongluo/v1/+/+",)
BATCH_MESSAGES: Final = 500

Before = Callable[[], Awaitable[None]]
Found = pipeline.Accepted | pipeline.Detected | Refusal


class Intake:
    """From messages to entries of the log; remembers what quality control needs, and nothing else.

    `late_after` is None in replay mode. `name` stands in the entries as who took them in.
    """

    def __init__(
        self,
        county: Callable[[], County],
        clock: Clock,
        limits: pipeline.Limits,
        late_after: timedelta | None,
        name: str,
    ) -> None:
        self._county = county
        self._clock = clock
        self._limits = limits
        self._name = name
        self._places = Places(county())
        self._inspector = Inspector(self._places, late_after)

    def entries(self, messages: Sequence[Message]) -> tuple[list[Entry], Inspected]:
        """Everything the messages hold, in order; and what to `learn` when the log has it."""
        context = pipeline.Context(self._newest_places(), self._clock.now(), self._limits)
        between = fast.span(context)
        taken, refused = Rows(), list[Refusal]()
        for message in messages:
            if not fast.take(message, context, between, taken):
                self._sort(message, self._read(message, context), taken, refused)
        inspected = self._inspector.inspect(taken.batch())
        readings = rows.entries(taken, inspected, self._places, self._name)
        if len(taken):
            self._clock.observe(moment(max(taken.time_us)))
        return [*readings, *self._refusals(refused)], inspected

    def learn(self, inspected: Inspected) -> None:
        """Remember what is in the log: a message that fails there is judged anew when it comes again."""
        self._inspector.learn(inspected)

    def recall(self, readings: Readings) -> None:
        """Remember what somebody else has put into the log, or we before a restart."""
        self._newest_places()
        self._inspector.recall(readings)

    def _newest_places(self) -> Places:
        county = self._county()
        if county is not self._places.county:
            self._places = Places(county)
            self._inspector.know(self._places)
        return self._places

    def _refusals(self, refused: Iterable[Refusal]) -> Iterable[Entry]:
        for one in refused:
            logger.info("quarantined from %s: %s", one.gateway or "?", one.reason.en)
            yield Entry(QUARANTINE, one.gateway, wire.REFUSAL.encode(one), one.received)

    def _sort(self, message: Message, found: Iterable[Found], taken: Rows, refused: list[Refusal]) -> None:
        for one in found:
            match one:
                case pipeline.Accepted():
                    taken.which.append(one.number)
                    taken.time_us.append(one.time_us)
                    taken.value.append(one.value)
                    taken.seq.append(one.seq)
                    taken.received_us.append(fast.received_us(message))
                case pipeline.Detected():
                    refused.append(_set_aside(one, message))
                case Refusal():
                    refused.append(one)

    def _read(self, message: Message, context: pipeline.Context) -> list[Found]:
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


def filters(share: str | None) -> tuple[str, ...]:
    """What ingest subscribes to: all of the field, or its share of it in a group of that name."""
    return FILTERS if share is None else tuple(f"$share/{share}/{one}" for one in FILTERS)


class Ingest:
    """Reads the field until cancelled."""

    def __init__(self, broker: Broker, log: Log, intake: Intake, share: str | None = None) -> None:
        self._broker = broker
        self._filters = filters(share)
        # One batch after the other, whoever brings it: what the first has taught is known to the next.
        self._turn = asyncio.Lock()
        self._log = log
        self._intake = intake
        self._held = 0
        self._taken = 0
        # What is to be done before the first message is taken.
        self._before: Before | None = None

    def first(self, before: Before) -> None:
        """Have `before` done once, before we subscribe."""
        self._before = before

    async def run(self, pulse: Pulse) -> None:
        """Raises OSError when the broker is away; the supervisor starts us again and the broker redelivers."""
        if self._before is not None:
            await self._before()
            self._before = None
        async with subscribe(self._broker, self._filters) as field:
            pulse.beat("subscribed")
            while True:
                messages = await field.batch(BATCH_MESSAGES)
                self._held = len(messages)
                self._taken += len(messages)
                try:
                    await self.take(messages)
                finally:
                    self._held = 0
                # Only now is it safe with us: a crash before this line makes the broker send it again.
                field.acknowledge(messages)
                pulse.count("messages", len(messages))

    async def take(self, messages: Sequence[Message]) -> None:
        """Return when everything the messages hold is durable in the log."""
        async with self._turn:
            entries, inspected = self._intake.entries(messages)
            await self._log.append(entries)
            self._intake.learn(inspected)

    async def hear(self, readings: Readings) -> None:
        """Remember what somebody else has put into the log."""
        async with self._turn:
            self._intake.recall(readings)

    async def quiet(self, pulse: Pulse, for_s: float) -> None:
        """Wait until we are subscribed, hold nothing, and nothing has come for `for_s` seconds."""
        seen = -1
        while seen != self._taken or self._held or not pulse.ready.is_set():
            seen = self._taken
            await asyncio.sleep(for_s)


def _set_aside(found: pipeline.Detected, message: Message) -> Refusal:
    """A detection is kept in quarantine, whole and seen by people, as long as no rule judges detections."""
    reason = Words(
        "烟火识别结果已解读，但尚无规则研判，原文保留在此",
        "the detection was read, but no rule judges detections yet: it is kept here as it came",
    )
    return pipeline.refusal(message, found.detection.gateway, "not_judged", reason, message.payload)
