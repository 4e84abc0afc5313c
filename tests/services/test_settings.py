import re
from datetime import timedelta
from pathlib import Path

import pytest

from services.settings import Embedded, MqttAddress, PostgresDsn, Role, read_settings
from tongluo.errors import SettingsError


def test_without_settings_a_machine_stands_for_itself() -> None:
    found = read_settings(environment={"PATH": "/bin"})
    assert (found.store, found.mqtt, found.http_host) == (Embedded(), Embedded(), "127.0.0.1")
    assert found.roles == frozenset(Role)
    assert found.embedded_v5_port == found.mqtt_port + 1


def test_variables_become_closed_types() -> None:
    found = read_settings(
        environment={
            "TONGLUO_STORE": "postgresql://u:p@db/tongluo",
            "TONGLUO_MQTT": "mqtt://in%40gest:s%2Fecret@broker:1884",
            "TONGLUO_ROLES": "rules, notify",
            "TONGLUO_FUTURE_LIMIT": "15m",
            "TONGLUO_MQTT5_PORT": "1999",
        }
    )
    assert found.store == PostgresDsn("postgresql://u:p@db/tongluo")
    assert found.mqtt == MqttAddress("broker", 1884, "in@gest", "s/ecret")
    assert found.roles == {Role.RULES, Role.NOTIFY}
    assert found.future_limit == timedelta(minutes=15)
    assert found.embedded_v5_port == 1999


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"MQTT_HOST": "0.0.0.0", "MQTT_ANONYMOUS": "yes"}, "TONGLUO_MQTT_ANONYMOUS: must be 'no'"),  # noqa: S104
        ({"MQTT_HOST": "::", "MQTT_ANONYMOUS": "yes"}, "TONGLUO_MQTT_ANONYMOUS: must be 'no'"),
        ({"MQTT_HOST": "broker.example.org"}, "TONGLUO_MQTT_HOST: must be an IP address"),
        ({"MQTT_ANONYMOUS": "perhaps"}, "TONGLUO_MQTT_ANONYMOUS"),
        ({"MQTT_TLS_PORT": "8883"}, "TONGLUO_MQTT_TLS_PORT: needs TONGLUO_MQTT_TLS_CERTIFICATE"),
        ({"MQTT_TLS_KEY": "a"}, "TONGLUO_MQTT_TLS_PORT: must be set"),
        ({"MQTT": "mqtts://b?cert=/c"}, "TONGLUO_MQTT: cert= and key="),
        ({"MQTT": "mqtts://b?key=/c&x=1"}, "there is no 'x'"),
    ],
)
def test_no_door_stands_open_by_mistake(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        read_settings(environment={f"TONGLUO_{name}": value for name, value in given.items()})


def test_gateways_need_credentials_unless_told_otherwise() -> None:
    assert read_settings(environment={"PATH": "/bin"}).mqtt_anonymous == "no"
    assert read_settings(environment={"TONGLUO_MQTT_ANONYMOUS": "yes"}).mqtt_anonymous == "yes"
    address = read_settings(environment={"TONGLUO_MQTT": "mqtts://b?cert=/c&key=/k&ca=/a"}).mqtt
    assert address == MqttAddress("b", 8883, tls=True, ca=Path("/a"), cert=Path("/c"), key=Path("/k"))


def test_a_broker_over_tls() -> None:
    def read(address: str) -> object:
        return read_settings(environment={"TONGLUO_MQTT": address}).mqtt

    assert read("mqtts://me:x@broker") == MqttAddress("broker", 8883, "me", "x", True)
    assert read("mqtts://broker:1?ca=/etc/my%20ca.crt") == MqttAddress(
        "broker", 1, tls=True, ca=Path("/etc/my ca.crt")
    )
    for wrong, words in (
        ("mqtt://broker?ca=/ca.crt", "only mqtts"),
        ("mqtts://broker?insecure=1", "no 'insecure'"),
        ("mqtts://me:hush@broker:99999", "TONGLUO_MQTT"),
    ):
        with pytest.raises(SettingsError, match=words) as told:
            read(wrong)
        assert "hush" not in str(told.value)


def test_the_environment_stands_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    file = tmp_path / "tongluo.toml"
    file.write_text('http_port = 8001\nmqtt_port = 1801\nroles = "rules"\n')
    found = read_settings(file, {"TONGLUO_HTTP_PORT": "8002"}, roles="notify")
    assert (found.http_port, found.mqtt_port, found.roles) == (8002, 1801, {Role.NOTIFY})


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-long-enough\n")
    found = read_settings(environment={"TONGLUO_ADMIN_TOKEN_FILE": str(tmp_path / "token")})
    assert found.admin_token == "a-token-long-enough"  # noqa: S105
    with pytest.raises(SettingsError, match="TONGLUO_ADMIN_TOKEN_FILE"):
        read_settings(environment={"TONGLUO_ADMIN_TOKEN_FILE": str(tmp_path / "none")})


def test_every_fault_is_told_by_its_variable() -> None:
    with pytest.raises(SettingsError) as told:
        read_settings(
            environment={
                "TONGLUO_HTTP_PORT": "99999",
                "TONGLUO_ROLES": "ingest,cook",
                "TONGLUO_STORE": "mysql://x",
                "TONGLUO_MQTT": "http://x",
                "TONGLUO_PAST_LIMIT": "long",
                "TONGLUO_KEEP_READINGS": "6d",
                "TONGLUO_HTTP_PROT": "1",
            }
        )
    words = str(told.value)
    for part in (
        "HTTP_PORT",
        "cook",
        "TONGLUO_STORE",
        "TONGLUO_MQTT",
        "30s, 15m",
        "KEEP_READINGS: must be from 7d",
        "HTTP_PROT: there is no such",
    ):
        assert part in words


def test_what_is_let_in_is_also_kept() -> None:
    with pytest.raises(SettingsError, match="KEEP_READINGS: must be from 800d"):
        read_settings(environment={"TONGLUO_PAST_LIMIT": "800d"})
    with pytest.raises(SettingsError, match="KEEP_READINGS"):
        read_settings(environment={"TONGLUO_KEEP_READINGS": "999999d"})
    assert read_settings(environment={"TONGLUO_KEEP_READINGS": "90d"}).keep_readings == timedelta(days=90)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        read_settings(tmp_path / "none.toml", {})


def test_sharing_the_field_needs_a_real_broker() -> None:
    with pytest.raises(SettingsError, match="MQTT_SHARE: needs a real broker"):
        read_settings(environment={"TONGLUO_MQTT_SHARE": "county"})
    given = {"TONGLUO_MQTT_SHARE": "county", "TONGLUO_MQTT": "mqtt://broker"}
    assert read_settings(environment=given).mqtt_share == "county"
