"""One gateway in the field: its MQTT session, what it still has to say, and how it comes back after an outage."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiomqtt import Client, MqttError, ProtocolVersion, Will

from sensors.simulator import messages
from sensors.simulator.field import Field, Observation
from sensors.simulator.memory import Memory
from sensors.simulator.obedience import Obedience
from sensors.simulator.waveforms import Moment, battery
from tongluo import sampling

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 10.0
_GOODBYE_S: Final = 2.0

_quiet = logging.getLogger("sensors.simulator.mqtt")
_quiet.setLevel(logging.CRITICAL)  # the roll says what people need to know


@dataclass(frozen=True)
class Pace:
    """How event time follows the wall: from T0 on, `speed` times as fast."""

    anchor: datetime
    speed: float
    wall_now: Callable[[], datetime]

    def now(self) -> datetime:
        return self.anchor + (self.wall_now() - self.anchor) * self.speed

    async def wait_for(self, time: datetime) -> None:
        seconds = (time - self.now()).total_seconds() / self.speed
        await asyncio.sleep(max(0.0, seconds))


class Roll:
    """Who is connected. It speaks when all are, and once when the first is lost, not once per gateway."""

    def __init__(self, broker: str, expected: int, say: Callable[[str], None]) -> None:
        self._broker, self._expected, self._say = broker, expected, say
        self._present: set[str] = set()
        self._lost = False

    def connected(self, gateway: str) -> None:
        self._present.add(gateway)
        if len(self._present) == self._expected:
            self._lost = False
            self._say(f"connected to {self._broker}: {self._expected} gateways")

    def lost(self, gateway: str, reason: str) -> None:
        self._present.discard(gateway)
        if not self._lost:
            self._lost = True
            self._say(f"no link to broker {self._broker} ({reason}); trying again until it is there")


class FieldGateway:
    """Says what its stations observed, in time order, each message only after the one before is acknowledged."""

    def __init__(
        self, id_: str, field: Field, pace: Pace, memory: Memory, roll: Roll, fixed: Collection[str] = ()
    ) -> None:
        """`fixed` names stations whose interval cannot be changed."""
        self.id = id_
        mine = {name: station for name, station in field.county.stations.items() if station.gateway == id_}
        self._obedience = Obedience(mine, fixed, pace.now)
        self._pace, self._memory, self._roll = pace, memory, roll
        self._battery = battery(Moment(field.seed, id_, field.anchor, 0.0))
        mark = memory.mark(id_)
        self._seq = mark.seq if mark else 0
        newest = memory.record_after(id_, field.anchor)
        ahead = itertools.chain(field.record(id_, newest), field.live(id_, self._obedience.interval_s))
        # In replay mode an earlier run may have told times that lie ahead of this run's T0.
        self._ahead = itertools.dropwhile(lambda seen: seen.time <= newest, ahead)
        self._next = next(self._ahead, None)
        self._unsaid: list[Observation] = []

    async def run(self, host: str, port: int, ended: asyncio.Event) -> None:
        """Stay connected and speak until `ended` is set and the task is cancelled.

        Both, because `asyncio.wait_for` of Python 3.11, which aiomqtt uses, loses a cancellation that comes
        together with the result it waits for.
        """
        pause_s = _FIRST_PAUSE_S
        while not ended.is_set():
            try:
                async with self._client(host, port) as client:
                    self._roll.connected(self.id)
                    pause_s = _FIRST_PAUSE_S
                    await self._converse(client, ended)
            except* MqttError as errors:
                self._roll.lost(self.id, str(_first(errors)))
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)

    def _client(self, host: str, port: int) -> Client:
        will = Will(messages.status_topic(self.id), messages.will(), qos=1, retain=True)
        return Client(
            host,
            port,
            identifier=self.id,
            username=self.id,
            will=will,
            protocol=ProtocolVersion.V311,
            timeout=10.0,
            keepalive=30,
            logger=_quiet,
        )

    async def _converse(self, client: Client, ended: asyncio.Event) -> None:
        # Here, not in the task: there the cancellation that it may lose would be the only word of the end.
        await client.subscribe(messages.commands_topic(self.id), qos=1)
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(client, ended), name=f"commands {self.id}")
            await self._speak(client, ended)
            listening.cancel()

    async def _listen(self, client: Client, ended: asyncio.Event) -> None:
        """Take commands and answer each, also one that came before."""
        async for message in client.messages:
            found = self._obedience.take(message.payload) if isinstance(message.payload, bytes) else None
            if found is not None:
                command, answer = found
                topic = messages.answer_topic(self.id, command)
                await client.publish(topic, sampling.encode(answer), qos=1)
            if ended.is_set():  # as in `run`: the cancellation may have been lost
                return

    async def _speak(self, client: Client, ended: asyncio.Event) -> None:
        status = messages.status_topic(self.id)
        await client.publish(status, messages.birth(self._battery), qos=1, retain=True)
        try:
            while not ended.is_set():
                await self._gather()
                await client.publish(
                    messages.readings_topic(self.id), messages.readings(self._unsaid, self._seq), qos=1
                )
                self._acknowledged()
        finally:
            if ended.is_set():  # a clean end suppresses the last will, so the gateway says it itself
                with contextlib.suppress(MqttError):
                    await client.publish(status, messages.will(), qos=1, retain=True, timeout=_GOODBYE_S)

    async def _gather(self) -> None:
        """Wait until something is due and take it; what an outage left unsaid goes first, unchanged."""
        if self._unsaid:
            return
        if self._next is None:  # a gateway whose stations all measure what cannot be simulated
            await asyncio.Event().wait()
        while self._next is not None and not self._unsaid:
            await self._pace.wait_for(self._next.time)
            self._take_due()

    def _take_due(self) -> None:
        now = self._pace.now()
        while (
            self._next is not None and self._next.time <= now and len(self._unsaid) < messages.MOST_READINGS
        ):
            self._unsaid.append(self._next)
            self._next = next(self._ahead, None)

    def _acknowledged(self) -> None:
        self._seq += len(self._unsaid)
        self._memory.note_sent(self.id, self._unsaid[-1].time, self._seq)
        self._unsaid = []


def _first(errors: BaseExceptionGroup[MqttError]) -> BaseException:
    """Speaking and listening both fail when the link does: one of them tells it."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
