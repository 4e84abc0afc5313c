"""From messages to entries of the log: everything between the wire and the log that needs no waiting."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.ingest import fast, gateways, pipeline, rows
from services.ingest.mqtt import Message
from services.ingest.observation import Observation, Refused, Sighting
from services.ingest.places import Places
from services.ingest.quality.inspector import Inspected, Inspector
from services.ingest.rows import Rows
from tongluo import signal, wire
from tongluo.clock import Clock
from tongluo.hazards import Words
from tongluo.log.port import Entry
from tongluo.reading import Refusal
from tongluo.readings import Readings, moment
from tongluo.region import County
from tongluo.topics import COUNTY_KEY, DETECTIONS, QUARANTINE, SIGNALS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """A message that was read by other means than its topic, and the gateway it came from."""

    message: Message
    gateway: str
    found: Iterable[Observation | Sighting | Refused]


@dataclass(frozen=True)
class Taken:
    """What messages hold: entries for the log, the detections whose snapshots are stored before, what to learn after."""

    entries: list[Entry]
    pictured: list[pipeline.Detected]
    places: Places
    inspected: Inspected


class Intake:
    """Takes messages apart; remembers what quality control needs, and nothing else.

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

    def places(self) -> Places:
        """The registry as it is now."""
        county = self._county()
        if county is not self._places.county:
            self._places = Places(county)
            self._inspector.know(self._places)
        return self._places

    def take(self, messages: Sequence[Message | Told]) -> Taken:
        """Everything the messages hold, in order. Nothing is remembered of it before `learn`."""
        context = pipeline.Context(self.places(), self._clock.now(), self._limits)
        between = fast.span(context)
        sorted_ = _Sorted(Rows(), [], [])
        statuses: list[Entry] = []
        for message in messages:
            if isinstance(message, Message) and gateways.is_status(message):
                statuses += gateways.entries(message, context.places.county)
            elif isinstance(message, Told) or not fast.take(message, context, between, sorted_.rows):
                of = message.message if isinstance(message, Told) else message
                sorted_.add(of, _read(message, of, context))
        taken = sorted_.rows
        inspected = self._inspector.inspect(taken.batch())
        if len(taken):
            self._clock.observe(moment(max(taken.time_us)))
        entries = [
            *rows.entries(taken, inspected, self._places, self._name),
            *(entry for found in sorted_.detected for entry in _entries(found)),
            *_refusals(sorted_.refused),
            *statuses,
        ]
        pictured = [found for found in sorted_.detected if found.snapshot is not None]
        return Taken(entries, pictured, self._places, inspected)

    def learn(self, taken: Taken) -> None:
        """Remember what is in the log: a message that fails there is judged anew when it comes again."""
        # Series are numbered anew when the registry changes; what came just before is then not remembered.
        if taken.places is self._places:
            self._inspector.learn(taken.inspected)

    def recall(self, readings: Readings) -> None:
        """Remember what stands in the log and did not go through here."""
        self.places()
        self._inspector.recall(readings)


@dataclass
class _Sorted:
    """What messages hold, each kind by itself."""

    rows: Rows
    detected: list[pipeline.Detected]
    refused: list[Refusal]

    def add(self, message: Message, found: Iterable[pipeline.Outcome]) -> None:
        for one in found:
            match one:
                case pipeline.Accepted():
                    self.rows.which.append(one.number)
                    self.rows.time_us.append(one.time_us)
                    self.rows.value.append(one.value)
                    self.rows.seq.append(one.seq)
                    self.rows.received_us.append(fast.received_us(message))
                case pipeline.Detected():
                    self.detected.append(one)
                case Refusal():
                    self.refused.append(one)


def _read(message: Message | Told, of: Message, context: pipeline.Context) -> list[pipeline.Outcome]:
    try:
        if isinstance(message, Told):
            return pipeline.settle(of, message.gateway, message.found, context)
        return pipeline.read(message, context)
    except (ValueError, ArithmeticError, LookupError, TypeError, RecursionError) as error:
        # A mistake of ours, but one message must never stand in the way of a county's readings.
        logger.exception("a message on %r could not be handled", of.topic[:200])
        reason = Words(
            f"程序无法处理此报文，请转告开发者：{error!r}",
            f"the program cannot handle this message, tell its makers: {error!r}",
        )
        return [pipeline.refusal(of, "", "unforeseen", reason, of.payload)]


def _entries(found: pipeline.Detected) -> list[Entry]:
    """For the record, and for the county-wide judgement."""
    seen = found.detection
    return [
        Entry(DETECTIONS, seen.site, wire.DETECTION.encode(seen), seen.time),
        Entry(SIGNALS, COUNTY_KEY, wire.SIGNAL.encode(signal.Sighting(seen)), seen.time),
    ]


def _refusals(refused: Iterable[Refusal]) -> Iterable[Entry]:
    for one in refused:
        logger.info("quarantined from %s: %s", one.gateway or "?", one.reason.en)
        yield Entry(QUARANTINE, one.gateway, wire.REFUSAL.encode(one), one.received)
