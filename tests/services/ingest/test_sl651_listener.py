"""Telemetry stations on a real socket: what is acknowledged is kept, whatever the line does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.ingest.decoders import sl651
from services.ingest.decoders.sl651.frames import EOT, ETB, ETX, NAK, Frame, FrameReader, Packet, encode
from services.ingest.mqtt import Message
from services.ingest.observation import Observation
from services.ingest.sl651_listener import Bounds, Sl651Listener
from tests.conftest import until
from tests.services.ingest.decoders import sl651_goldens
from tongluo.errors import LogUnavailable
from tongluo.supervise import Pulse

NOW = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)
ORDINARY = Bounds()
TIMED = sl651_goldens.message("timed_32")
HOURLY = sl651_goldens.message("hourly_34")
KEEP_ALIVE = sl651_goldens.message("keep_alive_2f")


@dataclass
class Shelf:
    """Where messages are kept; the test says when and whether."""

    messages: list[Message] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    broken: bool = False

    async def keep(self, message: Message) -> None:
        self.asked += 1
        await self.open.wait()
        if self.broken:
            raise LogUnavailable("the log is away")
        self.messages.append(message)

    def values(self) -> list[tuple[str, float]]:
        found = [o for message in self.messages for o in sl651.decode(message.payload, message.received)]
        return [(o.metric, o.value) for o in found if isinstance(o, Observation)]


@asynccontextmanager
async def listening(
    bounds: Bounds = ORDINARY, now: Callable[[], datetime] = lambda: NOW
) -> AsyncIterator[tuple[Sl651Listener, Shelf, int]]:
    shelf = Shelf()
    shelf.open.set()
    listener = Sl651Listener("127.0.0.1", 0, shelf.keep, bounds=bounds, now=now)
    pulse = Pulse("sl651")
    task = asyncio.get_running_loop().create_task(listener.run(pulse))
    await pulse.ready.wait()
    assert listener.address is not None
    try:
        yield listener, shelf, listener.address[1]
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@dataclass
class Station:
    """A telemetry station's end of the line."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    frames: FrameReader = field(default_factory=FrameReader)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answers(self, number: int) -> list[Frame]:
        found: list[Frame] = []
        async with asyncio.timeout(10):
            while len(found) < number:
                data = await self.reader.read(4096)
                assert data, f"hung up after {len(found)} of {number} answers"
                found += [frame for frame in self.frames.feed(data) if isinstance(frame, Frame)]
        return found

    async def hung_up(self) -> bool:
        async with asyncio.timeout(10):
            try:
                return await self.reader.read(1) == b""
            except ConnectionResetError:
                return True


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Station]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Station(reader, writer)
    finally:
        writer.close()


async def test_a_report_is_kept_and_then_acknowledged() -> None:
    async with listening() as (_, shelf, port), connected(port) as station:
        shelf.open.clear()
        await station.send(TIMED)
        await until(lambda: shelf.asked == 1)
        shelf.open.set()
        [answer] = await station.answers(1)
        assert shelf.messages == [Message("tongluo/v1/0070512301/sl651", TIMED, NOW)]
        assert (answer.station, answer.centre, answer.function, answer.end) == ("0070512301", 5, 0x32, EOT)
        assert answer.body[:2] == b"\x7e\x7e", "the report's own serial number"


async def test_nothing_is_acknowledged_that_could_not_be_kept() -> None:
    async with listening() as (_, shelf, port):
        shelf.broken = True
        async with connected(port) as station:
            await station.send(TIMED)
            assert await station.hung_up()
        assert shelf.asked == 1
        shelf.broken = False
        async with connected(port) as station:  # the station sends it again
            await station.send(TIMED)
            await station.answers(1)
        assert [message.payload for message in shelf.messages] == [TIMED]


async def test_glued_and_split_frames_are_acknowledged_one_by_one() -> None:
    async with listening() as (_, shelf, port), connected(port) as station:
        await station.send(KEEP_ALIVE + TIMED + HOURLY + TIMED[:30])
        assert [answer.function for answer in await station.answers(2)] == [0x32, 0x34]
        for at in range(30, len(TIMED)):
            await station.send(TIMED[at : at + 1])
            await asyncio.sleep(0)
        await station.answers(1)
        assert [message.payload for message in shelf.messages] == [KEEP_ALIVE, TIMED, HOURLY, TIMED]


async def test_a_connection_cut_in_mid_frame_leaves_what_came_in_quarantine_and_nothing_acknowledged() -> (
    None
):
    async with listening() as (_, shelf, port):
        async with connected(port) as station:
            await station.send(TIMED + HOURLY[:50])
            assert len(await station.answers(1)) == 1
        await until(lambda: len(shelf.messages) == 2)
        assert [message.payload for message in shelf.messages] == [TIMED, HOURLY[:50]]
        async with connected(port) as station:
            await station.send(HOURLY)
            await station.answers(1)
        assert ("rain", 2.0) in shelf.values()


async def test_a_connection_that_is_reset_harms_nobody() -> None:
    async with listening() as (_, _, port):
        async with connected(port) as station, connected(port) as neighbour:
            await station.send(TIMED[:20])
            station.writer.transport.abort()
            await neighbour.send(HOURLY)
            assert len(await neighbour.answers(1)) == 1


async def test_half_a_frame_does_not_hold_back_the_next() -> None:
    async with listening(Bounds(stalled_s=0.2)) as (_, shelf, port), connected(port) as station:
        # A frame cut off on its way, and whole ones behind it which its length would swallow.
        long = encode(Frame(5, "0070512301", 0, 0x32, False, None, bytes(4000), ETX, b""))
        await station.send(long[:40] + TIMED)
        [answer] = await station.answers(1)
        assert answer.function == 0x32
        assert [message.payload for message in shelf.messages] == [long[:40], TIMED]


async def test_a_lost_packet_is_asked_for_and_the_whole_acknowledged_once() -> None:
    body = bytes.fromhex("0011260701103005F1F1007051230148F0F026070110303923") + bytes.fromhex("00012345")
    parts = [body[:10], body[10:20], body[20:]]
    first, second, third = (
        encode(Frame(5, "0070512301", 9, 0x31, False, Packet(3, n), part, ETX if n == 3 else ETB, b""))
        for n, part in enumerate(parts, 1)
    )
    async with listening() as (_, shelf, port), connected(port) as station:
        await station.send(first + second[:-1] + b"\x00" + third)
        [asked] = await station.answers(1)
        assert (asked.packet, asked.end) == (Packet(3, 2), NAK)
        assert ("water_level", 12.345) not in shelf.values()
        await station.send(second)
        [answer] = await station.answers(1)
        assert (answer.packet, answer.end, answer.body[:2]) == (Packet(3, 3), EOT, b"\x00\x11")
        assert ("water_level", 12.345) in shelf.values()


async def test_a_line_that_speaks_something_else_is_hung_up_on() -> None:
    async with listening(Bounds(refused_bytes=20_000)) as (_, shelf, port), connected(port) as station:
        await station.send(b"GET / HTTP/1.1\r\n" * 4000)
        assert await station.hung_up()
        assert sum(len(message.payload) for message in shelf.messages) <= 20_000 + 16 * 1024
        assert {message.topic for message in shelf.messages} == {"tongluo/v1/127.0.0.1/sl651"}


async def test_silence_ends_a_connection() -> None:
    async with listening(Bounds(idle_s=0.2)) as (_, _, port), connected(port) as station:
        assert await station.hung_up()


async def test_no_more_connections_are_taken_than_there_is_room_for() -> None:
    async with listening(Bounds(connections=1, refused_bytes=0)) as (_, _, port):
        async with connected(port) as first:
            await first.send(TIMED)
            await first.answers(1)
            async with connected(port) as second:
                assert await second.hung_up()
            await first.send(HOURLY)
            await first.answers(1)
            await first.send(b"goodbye" * 10_000)
            assert await first.hung_up()
        async with connected(port) as third:
            await third.send(TIMED)
            assert len(await third.answers(1)) == 1, "its place is free again"


async def test_stopping_ends_connections_and_leaves_what_is_not_kept_unacknowledged() -> None:
    async with listening() as (_, shelf, port):
        shelf.open.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        station = Station(reader, writer)
        await station.send(TIMED)
        await until(lambda: shelf.asked == 1)
    assert await station.hung_up()
    assert shelf.messages == []
    writer.close()
