"""The command line: helpful, with exit codes a script can trust."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.embedded.ports import free_port
from tongluo import __version__


def tongluo(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def ports() -> dict[str, str]:
    return {f"TONGLUO_{name}": str(free_port()) for name in ("HTTP_PORT", "MQTT_PORT", "MQTT5_PORT")}


def test_version() -> None:
    ran = tongluo("version")
    assert (ran.returncode, ran.stdout) == (0, f"tongluo {__version__}\n")


@pytest.mark.parametrize("command", ["run", "demo", "replay", "doctor", "password", "admin"])
def test_every_command_explains_itself(command: str) -> None:
    ran = tongluo(command, "--help")
    assert ran.returncode == 0
    assert len(ran.stdout) > 200


def test_wrong_usage_is_2() -> None:
    assert tongluo("dance").returncode == 2
    assert tongluo().returncode == 2


def test_a_doctor_finds_a_healthy_machine(tmp_path: Path) -> None:
    ran = tongluo("doctor", TONGLUO_DATA=str(tmp_path), **ports())
    assert ran.returncode == 0, ran.stdout
    assert "all is well" in ran.stdout


def test_a_doctor_names_what_is_ill_and_its_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = tongluo(
        "doctor",
        **ports(),
        TONGLUO_DATA=str(tmp_path / "file" / "data"),
        TONGLUO_STORE="postgresql://nobody@127.0.0.1:1/x",
        TONGLUO_MQTT="mqtt://127.0.0.1:1",
        TONGLUO_COUNTY=str(tmp_path),
    )
    assert ran.returncode == 1
    for part in ("TONGLUO_DATA", "TONGLUO_STORE", "TONGLUO_MQTT", "county.toml"):
        assert part in ran.stdout
    assert "to mend: data folder, PostgreSQL, MQTT broker, county" in ran.stdout


def test_an_unreachable_store_is_one_line(tmp_path: Path) -> None:
    ran = tongluo(
        "run", TONGLUO_DATA=str(tmp_path), TONGLUO_STORE="postgresql://nobody@127.0.0.1:1/x", **ports()
    )
    assert ran.returncode == 1
    assert "TONGLUO_STORE" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_folder_without_rules_is_one_line(tmp_path: Path) -> None:
    ran = tongluo("run", TONGLUO_DATA=str(tmp_path), TONGLUO_RULES=str(tmp_path / "none"), **ports())
    assert ran.returncode == 1
    assert "cannot be read" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_secrets_are_not_repeated(tmp_path: Path) -> None:
    ran = tongluo("doctor", TONGLUO_ADMIN_TOKEN="hush-hush", TONGLUO_STORE="mysql://me:hush-hush@x")  # noqa: S106
    assert ran.returncode == 1
    assert "TONGLUO_ADMIN_TOKEN" in ran.stderr
    assert "hush-hush" not in ran.stderr


def test_a_password_needs_an_installation(tmp_path: Path) -> None:
    ran = tongluo("password", TONGLUO_DATA=str(tmp_path))
    assert ran.returncode == 1
    assert "TONGLUO_DATA" in ran.stderr
