"""What a gateway may do at the broker of the field, and what nobody may."""

import asyncio
import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import aiomqtt
import mqtt5
import msgspec
import psutil
import pytest

from services import access
from services.access import hashed
from services.doctor import examine
from services.identities import passwords, update
from services.ingest.mqtt import FieldConnection, adopt, subscribe
from services.ingest.service import FILTERS
from services.settings import Settings, mqtt_address
from tests.conftest import running, settings, until
from tests.deploy.mosquitto import COUNTY, ROOT, Mosquitto, make_certificates, mosquitto
from tests.services.test_cli import tongluo
from tongluo.county_folder import read_folder
from tongluo.errors import MissingPartError, SettingsError
from tongluo.region import Gateway

pytestmark = [pytest.mark.mosquitto, pytest.mark.broker, pytest.mark.openssl]

ONE, OTHER = "QT-GW-205", "QT-GW-201"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path) as made:
        yield made


async def take(field: FieldConnection, last: bytes) -> list[tuple[str, bytes]]:
    """What ingest gets, up to and without the message `last`; all of it acknowledged."""
    found: list[tuple[str, bytes]] = []
    async with asyncio.timeout(10):
        while True:
            for message in (batch := await field.batch(10)):
                if message.payload == last:
                    field.acknowledge(batch)
                    return found
                found.append((message.topic, message.payload))
            field.acknowledge(batch)


async def publish(broker: Mosquitto, topic: str, payload: str, *more: str, user: str = ONE) -> int:
    return await asyncio.to_thread(
        broker.publish, topic, payload, *more, user=user, password=broker.passwords()[user]
    )


async def test_a_gateway_publishes_under_its_own_id_only(broker: Mosquitto) -> None:
    async with subscribe(broker.ingest(), FILTERS) as field:
        for topic in (
            f"tongluo/v1/{OTHER}/readings",
            "tongluo/v1/tongluo-ingest/readings",
            f"tongluo/v1/{ONE}x/readings",
        ):
            # MQTT 3.1.1 has no word for "not allowed": it looks sent.
            await publish(broker, topic, "forged")
        await publish(broker, f"tongluo/v1/{ONE}/readings", "mine")
        await publish(broker, f"tongluo/v1/{ONE}/status", "end")
        assert await take(field, b"end") == [(f"tongluo/v1/{ONE}/readings", b"mine")]


async def test_who_has_no_password_is_refused(broker: Mosquitto) -> None:
    known = broker.passwords()
    for user, password in (
        (ONE, "wrong"),
        (ONE, known[OTHER]),
        (ONE, ""),
        ("QT-GW-999", known[ONE]),
        ("", ""),
    ):
        assert broker.publish("tongluo/v1/a/readings", "x", user=user, password=password) == 5, user
    for port in (broker.tls_port, broker.plain_port):
        context = ssl.create_default_context(cafile=broker.ca) if port == broker.tls_port else None
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client("localhost", port, tls_context=context):
                pass


async def test_nothing_is_offered_in_plain_text_beyond_loopback(broker: Mosquitto) -> None:
    text = (ROOT / "deploy/mosquitto/tongluo.conf").read_text("utf-8")
    _, *listeners = re.split(r"^listener ", text, flags=re.MULTILINE)
    beyond = [words for words in listeners if not words.splitlines()[0].endswith(" 127.0.0.1")]
    assert len(beyond) == 1
    assert re.search(r"^certfile \S+\nkeyfile \S+$", beyond[0], flags=re.MULTILINE)
    # And there is no other door than those.
    assert broker.process is not None
    connections = psutil.Process(broker.process.pid).net_connections("tcp")
    open_ports = {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
    assert open_ports == {broker.tls_port, broker.plain_port}
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.tls_port)
    writer.write(mqtt5.ConnectPacket(ONE, username=ONE, password=broker.passwords()[ONE].encode()).write())
    answer = b""
    with suppress(ConnectionResetError):
        answer = await reader.read()
    assert not answer.startswith(b"\x20"), "it took a CONNECT that was not encrypted"
    writer.close()


async def test_a_gateway_hears_its_own_commands_only(broker: Mosquitto) -> None:
    context = ssl.create_default_context(cafile=broker.ca)
    known = broker.passwords()
    async with (
        aiomqtt.Client(
            "localhost", broker.tls_port, username=ONE, password=known[ONE], tls_context=context
        ) as gateway,
        aiomqtt.Client(
            "127.0.0.1", broker.plain_port, username="tongluo-ingest", password=known["tongluo-ingest"]
        ) as ingest,
    ):
        for everything in ("#", "$SYS/#", f"tongluo/v1/{OTHER}/+"):
            await gateway.subscribe(everything, qos=1)
        await publish(broker, f"tongluo/v1/{OTHER}/readings", "of another", user=OTHER)
        await ingest.publish(f"tongluo/v1/{OTHER}/commands", b"for another", qos=1)
        await ingest.publish(f"tongluo/v1/{ONE}/commands", b"for us", qos=1)
        async with asyncio.timeout(10):
            heard = await anext(gateway.messages)
    assert (str(heard.topic), heard.payload) == (f"tongluo/v1/{ONE}/commands", b"for us")


async def test_ingest_hears_answers_to_commands_from_their_own_gateway_only(broker: Mosquitto) -> None:
    async with aiomqtt.Client(
        "127.0.0.1",
        broker.plain_port,
        username="tongluo-ingest",
        password=broker.passwords()["tongluo-ingest"],
    ) as ingest:
        await ingest.subscribe("tongluo/v1/+/commands/+", qos=1)
        await publish(broker, f"tongluo/v1/{ONE}/commands/c-1", "forged", user=OTHER)
        await publish(broker, f"tongluo/v1/{ONE}/commands/c-1", "mine")
        async with asyncio.timeout(10):
            heard = await anext(ingest.messages)
    assert (str(heard.topic), heard.payload) == (f"tongluo/v1/{ONE}/commands/c-1", b"mine")


async def test_a_server_that_is_not_trusted_gets_no_password(broker: Mosquitto, tmp_path: Path) -> None:
    for given in ({"ca": None}, {"host": "127.0.0.1"}):
        with pytest.raises(ssl.SSLCertVerificationError):
            async with subscribe(broker.ingest(**given), FILTERS):
                pass
    with pytest.raises(OSError, match="TONGLUO_MQTT"):
        async with subscribe(broker.ingest(ca=tmp_path / "none.crt"), FILTERS):
            pass


async def test_a_gateway_cannot_take_the_session_of_ingest(broker: Mosquitto) -> None:
    async with subscribe(broker.ingest(), FILTERS):
        pass
    await publish(broker, f"tongluo/v1/{ONE}/readings", "kept")
    async with aiomqtt.Client(
        "127.0.0.1",
        broker.plain_port,
        username=OTHER,
        password=broker.passwords()[OTHER],
        identifier="tongluo-ingest",
        clean_session=False,
    ) as thief:
        # Answered: by then the broker has done with its CONNECT.
        await thief.publish(f"tongluo/v1/{OTHER}/status", b"", qos=1)
    async with subscribe(broker.ingest(), FILTERS) as field:
        await publish(broker, f"tongluo/v1/{ONE}/readings", "end")
        assert (f"tongluo/v1/{ONE}/readings", b"kept") in await take(field, b"end")


async def test_a_doctor_says_whether_the_broker_is_to_be_trusted(broker: Mosquitto, tmp_path: Path) -> None:
    address = f"mqtts://localhost:{broker.tls_port}"
    trusted = await examine(Settings(data=tmp_path, mqtt=f"{address}?ca={broker.ca}"))  # type: ignore[arg-type]
    stranger = await examine(Settings(data=tmp_path, mqtt=address))  # type: ignore[arg-type]
    for verdicts, well, words in (
        (trusted, True, "is trusted"),
        (stranger, False, "CERTIFICATE_VERIFY_FAILED"),
    ):
        [found] = [verdict for verdict in verdicts if verdict.part == "MQTT broker"]
        assert found.well is well
        assert words in found.words


async def test_what_waits_for_ingest_is_unbounded_and_survives_a_restart(broker: Mosquitto) -> None:
    async with subscribe(broker.ingest(), FILTERS):
        pass
    # More than Mosquitto keeps unless told, and one that ingest has to see in order to refuse it.
    sent = [*(b"%d" % n for n in range(1200)), b"x" * 600_000]
    async with aiomqtt.Client(
        "127.0.0.1", broker.plain_port, username=ONE, password=broker.passwords()[ONE]
    ) as gateway:
        for payload in sent:
            await gateway.publish(f"tongluo/v1/{ONE}/readings", payload, qos=1)
    broker.stop()
    broker.start()
    async with subscribe(broker.ingest(), FILTERS) as field:
        await publish(broker, f"tongluo/v1/{ONE}/readings", "end")
        assert [payload for _, payload in await take(field, b"end")] == sent


async def test_a_new_password_counts_without_a_restart_and_disturbs_nobody(broker: Mosquitto) -> None:
    before = broker.passwords()
    async with subscribe(broker.ingest(), FILTERS) as field:
        assert broker.generate(ONE).rotated == [ONE]
        after = broker.passwords()
        assert [user for user in before if before[user] != after[user]] == [ONE]
        broker.reload()
        await until(lambda: broker.publish("a", "x", user=ONE, password=before[ONE]) == 5)
        assert broker.publish(f"tongluo/v1/{ONE}/readings", "mine", user=ONE, password=after[ONE]) == 0
        await publish(broker, f"tongluo/v1/{OTHER}/readings", "end", user=OTHER)
        assert await take(field, b"end") == [(f"tongluo/v1/{ONE}/readings", b"mine")]


async def test_whose_password_was_changed_is_disconnected_and_nobody_else(broker: Mosquitto) -> None:
    before = broker.passwords()
    assert broker.process is not None

    def connected(user: str) -> aiomqtt.Client:
        return aiomqtt.Client("127.0.0.1", broker.plain_port, username=user, password=before[user])

    async with connected(ONE) as one, connected(OTHER) as other:
        ran = tongluo(
            *("admin", "mosquitto", "--out", str(broker.folder), "--county", str(COUNTY)),
            *("--rotate", ONE, "--reload", str(broker.process.pid)),
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        with pytest.raises(aiomqtt.MqttError):
            async with asyncio.timeout(10):
                await anext(one.messages)
        await other.publish(f"tongluo/v1/{OTHER}/readings", b"undisturbed", qos=1)
    with pytest.raises(aiomqtt.MqttError):
        async with connected(ONE):
            pass
    assert await publish(broker, f"tongluo/v1/{ONE}/readings", "x") == 0


async def test_a_certificate_stands_for_a_user(tmp_path: Path) -> None:
    with mosquitto(tmp_path, certificates=True) as broker:
        clients = broker.folder / "tls" / "clients"
        make_certificates(broker.folder / "tls", "--client", ONE, "tongluo-ingest", "QT-GW-999")
        make_certificates(tmp_path / "elsewhere", "localhost")
        make_certificates(tmp_path / "elsewhere", "--client", ONE)

        def send(topic: str, payload: str, certificate: Path | None) -> int:
            shown = (
                ["--cert", f"{certificate}.crt", "--key", f"{certificate}.key"]
                if certificate is not None
                else []
            )
            ran = subprocess.run(
                [
                    *("mosquitto_pub", "-h", "localhost", "-p", str(broker.certificate_port)),
                    *("--cafile", broker.ca, "-q", "1", "-t", topic, "-m", payload, *shown),
                ],
                timeout=20, capture_output=True, check=False,
            )  # fmt: skip
            return ran.returncode

        own = clients / "tongluo-ingest"
        who = {
            "port": broker.certificate_port,
            "user": None,
            "password": None,
            "cert": own.with_suffix(".crt"),
            "key": own.with_suffix(".key"),
        }
        async with subscribe(broker.ingest(**who), FILTERS) as field:
            assert send(f"tongluo/v1/{OTHER}/readings", "forged", clients / ONE) == 0
            assert send(f"tongluo/v1/{ONE}/readings", "not registered", clients / "QT-GW-999") == 0
            assert send(f"tongluo/v1/{ONE}/readings", "elsewhere", tmp_path / "elsewhere/clients" / ONE) != 0
            assert send(f"tongluo/v1/{ONE}/readings", "nobody", None) != 0
            assert send(f"tongluo/v1/{ONE}/readings", "mine", clients / ONE) == 0
            assert await publish(broker, f"tongluo/v1/{OTHER}/status", "end", user=OTHER) == 0
            assert await take(field, b"end") == [(f"tongluo/v1/{ONE}/readings", b"mine")]
        with pytest.raises(OSError, match="cert= and key="):
            async with subscribe(broker.ingest(**{**who, "key": broker.ca}), FILTERS):
                pass


def test_only_mosquitto_is_told_to_read_again(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("nothing")
    for given, words in (
        (str(os.getpid()), "not mosquitto"),
        (str(tmp_path / "none"), "no such process"),
        (str(tmp_path / "pid"), "no such process"),
    ):
        ran = tongluo(
            "admin", "mosquitto", "--out", str(tmp_path), "--county", str(COUNTY), "--reload", given
        )
        assert ran.returncode == 1
        assert words in ran.stderr
    assert not (tmp_path / "passwords").exists()


def test_an_edge_node_and_several_ingests_have_their_rights(tmp_path: Path) -> None:
    county = read_folder(COUNTY)
    edge = Gateway("QT-GW-EDGE", "", "Qingtian/edge-1")
    county = msgspec.structs.replace(county, gateways={**county.gateways, edge.id: edge})
    address = "mqtts://broker:8883?ca=/ca.crt"
    assert update(county, tmp_path, address=address, ingests=2).users[:3] == [
        "tongluo-ingest",
        "tongluo-ingest-0",
        "tongluo-ingest-1",
    ]
    assert "{client}:" in (tmp_path / "ingest.address").read_text()
    # As many as there are, unless told otherwise.
    assert update(county, tmp_path).written == []
    assert update(county, tmp_path, ingests=1).gone == ["tongluo-ingest-1"]
    rights = access.read_acl((tmp_path / "acl").read_text())[edge.id]
    assert rights.may_publish("spBv1.0/Qingtian/NDATA/edge-1")
    assert not rights.may_publish("spBv1.0/Qingtian/NDATA/edge-2")


async def test_the_program_takes_readings_over_tls(broker: Mosquitto, dsn: str, tmp_path: Path) -> None:
    who = f"tongluo-ingest:{broker.passwords()['tongluo-ingest']}"
    address = f"mqtts://{who}@localhost:{broker.tls_port}?ca={broker.ca}"
    given = settings(tmp_path / "data", store=dsn, mqtt=address)
    async with running(given, read_folder(COUNTY)) as program:
        reading = '{"station":"QT-R-001","metric":"rain","time":"2026-07-01T02:15:00+08:00","value":0.5}'
        assert await publish(broker, f"tongluo/v1/{ONE}/readings", reading) == 0
        async with asyncio.timeout(20):
            await program.supervisor.pulses["record readings"].counted("readings", 1)


def test_the_broker_reads_what_mosquitto_would_have_written() -> None:
    # Made by mosquitto_passwd 2.0.11 for alice, "secret".
    theirs = "$7$101$9yM1RWuKhgGLWsKl$0t0//1N42644FdbG0ZfVNAz8b9t/S8uThB+s9MtkpHyg8UCKY/RH6uIe/1mYvGjCGqnIaCvuOo2Yi1KpbIGGDQ=="
    assert passwords({"alice": "secret"}, f"alice:{theirs}\n") == f"alice:{theirs}\n"
    assert passwords({"alice": "Secret"}, f"alice:{theirs}\n") != f"alice:{theirs}\n"
    assert hashed("secret") != hashed("secret")


def test_running_it_again_changes_nothing(tmp_path: Path) -> None:
    county = read_folder(COUNTY)

    def state() -> dict[str, tuple[bytes, int, int]]:
        return {
            path.name: (path.read_bytes(), path.stat().st_mode & 0o777, path.stat().st_ino)
            for path in tmp_path.iterdir()
        }

    update(county, tmp_path, address="mqtts://broker:8883?ca=/ca.crt")
    before = state()
    assert {name: mode for name, (_, mode, _) in before.items()} == {
        "acl": 0o640,
        "credentials.csv": 0o600,
        "ingest.address": 0o640,
        "passwords": 0o640,
    }
    ran = tongluo("admin", "mosquitto", "--out", str(tmp_path), "--county", str(COUNTY))
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "nothing has changed")
    assert state() == before
    # A gateway that is gone is gone; the others keep their passwords; one whose line is lost gets a new one.
    lines = (tmp_path / "credentials.csv").read_text().splitlines()
    (tmp_path / "credentials.csv").write_text("\n".join([*lines[:-1], "QT-GW-999,old"]) + "\n")
    changes = update(county, tmp_path, ["tongluo-ingest"])
    assert (changes.new, changes.gone) == ([lines[-1].split(",")[0]], ["QT-GW-999"])
    kept = (tmp_path / "credentials.csv").read_text().splitlines()
    assert kept[2:-1] == lines[2:-1]
    assert kept[1] != lines[1]
    assert "QT-GW-999" not in (tmp_path / "passwords").read_text()
    assert f":{kept[1].split(',')[1]}@broker:8883" in (tmp_path / "ingest.address").read_text()


def test_faults_are_named(tmp_path: Path) -> None:
    ran = tongluo("admin", "mosquitto", "--out", str(tmp_path))
    assert ran.returncode == 1
    assert "--county" in ran.stderr
    assert "Traceback" not in ran.stderr
    county = read_folder(COUNTY)
    with pytest.raises(SettingsError, match="QT-GW-9: not registered"):
        update(county, tmp_path, ["QT-GW-9"])
    with pytest.raises(SettingsError, match="--address"):
        update(county, tmp_path, address="http://x")
    thief = msgspec.structs.replace(county, gateways={"tongluo-ingest": Gateway("tongluo-ingest", "?")})
    with pytest.raises(SettingsError, match="another id"):
        update(thief, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingPartError, match="cannot read"):
        update(county, tmp_path / "file" / "out")
    (tmp_path / "credentials.csv").write_text("user,password\nQT-GW-201,secret,more\n")
    with pytest.raises(SettingsError, match="line 2") as told:
        update(county, tmp_path)
    assert "secret" not in str(told.value)


async def test_ingest_processes_share_the_field_as_users_of_their_own(
    broker: Mosquitto, tmp_path: Path
) -> None:
    county = read_folder(COUNTY)
    made = update(county, broker.folder, address=f"mqtts://localhost:{broker.tls_port}", ingests=2)
    assert made.new == ["tongluo-ingest-0", "tongluo-ingest-1"]
    assert update(county, broker.folder).written == []
    broker.reload()
    address = mqtt_address((broker.folder / "ingest.address").read_text().strip())
    one, other = (
        broker.ingest(client_id=f"tongluo-ingest-{n}", user=address.user, password=address.password)
        for n in range(2)
    )
    shared = ["$share/county/tongluo/v1/+/+"]
    async with subscribe(one, shared) as field:
        async with subscribe(other, shared):
            pass
        for n in range(10):
            await publish(broker, f"tongluo/v1/{ONE}/readings", f"{n}")
        # Who is away goes on getting its share, until another takes it.
        found = {message.payload for message in await field.batch(100)}
        assert 0 < len(found) < 10
        async with adopt(other, shared) as left:
            assert left is not None
            while len(found) < 10:
                found |= {message.payload for message in await left.batch(100)}
                await left.answered()
            left.end_session()
        async with adopt(other, shared) as nothing:
            assert nothing is None
    assert update(county, broker.folder, ingests=0).gone == ["tongluo-ingest-0", "tongluo-ingest-1"]


def test_a_gateway_may_not_have_the_name_of_an_ingest_process(tmp_path: Path) -> None:
    county = read_folder(COUNTY)
    gateway = msgspec.structs.replace(next(iter(county.gateways.values())), id="tongluo-ingest-1")
    taken = msgspec.structs.replace(county, gateways={**county.gateways, gateway.id: gateway})
    with pytest.raises(SettingsError, match="tongluo-ingest-1 has a user name of ingest"):
        update(taken, tmp_path, ingests=2)
    with pytest.raises(SettingsError, match="--ingests must be from 0 to 12"):
        update(county, tmp_path, ingests=13)
