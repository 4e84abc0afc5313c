"""A broker behind its gate, with the identities of the demonstration county and certificates of its own."""

import csv
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.embedded.broker import EmbeddedBroker, broker
from services.embedded.gate import GateConfig, Tls
from services.embedded.ports import free_port
from services.identities import Changes, update
from services.ingest.mqtt import Broker
from tests.deploy.mosquitto import COUNTY, make_certificates
from tongluo.county_folder import read_folder
from tongluo.region import County


@dataclass
class Guarded:
    """The broker and what it lives from."""

    broker: EmbeddedBroker
    folder: Path

    @property
    def identities(self) -> Path:
        return self.folder / "gateways"

    @property
    def certificates(self) -> Path:
        return self.folder / "tls"

    @property
    def log(self) -> str:
        return (self.folder / "mqtt" / "log").read_text()

    def generate(self, *rotate: str, county: County | None = None) -> Changes:
        """What `tongluo admin gateways` does."""
        return update(county or read_folder(COUNTY), self.identities, rotate)

    def passwords(self) -> dict[str, str]:
        with (self.identities / "credentials.csv").open() as file:
            return {row["user"]: row["password"] for row in csv.DictReader(file)}

    def ingest(self, name: str = "internal:test") -> Broker:
        """How our own client connects."""
        door = self.broker.private
        return Broker("127.0.0.1", door.port_v5, name, door.user, door.secret)

    def publish(
        self, topic: str, payload: str, *more: str, user: str | None = None, port: int | None = None
    ) -> int:
        """mosquitto_pub as a gateway would, with the user's password; returns its exit code."""
        return self.run("mosquitto_pub", "-t", topic, "-m", payload, *more, user=user, port=port).returncode

    def run(
        self, program: str, *arguments: str, user: str | None = None, port: int | None = None
    ) -> "subprocess.CompletedProcess[str]":
        who = ["-u", user, "-P", self.passwords().get(user, "none")] if user is not None else []
        return subprocess.run(
            [program, "-h", "localhost", "-p", str(port or self.broker.port), "-q", "1", *who, *arguments],
            timeout=20,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    make_certificates(folder / "tls", "localhost")
    files = [str(folder / "tls" / name) for name in ("server.crt", "server.key", "ca.crt")]
    update(read_folder(COUNTY), folder / "gateways")
    config = GateConfig(
        "127.0.0.1", free_port(), free_port(), Tls(free_port(), *files), str(folder / "gateways")
    )
    with broker(folder, config) as running:
        yield Guarded(running, folder)
