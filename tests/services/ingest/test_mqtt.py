"""The MQTT client against a real broker: nothing acknowledged is lost, nothing unacknowledged is forgotten."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from uuid import uuid4

import aiomqtt
import pytest

from services.embedded.broker import EmbeddedBroker
from services.embedded.ports import free_port
from services.ingest.mqtt import RECEIVE_MAX, Broker, FieldConnection, Message, subscribe

_names = count(1)


def broker(record: EmbeddedBroker, name: str | None = None) -> Broker:
    door = record.private
    return Broker("127.0.0.1", door.port_v5, name or f"ingest-{next(_names)}", door.user, door.secret)


async def take(field: FieldConnection, wanted: int) -> list[Message]:
    found: list[Message] = []
    async with asyncio.timeout(10):
        while len(found) < wanted:
            found += await field.batch(100)
    return found


async def publish(record: EmbeddedBroker, topic: str, *payloads: bytes) -> None:
    async with aiomqtt.Client("127.0.0.1", record.port) as client:
        for payload in payloads:
            await client.publish(topic, payload, qos=1)


async def test_what_is_not_acknowledged_comes_again(mqtt: EmbeddedBroker) -> None:
    us, topic = broker(mqtt), f"tongluo/v1/t{next(_names)}/a"
    async with subscribe(us, [topic]) as field:
        await publish(mqtt, topic, *(str(n).encode() for n in range(10)))
        found = await take(field, 10)
        field.acknowledge(found[:4])
    await publish(mqtt, topic, b"while away")
    async with subscribe(us, [topic]) as field:
        again = await take(field, 7)
        assert {m.payload for m in again} == {*(str(n).encode() for n in range(4, 10)), b"while away"}
        field.acknowledge(again)
        # Without this the broker may see us come back before it has read what we said last.
        await field.answered()
    async with subscribe(us, [topic]) as field:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await field.batch(1)


async def test_a_megabyte_comes_through(mqtt: EmbeddedBroker) -> None:
    topic = f"tongluo/v1/t{next(_names)}/a"
    async with subscribe(broker(mqtt), [topic]) as field:
        await publish(mqtt, topic, b"x" * 1_000_000, b"next")
        found = await take(field, 2)
    assert [len(m.payload) for m in found] == [1_000_000, 4]


async def test_no_broker_is_an_os_error() -> None:
    with pytest.raises(OSError, match="Connect"):
        async with subscribe(Broker("127.0.0.1", free_port(), "nobody"), ["a"]):
            pass


async def test_a_server_that_speaks_no_mqtt_is_told() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError, match=r"not MQTT|closed"):
            async with subscribe(Broker("127.0.0.1", port, "x"), ["a"]):
                pass


async def test_a_broker_that_goes_away_ends_the_wait(mqtt: EmbeddedBroker) -> None:
    ours: list[asyncio.StreamWriter] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ours.append(writer)
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", mqtt.port_v5)
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(reader, upstream))
            group.create_task(_pump(upstream_reader, writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with subscribe(Broker("127.0.0.1", port, "cut"), ["tongluo/v1/cut/a"]) as field:
        waiting = asyncio.ensure_future(field.batch(1))
        await asyncio.sleep(0)
        server.close()
        for writer in ours:
            writer.transport.abort()
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(5):
                await waiting


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


@pytest.mark.parametrize("kind", ["embedded", "mosquitto"])
async def test_what_is_held_is_bounded_while_nothing_is_acknowledged(
    mqtt: EmbeddedBroker, stack: Callable[[str], str], kind: str
) -> None:
    """As when the log is slow or away: the rest waits at the broker, and comes when there is room."""
    port, us, topic = mqtt.port, broker(mqtt, f"bounded-{uuid4()}"), f"tongluo/v1/t{uuid4()}/a"
    if kind == "mosquitto":
        port = int(stack("mqtt").rpartition(":")[2])
        us = Broker("127.0.0.1", port, us.client_id)
    wanted = 2 * RECEIVE_MAX + 100
    async with subscribe(us, [topic]) as field:
        await publish_fast(port, topic, wanted)
        held: list[Message] = []
        with suppress(TimeoutError):
            while True:
                async with asyncio.timeout(1.0):
                    held += await field.batch(500)
        assert 0 < len(held) <= RECEIVE_MAX
        found = {message.payload for message in held}
        field.acknowledge(held)
        while len(found) < wanted:
            async with asyncio.timeout(10):
                more = await field.batch(500)
            found |= {message.payload for message in more}
            field.acknowledge(more)
        field.end_session()


async def publish_fast(port: int, topic: str, number: int) -> None:
    async with aiomqtt.Client("127.0.0.1", port) as client:
        for start in range(0, number, 200):
            async with asyncio.TaskGroup() as group:
                for n in range(start, min(number, start + 200)):
                    group.create_task(client.publish(topic, b"%d" % n, qos=1))
