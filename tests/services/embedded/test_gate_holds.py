"""The gate under what nobody should send, clients that do not listen, and deaths of its own."""

import asyncio
import os
import signal
import time
from contextlib import suppress

import mqtt5
import psutil
import pytest

from services.embedded import visit
from tests.conftest import until
from tests.services.embedded.conftest import Guarded
from tests.services.embedded.test_gate import ONE, OTHER, VERSIONS, gateway

pytestmark = [pytest.mark.mosquitto, pytest.mark.openssl]


async def test_everything_at_once_and_byte_by_byte(guarded: Guarded) -> None:
    password = guarded.passwords()[ONE].encode()
    # Without keep-alive, for which the broker behind the gate would end the connection.
    data = mqtt5.ConnectPacket("any", username=ONE, password=password, clean_start=True, keep_alive=0).write()
    data += b"".join(
        mqtt5.PublishPacket(
            f"tongluo/v1/{who}/readings", b"x", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=n
        ).write()
        for n, who in enumerate([ONE, OTHER, ONE], start=1)
    )
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        reader, writer = await asyncio.open_connection("127.0.0.1", guarded.broker.port)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        codes: dict[int, int] = {}
        buffer = b""
        async with asyncio.timeout(10):
            while len(codes) < 3:
                got = await reader.read(1000)
                assert got
                buffer += got
                while buffer:
                    try:
                        packet, size = mqtt5.read(memoryview(buffer))
                    except IndexError:
                        break
                    buffer = buffer[size:]
                    if isinstance(packet, mqtt5.PubAckPacket):
                        codes[packet.packet_id] = packet.reason_code.value
        assert {number: code for number, code in codes.items() if code >= 128} == {2: 0x87}
        writer.close()


async def test_who_says_nothing_or_nonsense_does_not_stay(guarded: Guarded) -> None:
    began = time.monotonic()
    silent, silent_writer = await asyncio.open_connection("127.0.0.1", guarded.broker.port)
    for nonsense in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\x7f",
        b"\x10\xff\xff\xff\xff",
        b"\xc0\x00",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", guarded.broker.port)
        writer.write(nonsense)
        async with asyncio.timeout(5):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()
    async with asyncio.timeout(visit.CONNECT_S + 5):
        with suppress(ConnectionResetError):
            assert await silent.read() == b""
    assert time.monotonic() - began >= visit.CONNECT_S - 1
    silent_writer.close()


async def test_refusals_do_not_fill_the_log(guarded: Guarded) -> None:
    before = len(guarded.log.splitlines())
    async with gateway(guarded, protocol=VERSIONS[1]) as one:
        for _ in range(300):
            await one.publish(f"tongluo/v1/{OTHER}/readings", b"x", qos=1)
    assert len(guarded.log.splitlines()) - before < 10


async def test_a_slow_reader_costs_no_memory(guarded: Guarded) -> None:
    main = psutil.Process(guarded.broker.pid)
    gates = main.children()
    assert len(gates) == 2

    def resident() -> int:
        return max(gate.memory_info().rss for gate in gates)

    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.broker.port, limit=1024)
    user = "tongluo-ingest"
    writer.write(
        mqtt5.ConnectPacket(
            "slow", username=user, password=guarded.passwords()[user].encode(), keep_alive=60
        ).write()
        + mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("tongluo/v1/+/readings")]).write()
    )
    await reader.readexactly(10)
    writer.transport.pause_reading()
    async with gateway(guarded) as one:
        await one.publish(f"tongluo/v1/{ONE}/readings", b"x" * 1_000_000, qos=1)
        before = resident()
        for _ in range(60):
            await one.publish(f"tongluo/v1/{ONE}/readings", b"x" * 1_000_000, qos=0)
        await one.publish(f"tongluo/v1/{ONE}/readings", b"", qos=1)
    assert resident() - before < 20_000_000
    writer.transport.abort()


async def test_a_gate_that_dies_is_started_again_and_none_is_left_behind(guarded: Guarded) -> None:
    main = psutil.Process(guarded.broker.pid)
    first, second = main.children()
    first.kill()

    def others() -> set[int]:
        return {child.pid for child in main.children() if child.status() != psutil.STATUS_ZOMBIE} - {
            first.pid
        }

    await until(lambda: len(others()) == 2)
    for _ in range(4):
        assert guarded.publish(f"tongluo/v1/{ONE}/readings", "x", user=ONE) == 0
    children = [*main.children(), second]
    os.kill(main.pid, signal.SIGKILL)
    await until(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))
    await asyncio.to_thread(guarded.broker.start)
    assert guarded.publish(f"tongluo/v1/{ONE}/readings", "x", user=ONE) == 0
