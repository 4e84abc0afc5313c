"""The program as it is deployed: a process per role, secrets from files, a broker with TLS, probes on ports of their own."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from services.embedded.ports import free_port
from services.identities import update
from services.settings import Role
from tests.conftest import signals_alone, until
from tests.deploy.mosquitto import COUNTY, ROOT, Mosquitto, mosquitto
from tests.services.console.test_health import lag, samples
from tongluo.county_folder import read_folder

GATEWAY, GAUGE = "QT-GW-205", "QT-R-001"
TOKEN = "token-of-the-deployment"  # noqa: S105 - for the length of a test


@contextmanager
def role(
    role: Role, folder: Path, health_port: int, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process like a container: its settings are all it gets from us."""
    with (folder / f"{role}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services", "run", "--roles", role.value],
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("TONGLUO_")},
                "TONGLUO_HEALTH_PORT": str(health_port),
                "TONGLUO_STORE_FILE": str(folder / "store"),
                "TONGLUO_COUNTY": str(COUNTY),
                "TONGLUO_RULES": str(signals_alone()),
                **environment,
            },
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def healthcheck(port: int) -> int:
    """The image's own, word for word."""
    text = (ROOT / "deploy/Dockerfile").read_text("utf-8")
    [command] = re.findall(r"HEALTHCHECK .*\\\n\s+CMD (\[.*\])", text)
    return subprocess.run(
        [sys.executable, *json.loads(command)[1:]],
        env={"TONGLUO_HEALTH_PORT": str(port)},
        capture_output=True,
        timeout=30,
        check=False,
    ).returncode


def storm() -> str:
    """60 mm in the three hours that end now."""
    now = datetime.now(UTC)
    return json.dumps(
        [
            {
                "station": GAUGE,
                "metric": "rain",
                "time": (now - timedelta(minutes=30 * n)).isoformat(),
                "value": 10.0,
            }
            for n in reversed(range(6))
        ]
    )


@pytest.mark.mosquitto
@pytest.mark.broker
@pytest.mark.openssl
async def test_five_processes_turn_rain_into_an_alert(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "store").write_text(dsn)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "broker").mkdir()
    ports = {each: free_port() for each in Role}
    page = free_port()
    with ExitStack() as stack:
        broker: Mosquitto = stack.enter_context(mosquitto(tmp_path / "broker"))
        update(
            read_folder(COUNTY), broker.folder, address=f"mqtts://localhost:{broker.tls_port}?ca={broker.ca}"
        )
        own = {
            Role.INGEST: {"TONGLUO_MQTT_FILE": str(broker.folder / "ingest.address")},
            Role.CONSOLE: {
                "TONGLUO_ADMIN_TOKEN_FILE": str(tmp_path / "token"),
                "TONGLUO_HTTP_PORT": str(page),
            },
        }
        processes = {
            each: stack.enter_context(role(each, tmp_path, ports[each], **own.get(each, {}))) for each in Role
        }
        assert healthcheck(free_port()) != 0
        async with httpx.AsyncClient(timeout=10) as client:
            for each, port in ports.items():
                await until(lambda port=port: asyncio.to_thread(_ready, port), timeout_s=90)  # type: ignore[misc]
                assert processes[each].poll() is None
            assert (
                broker.publish(
                    f"tongluo/v1/{GATEWAY}/readings",
                    storm(),
                    user=GATEWAY,
                    password=broker.passwords()[GATEWAY],
                )
                == 0
            )
            client.headers["authorization"] = f"Bearer {TOKEN}"

            async def raised() -> bool:
                answer = await client.get(f"http://127.0.0.1:{page}/api/v1/alerts")
                return len(answer.raise_for_status().json()["items"]) == 1

            await until(raised, timeout_s=60)

            async def all_taken() -> bool:
                found = samples((await client.get(f"http://127.0.0.1:{ports[Role.INGEST]}/metrics")).text)
                return not any(lag(found, *group) for group in GROUPS)

            await until(all_taken, timeout_s=60)
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        assert {each: process.wait(60) for each, process in processes.items()} == dict.fromkeys(Role, 0)


GROUPS = (("rules", "readings"), ("record", "readings"), ("record", "quarantine"), ("desk", "findings"))


def _ready(port: int) -> bool:
    return healthcheck(port) == 0


@pytest.mark.openssl
def test_prepare_makes_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets", "county", ".env")
    )
    folder = tmp_path / "deploy"

    def prepare() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [folder / "prepare", "broker.example.org", "192.0.2.1"],
            capture_output=True,
            text=True,
            check=False,
        )

    assert "county.toml" in prepare().stderr
    shutil.copytree(COUNTY, folder / "county")
    assert prepare().returncode == 0
    made = {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in [*(folder / "secrets").rglob("*"), folder / ".env"]
        if path.is_file()
    }
    assert {str(path): oct(mode) for path, (_, mode) in made.items()} == {
        ".env": "0o640",
        "secrets/admin.token": "0o640",
        "secrets/store.dsn": "0o640",
        "secrets/store.password": "0o644",
        "secrets/mosquitto/tls/ca.crt": "0o644",
        "secrets/mosquitto/tls/ca.key": "0o600",
        "secrets/mosquitto/tls/server.crt": "0o644",
        "secrets/mosquitto/tls/server.key": "0o640",
    }
    assert (folder / "secrets").stat().st_mode & 0o777 == 0o750
    assert prepare().returncode == 0
    for path, (content, _) in made.items():
        assert (folder / path).read_bytes() == content, path
    names = subprocess.run(
        [
            "openssl",
            "x509",
            "-in",
            folder / "secrets/mosquitto/tls/server.crt",
            "-noout",
            "-ext",
            "subjectAltName",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "DNS:mosquitto, DNS:broker.example.org, IP Address:192.0.2.1" in names
