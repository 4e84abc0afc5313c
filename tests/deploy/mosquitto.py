"""A real Mosquitto on loopback, with the project's own configuration, passwords, access list and certificate."""

import csv
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.embedded.ports import accepts, free_port
from services.identities import Changes, update
from services.ingest.mqtt import Broker
from tests.conftest import program_path
from tongluo.county_folder import read_folder

ROOT = Path(__file__).parents[2]
COUNTY = ROOT / "sensors/simulator/profiles/qingtian"


@dataclass
class Mosquitto:
    """A broker and the files it lives from."""

    folder: Path
    tls_port: int
    plain_port: int
    certificate_port: int = 0
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def ca(self) -> Path:
        return self.folder / "tls" / "ca.crt"

    def generate(self, *rotate: str) -> Changes:
        """What `tongluo admin mosquitto` does."""
        return update(read_folder(COUNTY), self.folder, rotate)

    def passwords(self) -> dict[str, str]:
        with (self.folder / "credentials.csv").open() as file:
            return {row["user"]: row["password"] for row in csv.DictReader(file)}

    def ingest(self, **given: object) -> Broker:
        """How our own client connects."""
        return Broker(
            **{  # type: ignore[arg-type]
                "host": "localhost",
                "port": self.tls_port,
                "client_id": "tongluo-ingest",
                "user": "tongluo-ingest",
                "password": self.passwords()["tongluo-ingest"],
                "tls": True,
                "ca": self.ca,
                **given,
            }
        )

    def publish(self, topic: str, payload: str, *more: str, user: str, password: str) -> int:
        """mosquitto_pub over TLS as a gateway would; returns its exit code (0 well, 5 refused)."""
        return self._run("mosquitto_pub", "-t", topic, "-m", payload, *more, user=user, password=password)

    def _run(self, program: str, *arguments: str, user: str, password: str) -> int:
        ran = subprocess.run(
            [
                *(program, "-h", "localhost", "-p", str(self.tls_port), "--cafile", str(self.ca)),
                *("-q", "1", "-u", user, "-P", password),
                *arguments,
            ],
            timeout=20,
            capture_output=True,
            check=False,
        )
        return ran.returncode

    def start(self) -> None:
        self.process = subprocess.Popen([program_path("mosquitto"), "-c", self.folder / "mosquitto.conf"])
        deadline = time.monotonic() + 10
        while not (accepts(self.tls_port) and accepts(self.plain_port)):
            assert self.process.poll() is None, "mosquitto has ended: its words are above"
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(10)
            self.process = None

    def reload(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)


def configure(folder: Path, tls_port: int, plain_port: int, certificate_port: int = 0) -> None:
    """The project's configuration with this folder's paths, these ports, on loopback, and otherwise as it stands."""
    text = (ROOT / "deploy/mosquitto/tongluo.conf").read_text("utf-8")
    for old, new in (
        ("/etc/mosquitto/tongluo/", f"{folder}/"),
        ("\nlistener 8883\n", f"\nlistener {tls_port} 127.0.0.1\n"),
        ("\nlistener 1883 127.0.0.1\n", f"\nlistener {plain_port} 127.0.0.1\n"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "tongluo.conf").write_text(text)
    if certificate_port:
        door = (ROOT / "deploy/mosquitto/client-certificates.conf").read_text("utf-8")
        assert "\nlistener 8884\n" in door
        door = door.replace("\nlistener 8884\n", f"\nlistener {certificate_port} 127.0.0.1\n")
        door = door.replace("/etc/mosquitto/tongluo/", f"{folder}/")
        (folder / "conf.d" / "client-certificates.conf").write_text(door)
    main = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text("utf-8")
    for old, new in (
        ("/mosquitto/data/", f"{folder}/data/"),
        ("/etc/mosquitto/conf.d", f"{folder}/conf.d"),
    ):
        assert old in main
        main = main.replace(old, new)
    # As root it would change to a user of its own, who may not look into a test's folder.
    main += "user root\n" if os.geteuid() == 0 else ""
    (folder / "mosquitto.conf").write_text(main)
    (folder / "data").mkdir()


def make_certificates(folder: Path, *arguments: str) -> None:
    """With the project's own script."""
    subprocess.run(
        [ROOT / "deploy/mosquitto/make-certificates", folder, *arguments], check=True, capture_output=True
    )


@contextmanager
def mosquitto(folder: Path, *, certificates: bool = False) -> Iterator[Mosquitto]:
    """A running one, stopped at the end; with `certificates`, with the door for those who have one."""
    made = Mosquitto(folder, free_port(), free_port(), free_port() if certificates else 0)
    made.generate()
    make_certificates(folder / "tls", "localhost")
    configure(folder, made.tls_port, made.plain_port, made.certificate_port)
    made.start()
    try:
        yield made
    finally:
        made.stop()
