"""Apache Kafka in KRaft mode from its published Java artifacts: one node that is broker and controller."""

import base64
import os
import secrets
import shutil
import uuid
from pathlib import Path
from typing import Final

from deploy.stack.process import StackError, free_port, run, start

HERE: Final = Path(__file__).parent
LIBS: Final = HERE.parents[1] / ".tools" / "kafka"
USER: Final = "tongluo"
_HEAP: Final = os.environ.get("TONGLUO_STACK_KAFKA_HEAP", "512m")


def prepare() -> None:
    """Have the artifacts of pom.xml in `LIBS`. Raises StackError."""
    if shutil.which("java") is None:
        raise StackError("Java 17 is not installed: apt install default-jre-headless")
    mark = LIBS / ".complete"
    if mark.exists() and mark.stat().st_mtime >= (HERE / "pom.xml").stat().st_mtime:
        return
    if shutil.which("mvn") is None:
        raise StackError("Maven is not installed: apt install maven")
    shutil.rmtree(LIBS, ignore_errors=True)
    run(
        [
            *("mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"),
            *("-DincludeScope=runtime", f"-DoutputDirectory={LIBS}"),
        ],
        why="the artifacts of Apache Kafka could not be fetched",
    )
    mark.touch()


def launch(folder: Path) -> tuple[int, dict[str, str]]:
    """Start it over `folder`; returns its process number and the addresses of its listeners. Raises StackError."""
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    plain, secured, controller = free_port(), free_port(), free_port()
    password = _kept(folder / "password", lambda: secrets.token_urlsafe(18))
    certificate = _certificate(folder, password)
    properties = folder / "server.properties"
    properties.write_text(_properties(folder, plain, secured, controller, password))
    properties.chmod(0o600)
    if not (folder / "data" / "meta.properties").exists():
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        words = ["kafka.tools.StorageTool", "format", "--standalone", "-t", cluster, "-c", str(properties)]
        scram = f"SCRAM-SHA-512=[name={USER},password={password}]"
        run([*_java(), *words, "--add-scram", scram], why="Kafka's storage could not be formatted")
    return again(folder, plain), {
        "log": f"kafka://127.0.0.1:{plain}",
        "log_secured": f"kafka://{USER}:{password}@127.0.0.1:{secured}?tls=on&ca={certificate}&sasl=SCRAM-SHA-512",
    }


def again(folder: Path, port: int) -> int:
    """Start a server that was launched over `folder` before and has ended; returns its process number."""
    words = [*_java(), "kafka.Kafka", str(folder / "server.properties")]
    return start(words, folder / "kafka.log", port, name="Apache Kafka")


def _java() -> list[str]:
    return ["java", f"-Xmx{_HEAP}", f"-Dlog4j2.configurationFile={HERE / 'log4j2.yaml'}", "-cp", f"{LIBS}/*"]


def _properties(folder: Path, plain: int, secured: int, controller: int, password: str) -> str:
    """One node, on loopback. What differs from Kafka's own defaults says why."""
    jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{secured},CONTROLLER://127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": jaas,
        "ssl.keystore.location": str(folder / "keystore.p12"),
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.password": password,
        "log.dirs": str(folder / "data"),
        "auto.create.topics.enable": "false",
        # One node: nothing to replicate to.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "8",
        # A test that kills a member does not wait the minimum of six seconds for it.
        "group.min.session.timeout.ms": "1000",
        "group.initial.rebalance.delay.ms": "0",
        # The place of a group that has been stopped is not forgotten after a week: it says what has been judged.
        "offsets.retention.minutes": "5256000",
        # The default buffer of the cleaner is a quarter of the heap given here.
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def _certificate(folder: Path, password: str) -> Path:
    """A self-signed certificate of the loopback for the secured listener."""
    store, certificate = folder / "keystore.p12", folder / "ca.pem"
    if not certificate.exists():
        common = ["-keystore", str(store), "-storetype", "PKCS12", "-storepass", password, "-alias", "kafka"]
        why = "a certificate for Kafka could not be made"
        names = ["-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1,DNS:localhost"]
        run(["keytool", "-genkeypair", "-keyalg", "EC", "-validity", "3650", *names, *common], why=why)
        run(["keytool", "-exportcert", "-rfc", "-file", str(certificate), *common], why=why)
    return certificate


def _kept(path: Path, make) -> str:  # type: ignore[no-untyped-def]
    if not path.exists():
        path.touch(0o600)
        path.write_text(make())
    return path.read_text()
