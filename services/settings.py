"""Settings: TONGLUO_* variables and a TOML file, read once at the door into closed types."""

import enum
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)

from tongluo import duration
from tongluo.errors import SettingsError
from tongluo.log import kafka_address
from tongluo.log.kafka_address import KafkaAddress
from tongluo.sampling import DenseIntervals, read_intervals

PREFIX: Final = "TONGLUO_"
# How long readings may be kept: further back than a century there are none, and calendars come to their ends.
LEAST_KEPT, MOST_KEPT = timedelta(days=7), timedelta(days=36_500)
_SECRET: Final = frozenset({"admin_token", "store", "log", "mqtt"})


class ClockKind(enum.StrEnum):
    WALL = "wall"
    EVENT = "event"


class Role(enum.StrEnum):
    INGEST = "ingest"
    RECORD = "record"
    RULES = "rules"
    NOTIFY = "notify"
    CONSOLE = "console"


class Embedded(msgspec.Struct, frozen=True):
    """The part is started by us, on this machine."""


class PostgresDsn(msgspec.Struct, frozen=True):
    """A running PostgreSQL."""

    dsn: str


class MqttAddress(msgspec.Struct, frozen=True):
    """A running MQTT 5 broker. Only with `tls`: `ca` names the certificates to trust instead of the system's, `cert`
    and `key` what we show of ourselves."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class SameAsStore(msgspec.Struct, frozen=True):
    """The log lives in the store's database."""


def _store(value: Any) -> Any:
    if value == "embedded":
        return Embedded()
    if isinstance(value, str) and value.startswith(("postgresql://", "postgres://")):
        return PostgresDsn(value)
    raise ValueError("must be 'embedded' or a DSN such as postgresql://user:password@host/database")


def _log(value: Any) -> Any:
    if value == "store":
        return SameAsStore()
    if isinstance(value, str) and value.startswith(("postgresql://", "postgres://")):
        return PostgresDsn(value)
    if isinstance(value, str) and value.startswith("kafka://"):
        return kafka_address.parse(value)
    raise ValueError(
        "must be 'store' (the store's database), a DSN such as postgresql://user:password@host/database, "
        f"or an address such as {kafka_address.EXAMPLE}"
    )


def _mqtt(value: Any) -> Any:
    return Embedded() if value == "embedded" else mqtt_address(value)


def mqtt_address(value: Any) -> MqttAddress:
    """An address such as mqtts://user:password@host:8883?ca=/path/ca.crt. Raises ValueError without repeating it."""
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise ValueError(
            "must be 'embedded' or an address such as mqtt://user:password@host:1883 or, over TLS, "
            "mqtts://user:password@host:8883?ca=/path/ca.crt"
        )
    tls = parts.scheme == "mqtts"
    return MqttAddress(
        parts.hostname,
        parts.port or (8883 if tls else 1883),
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
        tls,
        **_files(parts.query, tls),
    )


def _files(query: str, tls: bool) -> dict[str, Path]:
    given = parse_qs(query, keep_blank_values=True)
    if not tls and given:
        raise ValueError("only mqtts:// (TLS) has something after '?'")
    found = {name: Path(given.pop(name)[-1]) for name in ("ca", "cert", "key") if given.get(name, [""])[-1]}
    unknown = set(given) - {"ca", "cert", "key"}
    if unknown:
        raise ValueError(f"there is no '{min(unknown)}' after '?'; known are ca, cert and key, each =/path")
    if ("cert" in found) != ("key" in found):
        raise ValueError("cert= and key= after '?' go together: the client certificate and its key")
    return found


def _roles(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    known = [role.value for role in Role]
    named = [name.strip() for name in value.split(",") if name.strip()]
    unknown = [name for name in named if name not in known]
    if unknown or not named:
        raise ValueError(f"unknown role {', '.join(unknown) or '(none)'}; known are {', '.join(known)}")
    return frozenset(Role(name) for name in named)


def _span(value: Any) -> Any:
    return duration.parse(value) if isinstance(value, str) else value


def _keep(span: timedelta, given: ValidationInfo) -> timedelta:
    # Where past_limit itself is wrong, that is what the operator hears.
    least = max(given.data.get("past_limit", LEAST_KEPT), LEAST_KEPT)
    if not least <= span <= MOST_KEPT:
        raise ValueError(
            f"must be from {least / timedelta(days=1):g}d (TONGLUO_PAST_LIMIT, and at least a week) to {MOST_KEPT.days}d"
        )
    return span


def _anonymous(answer: str, given: ValidationInfo) -> str:
    if answer == "yes" and not is_loopback(given.data.get("mqtt_host", "127.0.0.1")):
        raise ValueError("must be 'no' where TONGLUO_MQTT_HOST is not loopback: anybody could send readings")
    return answer


def _shared(name: str | None, given: ValidationInfo) -> str | None:
    # rumqttd 0.20 panics when the last member of a shared subscription leaves (docs/decisions/0014).
    if name is not None and given.data.get("mqtt") == Embedded():
        raise ValueError(
            "needs a real broker (TONGLUO_MQTT): the embedded one does not outlive a shared subscription"
        )
    return name


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    return ipaddress.ip_address(host).is_loopback


def _address(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError("must be an IP address of this machine, or 0.0.0.0 for all of them") from None
    return host


def _with_certificate(port: int | None, given: ValidationInfo) -> int | None:
    named = {name: given.data.get(f"mqtt_tls_{name}") for name in ("certificate", "key", "client_ca")}
    if port is not None and not (named["certificate"] and named["key"]):
        raise ValueError("needs TONGLUO_MQTT_TLS_CERTIFICATE and TONGLUO_MQTT_TLS_KEY")
    if port is None and any(named.values()):
        raise ValueError("must be set where a certificate is: the port gateways connect to over TLS")
    return port


def _keep_quarantine(span: timedelta) -> timedelta:
    if not timedelta(days=1) <= span <= MOST_KEPT:
        raise ValueError(f"must be from 1d to {MOST_KEPT.days}d")
    return span


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("must be a time zone of the IANA database such as Asia/Shanghai") from error
    return name


def _folder(path: Path) -> Path:
    return path.expanduser()


Port = Annotated[int, Field(ge=1, le=65535)]
Store = Annotated[Embedded | PostgresDsn, BeforeValidator(_store)]
LogPlace = Annotated[SameAsStore | PostgresDsn | KafkaAddress, BeforeValidator(_log)]
Mqtt = Annotated[Embedded | MqttAddress, BeforeValidator(_mqtt)]
Span = Annotated[timedelta, BeforeValidator(_span)]
Folder = Annotated[Path, AfterValidator(_folder)]
Dense = Annotated[DenseIntervals, BeforeValidator(read_intervals)]


class Settings(BaseModel):
    """Every setting, with what a machine for itself needs as the default. `docs/settings.md` explains each."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, validate_default=True
    )

    data: Folder = Path("data")
    store: Store = "embedded"  # type: ignore[assignment]
    log: LogPlace = "store"  # type: ignore[assignment]
    member: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")] | None = None
    mqtt: Mqtt = "embedded"  # type: ignore[assignment]
    mqtt_port: Port = 1883
    mqtt5_port: Port | None = None
    mqtt_host: Annotated[str, AfterValidator(_address)] = "127.0.0.1"
    mqtt_anonymous: Annotated[Literal["yes", "no"], AfterValidator(_anonymous)] = "no"
    mqtt_tls_certificate: Folder | None = None
    mqtt_tls_key: Folder | None = None
    mqtt_tls_client_ca: Folder | None = None
    mqtt_tls_port: Annotated[Port | None, AfterValidator(_with_certificate)] = None
    mqtt_client: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "tongluo-ingest"
    mqtt_share: Annotated[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None, AfterValidator(_shared)
    ] = None
    sparkplug_host: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    sl651_host: str = "127.0.0.1"
    sl651_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    dense_intervals: Dense = "yellow=120s,orange=60s,red=60s"  # type: ignore[assignment]
    snapshots: Folder | None = None
    snapshots_mb: Annotated[int, Field(ge=1)] = 2048
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    health_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    roles: Annotated[frozenset[Role], BeforeValidator(_roles)] = frozenset(Role)
    clock: ClockKind = ClockKind.WALL
    county: Folder | None = None
    rules: Folder | None = None
    future_limit: Span = "10m"  # type: ignore[assignment]
    past_limit: Span = "60d"  # type: ignore[assignment]
    late_after: Span = "1h"  # type: ignore[assignment]
    keep_readings: Annotated[Span, AfterValidator(_keep)] = "730d"  # type: ignore[assignment]
    silent_after: Annotated[int, Field(ge=2, le=1000)] = 3
    keep_quarantine: Annotated[Span, AfterValidator(_keep_quarantine)] = "90d"  # type: ignore[assignment]
    quarantine_mib: Annotated[int, Field(ge=16, le=1024 * 1024)] = 1024
    timezone: Annotated[str, AfterValidator(_timezone)] = "Asia/Shanghai"
    admin_token: Annotated[str, Field(min_length=16)] | None = None
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "warning"

    @property
    def sparkplug(self) -> str | None:
        """The Sparkplug host's id, where this process is it: one that shares the field must be told to be."""
        unset = None if self.mqtt_share is not None else "tongluo"
        return {None: unset, "off": None}.get(self.sparkplug_host, self.sparkplug_host)

    @property
    def snapshot_folder(self) -> Path:
        """Where snapshots lie: in the data folder unless set."""
        return self.snapshots or self.data / "snapshots"

    @property
    def embedded_v5_port(self) -> int:
        """The embedded broker's MQTT 5 port: beside the 3.1.1 port unless set."""
        if self.mqtt5_port is not None:
            return self.mqtt5_port
        return self.mqtt_port + 1 if self.mqtt_port < 65535 else self.mqtt_port - 1


def read_settings(
    config: Path | None = None, environment: Mapping[str, str] | None = None, **overrides: Any
) -> Settings:
    """Settings from a TOML file, over it the environment, over it the command line.

    `TONGLUO_X_FILE` names a file that holds the value of X, for secrets. Raises SettingsError with every fault.
    """
    given = {**_from_file(config), **_from_environment(environment or os.environ), **overrides}
    try:
        return Settings(**given)
    except ValidationError as error:
        faults = [
            f"{PREFIX}{'_'.join(str(p) for p in f['loc'][:1]).upper()}: {_fault(f)}" for f in error.errors()
        ]
        raise SettingsError(
            "the settings are not usable:\n" + "\n".join(f"  - {f}" for f in faults)
        ) from error


def _fault(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return "there is no such setting"
    message = str(fault["msg"]).removeprefix("Value error, ")
    # What may hold a password is not repeated.
    return message if fault["loc"][0] in _SECRET else f"{message}, got {fault['input']!r}"


def _from_file(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    try:
        return tomllib.loads(config.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read the settings file {config}: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for variable, value in environment.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name.endswith("_file"):
            try:
                given[name.removesuffix("_file")] = Path(value).read_text("utf-8").strip()
            except (OSError, ValueError) as error:
                raise SettingsError(f"{variable}: cannot read {value}: {error}") from error
        elif value != "":
            given[name] = value
    return given
