"""The embedded broker behind its gate, with clients that are not ours."""

import asyncio
import os
import signal
import ssl
import time
from contextlib import suppress
from itertools import count

import aiomqtt
import mqtt5
import msgspec
import psutil
import pytest

from services.embedded import gate, visit
from services.ingest.mqtt import FieldConnection, subscribe
from tests.conftest import until
from tests.deploy.mosquitto import COUNTY, make_certificates
from tests.services.embedded.conftest import Guarded
from tongluo.county_folder import read_folder
from tongluo.region import Gateway

pytestmark = [pytest.mark.mosquitto, pytest.mark.openssl]

ONE, OTHER = "QT-GW-205", "QT-GW-201"
EVERYTHING = ("tongluo/#", "spBv1.0/#", "x/#")
VERSIONS = [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5]
_names = count(1)


def ingest(guarded: Guarded) -> "aiomqtt.Client":
    """Everything that reaches the broker, by the door of our own."""
    door = guarded.broker.private
    return aiomqtt.Client(
        "127.0.0.1", door.port_v5, username=door.user, password=door.secret, protocol=VERSIONS[1]
    )


def gateway(guarded: Guarded, user: str = ONE, **given: object) -> aiomqtt.Client:
    known = {
        "port": guarded.broker.port,
        "username": user,
        "password": guarded.passwords().get(user),
        "timeout": 5,
    }
    return aiomqtt.Client("localhost", **{**known, **given})  # type: ignore[arg-type]


async def take(field: FieldConnection, last: bytes) -> list[tuple[str, bytes]]:
    """What reached the broker, up to and without the message `last`."""
    found: list[tuple[str, bytes]] = []
    async with asyncio.timeout(10):
        while True:
            for message in (batch := await field.batch(100)):
                if message.payload == last:
                    field.acknowledge(batch)
                    return found
                found.append((message.topic, message.payload))
            field.acknowledge(batch)


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
async def test_a_gateway_publishes_under_its_own_id_only(guarded: Guarded, version: str) -> None:
    async with subscribe(guarded.ingest(f"internal:{next(_names)}"), EVERYTHING) as field:
        for topic in (
            f"tongluo/v1/{OTHER}/readings",
            "tongluo/v1/tongluo-ingest/readings",
            "x/y",
            "spBv1.0/a/NDATA/b",
        ):
            ran = await asyncio.to_thread(
                guarded.run, "mosquitto_pub", "-t", topic, "-m", "forged", "-V", version, user=ONE
            )
            # 3.1.1 has no word for it: the connection ends. Never does it look sent.
            told = "Not authorized" in ran.stderr if version == "mqttv5" else ran.returncode != 0
            assert told, (topic, ran)
        for port in (guarded.broker.port, guarded.broker.port_v5):
            own = f"tongluo/v1/{ONE}/readings"
            assert (
                await asyncio.to_thread(guarded.publish, own, "mine", "-V", version, user=ONE, port=port) == 0
            )
        assert await asyncio.to_thread(guarded.publish, f"tongluo/v1/{OTHER}/status", "end", user=OTHER) == 0
        assert await take(field, b"end") == [(f"tongluo/v1/{ONE}/readings", b"mine")] * 2
    assert f"refused gateway {ONE}" in guarded.log


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
def test_who_has_no_password_is_refused(guarded: Guarded, version: str) -> None:
    own = f"tongluo/v1/{ONE}/readings"
    for who in (
        ["-u", ONE, "-P", "wrong"],
        ["-u", ONE, "-P", guarded.passwords()[OTHER]],
        ["-u", ONE, "-P", "x" * 5000],
        ["-u", ONE],
        ["-u", "QT-GW-999", "-P", guarded.passwords()[ONE]],
        [],
    ):
        ran = guarded.run("mosquitto_pub", "-t", own, "-m", "x", "-V", version, *who)
        assert ran.returncode != 0, who
        assert "Connection" in ran.stderr, ran
    assert guarded.publish(own, "x", "-V", version, user=ONE) == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_gateway_hears_its_own_commands_only(
    guarded: Guarded, version: aiomqtt.ProtocolVersion
) -> None:
    commands = f"tongluo/v1/{ONE}/commands"
    async with gateway(guarded, protocol=version) as one, ingest(guarded) as us:
        for forbidden in (
            "#",
            "tongluo/v1/+/commands",
            f"tongluo/v1/{OTHER}/commands",
            "$share/g/tongluo/v1/+/readings",
        ):
            [granted] = await one.subscribe(forbidden, qos=1)
            code = getattr(granted, "value", granted)
            assert code >= 128, (forbidden, granted)
        await one.subscribe(commands, qos=1)
        await us.publish(f"tongluo/v1/{OTHER}/commands", b"for another", qos=1)
        await us.publish(f"tongluo/v1/{OTHER}/readings", b"of another", qos=1)
        await us.publish(commands, b"for us", qos=1)
        async with asyncio.timeout(10):
            heard = await anext(one.messages)
        assert (str(heard.topic), heard.payload) == (commands, b"for us")
        await us.subscribe(f"{commands}/+", qos=1)
        await one.publish(f"{commands}/1", b"done", qos=1)
        async with asyncio.timeout(10):
            assert (await anext(us.messages)).payload == b"done"


async def test_a_will_is_a_publication(guarded: Guarded) -> None:
    for version in VERSIONS:
        with pytest.raises(aiomqtt.MqttError):
            async with gateway(
                guarded, will=aiomqtt.Will(f"tongluo/v1/{OTHER}/status", b"forged", 1), protocol=version
            ):
                pass
    topic = f"tongluo/v1/{ONE}/status"
    async with ingest(guarded) as us:
        await us.subscribe("tongluo/v1/+/status", qos=1)
        for version in VERSIONS:
            async with gateway(guarded, will=aiomqtt.Will(topic, b"gone", 1), protocol=version) as one:
                # The power goes: the socket ends without a word.
                one._client.socket().shutdown(2)
                async with asyncio.timeout(10):
                    heard = await anext(us.messages)
                assert (str(heard.topic), heard.payload) == (topic, b"gone")
                with suppress(aiomqtt.MqttError):
                    await one.publish(topic, b"x")


async def test_no_session_can_be_taken_over(guarded: Guarded) -> None:
    us = guarded.ingest("internal:kept")
    async with subscribe(us, EVERYTHING):
        pass
    assert guarded.publish(f"tongluo/v1/{ONE}/readings", "kept", user=ONE) == 0
    async with gateway(guarded, identifier=ONE) as one:
        for name in ("internal:kept", ONE):
            async with gateway(guarded, OTHER, identifier=name, clean_session=False) as thief:
                await thief.publish(f"tongluo/v1/{OTHER}/status", b"", qos=1)
        await one.publish(f"tongluo/v1/{ONE}/status", b"still here", qos=1)
    async with subscribe(us, EVERYTHING) as field:
        assert guarded.publish(f"tongluo/v1/{ONE}/readings", "end", user=ONE) == 0
        assert (f"tongluo/v1/{ONE}/readings", b"kept") in await take(field, b"end")


async def test_over_tls_with_a_password_or_a_certificate(guarded: Guarded) -> None:
    config = guarded.broker.config
    assert config.tls is not None
    port, ca = config.tls.port, str(guarded.certificates / "ca.crt")
    own = f"tongluo/v1/{ONE}/readings"
    make_certificates(guarded.certificates, "--client", ONE, "QT-GW-999")
    make_certificates(guarded.folder / "elsewhere", "localhost")
    make_certificates(guarded.folder / "elsewhere", "--client", ONE)

    def certificate(name: str, folder: str = "tls") -> list[str]:
        at = guarded.folder / folder / "clients" / name
        return ["--cafile", ca, "--cert", f"{at}.crt", "--key", f"{at}.key"]

    async with subscribe(guarded.ingest(f"internal:{next(_names)}"), EVERYTHING) as field:
        assert guarded.publish(own, "password", "--cafile", ca, user=ONE, port=port) == 0
        assert guarded.publish(own, "certificate", *certificate(ONE), port=port) == 0
        assert guarded.publish(own, "v5", *certificate(ONE), "-V", "mqttv5", port=port) == 0
        assert guarded.publish(own, "both", *certificate(ONE), "-u", ONE, port=port) == 0
        other = f"tongluo/v1/{OTHER}/readings"
        assert guarded.publish(other, "another's", *certificate(ONE), port=port) != 0
        for topic in (own, other):
            assert guarded.publish(topic, "two identities", *certificate(ONE), user=OTHER, port=port) != 0
        assert guarded.publish(own, "not registered", *certificate("QT-GW-999"), port=port) != 0
        assert guarded.publish(own, "of another authority", *certificate(ONE, "elsewhere"), port=port) != 0
        assert guarded.publish(own, "none", "--cafile", ca, port=port) != 0
        assert guarded.publish(own, "plain", user=ONE, port=port) != 0
        assert guarded.publish(own, "end", user=ONE) == 0
        assert [p for _, p in await take(field, b"end")] == [b"password", b"certificate", b"v5", b"both"]


async def test_a_new_server_certificate_needs_no_restart(guarded: Guarded) -> None:
    config = guarded.broker.config
    assert config.tls is not None
    port, context = config.tls.port, ssl.create_default_context(cafile=guarded.certificates / "ca.crt")

    async def number() -> str:
        _, writer = await asyncio.open_connection("localhost", port, ssl=context)
        found = str(writer.get_extra_info("peercert")["serialNumber"])
        writer.close()
        return found

    before = await number()
    make_certificates(guarded.certificates, "localhost")

    async def renewed() -> bool:
        # Each process of the gate looks for itself.
        return before not in [await number() for _ in range(6)]

    await until(renewed)


async def test_credentials_change_without_a_restart_and_disturb_nobody(guarded: Guarded) -> None:
    before = guarded.passwords()
    async with gateway(guarded) as one, gateway(guarded, OTHER) as other:
        assert guarded.generate(ONE).rotated == [ONE]
        with pytest.raises(aiomqtt.MqttError):
            async with asyncio.timeout(10):
                await anext(one.messages)
        await other.publish(f"tongluo/v1/{OTHER}/readings", b"undisturbed", qos=1)

        async def refused() -> bool:
            try:
                async with gateway(guarded, password=before[ONE]):
                    return False
            except aiomqtt.MqttError:
                return True

        # Each process of the gate looks once a second.
        await asyncio.sleep(gate.RELOAD_S + 0.5)
        assert [await refused() for _ in range(4)] == [True] * 4
        async with gateway(guarded) as again:
            await again.publish(f"tongluo/v1/{ONE}/readings", b"x", qos=1)
        # One that is new in the registry comes in, and goes with it.
        county = read_folder(COUNTY)
        more = {**county.gateways, "QT-GW-NEW": Gateway("QT-GW-NEW", "", "Qingtian/edge-9")}
        assert guarded.generate(county=msgspec.structs.replace(county, gateways=more)).new == ["QT-GW-NEW"]
        await until(lambda: guarded.publish("spBv1.0/Qingtian/NDATA/edge-9", "x", user="QT-GW-NEW") == 0)
        async with gateway(guarded, "QT-GW-NEW") as new:
            guarded.generate()
            with pytest.raises(aiomqtt.MqttError):
                async with asyncio.timeout(10):
                    await anext(new.messages)
        # What cannot be read is not taken up.
        acl = guarded.identities / "acl"
        text = acl.read_text()
        acl.write_text("user\n")
        await until(lambda: "not taken up" in guarded.log)
        async with gateway(guarded) as same:
            await same.publish(f"tongluo/v1/{ONE}/readings", b"x", qos=1)
        acl.write_text(text)
        await other.publish(f"tongluo/v1/{OTHER}/readings", b"undisturbed", qos=1)


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
