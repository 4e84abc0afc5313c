"""The embedded broker behind its gate, with clients that are not ours."""

import asyncio
import ssl
from contextlib import suppress
from itertools import count
from pathlib import Path

import aiomqtt
import msgspec
import psutil
import pytest

from services.embedded import gate
from services.embedded.broker import broker
from services.embedded.gate import GateConfig
from services.embedded.ports import free_port
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


async def every_process_has_looked() -> None:
    """Each process of the gate looks at the files once a second, for itself."""
    await asyncio.sleep(2 * gate.RELOAD_S)


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

        await every_process_has_looked()
        assert [await refused() for _ in range(4)] == [True] * 4
        async with gateway(guarded) as again:
            await again.publish(f"tongluo/v1/{ONE}/readings", b"x", qos=1)
        # One that is new in the registry comes in, and goes with it.
        county = read_folder(COUNTY)
        more = {**county.gateways, "QT-GW-NEW": Gateway("QT-GW-NEW", "", "Qingtian/edge-9")}
        assert guarded.generate(county=msgspec.structs.replace(county, gateways=more)).new == ["QT-GW-NEW"]
        await every_process_has_looked()
        assert guarded.publish("spBv1.0/Qingtian/NDATA/edge-9", "x", user="QT-GW-NEW") == 0
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


@pytest.mark.parametrize("tls", [False, True])
def test_beyond_loopback_there_is_no_plain_text_where_there_is_tls(
    guarded: Guarded, tmp_path: Path, tls: bool
) -> None:
    # Another address of this machine stands for one that others reach.
    given = guarded.broker.config.tls
    assert given is not None
    shown = msgspec.structs.replace(given, port=free_port()) if tls else None
    config = GateConfig("127.0.0.2", free_port(), free_port(), shown, str(guarded.identities))
    with broker(tmp_path, config) as running:
        main = psutil.Process(running.pid)
        found = {
            (place.laddr.ip, place.laddr.port)
            for process in (main, *main.children())
            for place in process.net_connections("tcp")
            if place.status == psutil.CONN_LISTEN
        }
    inside = {("127.0.0.1", port) for door in running.doors for port in (door.port, door.port_v5)}
    where = "127.0.0.1" if tls else "127.0.0.2"
    outside = {(where, config.port), (where, config.port_v5)}
    assert found - inside == outside | ({("127.0.0.2", shown.port)} if shown is not None else set())
