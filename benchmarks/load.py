"""The field outside, in a process of its own: publishes readings over MQTT 5 with QoS 1, then says when and ends.

As fast as the broker acknowledges them, or at a rate. What is published follows from the plan alone, so that whoever
looks into the store afterwards knows what must be there. Everything is encoded before the first is sent: the load
takes as little as it can of the cores it shares with what it loads.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import cast

import mqtt5
import msgspec
import uvloop

from benchmarks.county import GAUGES_PER_GATEWAY, ROOT, station_of, topic_of

EVERY = timedelta(minutes=5)
_MOST_PACKET_IDS = 65_535
_TICK_S = 0.005
_SILENCE_S = 60.0


class Plan(msgspec.Struct, frozen=True):
    """`steps` readings of each of `stations` gauges, five minutes apart from `first` on.

    `per_message` readings in one message (a divisor of the gauges of a gateway). `rate` is readings a second, 0 as
    fast as they are acknowledged; `window` is how many messages may wait for their acknowledgement.
    """

    host: str
    port: int
    stations: int
    steps: int
    first: datetime
    per_message: int = 1
    root: str = ROOT
    rate: float = 0.0
    # The embedded broker ends a connection with more than 500, and does not announce it.
    window: int = 400
    # Who we are, where that is asked.
    user: str | None = None
    password: str | None = None

    @property
    def readings(self) -> int:
        return self.stations * self.steps

    @property
    def ends(self) -> datetime:
        """The time after the last reading."""
        return self.first + self.steps * EVERY

    def named(self) -> list[str]:
        """The stations that speak."""
        return [station_of(number) for number in range(1, self.stations + 1)]

    def differs(self, station: str, readings: int, millimetres: float) -> list[str]:
        """What is wrong with one station's readings as they were found, if anything."""
        number = int(station.removeprefix("R-"))
        expected = sum(rain(number, step) for step in range(self.steps))
        if readings == self.steps and abs(millimetres - expected) < 1e-6:
            return []
        return [f"{station} has {readings} readings of {self.steps}, {millimetres} mm of {expected}"]


class Published(msgspec.Struct, frozen=True):
    """When the first message was sent and the last acknowledged (`time.monotonic`), and the sender's processor time."""

    first_s: float
    last_s: float
    cpu_s: float


def rain(station: int, step: int) -> float:
    """A drizzle that raises nothing: 0.2 mm in every third interval."""
    return 0.2 if (station + step) % 3 == 0 else 0.0


def messages(plan: Plan) -> Iterator[tuple[str, bytes]]:
    """Topics and payloads, in order of event time."""
    if GAUGES_PER_GATEWAY % plan.per_message:
        raise ValueError(f"a message of {plan.per_message} readings would span two gateways")
    for step in range(plan.steps):
        moment = (plan.first + step * EVERY).isoformat()
        for station in range(1, plan.stations + 1, plan.per_message):
            gauges = range(station, min(station + plan.per_message, plan.stations + 1))
            readings = [
                {"station": station_of(n), "metric": "rain", "time": moment, "value": rain(n, step)}
                for n in gauges
            ]
            yield (
                topic_of(station, plan.root),
                msgspec.json.encode(readings if plan.per_message > 1 else readings[0]),
            )


def packets(plan: Plan) -> list[bytes]:
    return [
        mqtt5.PublishPacket(
            topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=nth % _MOST_PACKET_IDS + 1
        ).write()
        for nth, (topic, payload) in enumerate(messages(plan))
    ]


class _Field(asyncio.Protocol):
    """Keeps as many messages under way as the plan and the broker allow."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._packets = packets(plan)
        self._window = 0
        self._sent = 0
        self._acknowledged = 0
        self._began_s = 0.0
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[Published] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(
            mqtt5.ConnectPacket(
                f"bench-load-{os.getpid()}",
                username=self._plan.user,
                password=self._plan.password.encode() if self._plan.password is not None else None,
                clean_start=True,
                keep_alive=600,
            ).write()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        consumed = 0
        with memoryview(self._buffer) as view:
            try:
                while True:
                    packet, size = mqtt5.read(view[consumed:])
                    consumed += size
                    self._take(packet)
            except IndexError:
                pass  # the rest of this packet is still on its way
        del self._buffer[:consumed]
        self._send_due()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the broker closed the connection"))

    def _take(self, packet: object) -> None:
        match packet:
            case mqtt5.ConnAckPacket():
                if packet.reason_code is not mqtt5.ConnAckReasonCode.SUCCESS:
                    raise ConnectionRefusedError(f"the broker refused us: {packet.reason_code.name}")
                self._window = min(self._plan.window, packet.receive_max)
                self._began_s = time.monotonic()
                self._tick()
            case mqtt5.PubAckPacket():
                if packet.reason_code is not mqtt5.PubAckReasonCode.SUCCESS:
                    raise ConnectionError(f"nobody took a message: {packet.reason_code.name}")
                self._acknowledged += 1
            case _:
                raise ConnectionError(f"the broker sent {packet!r}")

    def _tick(self) -> None:
        self._send_due()
        if self._plan.rate and not self.done.done():
            asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _send_due(self) -> None:
        due = len(self._packets)
        if self._plan.rate:
            passed_s = time.monotonic() - self._began_s
            due = min(due, int(passed_s * self._plan.rate / self._plan.per_message) + 1)
        end = min(due, self._acknowledged + self._window)
        if end > self._sent and self._transport is not None:
            self._transport.write(b"".join(self._packets[self._sent : end]))
            self._sent = end
        if self._acknowledged == len(self._packets) and not self.done.done():
            self.done.set_result(Published(self._began_s, time.monotonic(), time.process_time()))


async def publish(plan: Plan) -> Published:
    """Raises OSError when the broker ends it, TimeoutError when it takes far longer than planned."""
    loop = asyncio.get_running_loop()
    expected_s = plan.readings / plan.rate if plan.rate else plan.readings / 500
    async with asyncio.timeout(expected_s + _SILENCE_S):
        transport, field = await loop.create_connection(lambda: _Field(plan), plan.host, plan.port)
        try:
            return await field.done
        finally:
            if not transport.is_closing():
                transport.write(mqtt5.DisconnectPacket().write())
                transport.close()


async def in_process_of_its_own(plan: Plan) -> Published:
    """What `publish` returns, from a process that shares nothing with the caller."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load", msgspec.json.encode(plan).decode()),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise SystemExit(f"the load ended with {process.returncode}")
    return msgspec.json.decode(said, type=Published)


if __name__ == "__main__":
    published = uvloop.run(publish(msgspec.json.decode(sys.argv[1], type=Plan)))
    sys.stdout.write(msgspec.json.encode(published).decode() + "\n")
