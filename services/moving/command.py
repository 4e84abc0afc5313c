"""Moving house: with the program stopped, the log and the store are copied and the new settings written.

The old installation stays as it is. Nothing of the new one counts before all of it is there: the store is copied last,
in one transaction, and topics that were made for a move that failed are removed.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
from sqlalchemy.exc import SQLAlchemyError

from services.embedded.folder import prepare_folder, sole_user
from services.embedded.postgres import postgres
from services.embedded.process import in_thread
from services.settings import Embedded, PostgresDsn, SameAsStore, Settings, read_settings
from tongluo.errors import MissingPartError, SettingsError
from tongluo.log import kafka_topics
from tongluo.log.kafka import open_kafka
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.membership import PRESENCE
from tongluo.log.move import move_log
from tongluo.postgres import connect
from tongluo.store.copying import copy_store
from tongluo.store.engine import open_store
from tongluo.store.migrate import migrate as upgrade

Progress = Callable[[str], None]

# What an embedded installation has and the new one has not, or what has been told anew.
_LEFT: Final = frozenset({"data", "store", "log", "mqtt", "roles"}) | {
    *("mqtt_port", "mqtt5_port", "mqtt_host", "mqtt_anonymous"),
    *("mqtt_tls_port", "mqtt_tls_certificate", "mqtt_tls_key", "mqtt_tls_client_ca"),
}


class Wish(msgspec.Struct, frozen=True):
    """Where to move, in the words of the settings of the same names; `write` is the settings file to be made."""

    store: str
    log: str
    mqtt: str
    write: Path
    replication: int = 1


async def move(settings: Settings, wish: Wish, progress: Progress) -> dict[str, int]:
    """Move; returns the rows of each table. Raises SettingsError or MissingPartError, and then nothing has moved."""
    store, log = _destination(wish)
    async with _source(settings, progress) as (old_store, old_log):
        if old_store == store:
            raise SettingsError("--store names the database that is to be moved")
        progress("bringing both stores to this release's tables")
        for name, dsn in (("the old store", old_store), ("--store", store)):
            _upgrade(name, dsn)
        async with _topics(log, wish.replication):
            async with open_kafka(log) as target, await connect(old_log) as source:
                await _must_be_at_rest(source)
                moved = await move_log(source, target, progress)
            async with (
                open_store(old_store, pool_size=2) as reading,
                open_store(store, pool_size=2) as writing,
            ):
                rows = await copy_store(reading, writing, moved, progress)
    _write(settings, wish)
    return rows


def _destination(wish: Wish) -> tuple[str, KafkaAddress]:
    new = read_settings(
        environment={"TONGLUO_ROLES": "record"}, store=wish.store, log=wish.log, mqtt=wish.mqtt
    )
    if not isinstance(new.store, PostgresDsn):
        raise SettingsError(
            "--store must be the DSN of a PostgreSQL, such as postgresql://user:password@host/database"
        )
    if not isinstance(new.log, KafkaAddress):
        raise SettingsError("--log must be the address of a Kafka cluster, such as kafka://host:9092")
    if isinstance(new.mqtt, Embedded):
        raise SettingsError("--mqtt must be the address of a broker, such as mqtt://user:password@host:1883")
    if wish.write.exists():
        raise SettingsError(f"{wish.write} is there already: name another file in --write")
    return new.store.dsn, new.log


@asynccontextmanager
async def _source(settings: Settings, progress: Progress) -> AsyncIterator[tuple[str, str]]:
    """The DSNs of the old store and the old log; embedded servers are started for the while."""
    match settings.store:
        case PostgresDsn(dsn):
            yield dsn, _log_dsn(settings, dsn)
        case Embedded():
            if not (settings.data / "postgres").is_dir():
                raise MissingPartError(
                    f"there is no installation in {settings.data} to move: correct TONGLUO_DATA"
                )
            folder = prepare_folder(settings.data)
            with sole_user(folder):
                progress(f"starting PostgreSQL in {folder / 'postgres'}")
                async with in_thread(postgres(folder)) as found:
                    yield found.dsn, _log_dsn(settings, found.dsn)


def _log_dsn(settings: Settings, store: str) -> str:
    match settings.log:
        case SameAsStore():
            return store
        case PostgresDsn(dsn):
            return dsn
        case KafkaAddress():
            raise SettingsError("the event log is on Kafka already (TONGLUO_LOG): there is nothing to move")


def _upgrade(name: str, dsn: str) -> None:
    try:
        upgrade(dsn)
    except (SQLAlchemyError, psycopg.Error, ValueError) as error:
        raise MissingPartError(f"{name} is not usable: {str(error).strip().splitlines()[0]}") from error


async def _must_be_at_rest(source: Any) -> None:
    """A program that works on the log would go on after it has been copied."""
    cursor = await source.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        (PRESENCE,),
    )
    if (await cursor.fetchone())[0]:
        raise MissingPartError("a Tongluo is at work on the log to move: stop it first")


@asynccontextmanager
async def _topics(address: KafkaAddress, replication: int) -> AsyncIterator[None]:
    """Our topics; removed again if the move fails and they were made for it."""
    created = await kafka_topics.ensure(address, replication)
    try:
        yield
    except BaseException:
        if len(created) == len(kafka_topics.wanted(replication)):
            await kafka_topics.remove(address)
        raise


def _write(settings: Settings, wish: Wish) -> None:
    """The new settings as TOML, readable by its owner only: there are passwords in it."""
    kept = {name: getattr(settings, name) for name in settings.model_fields_set - _LEFT}
    lines = {**_texts(kept), "store": wish.store, "log": wish.log, "mqtt": wish.mqtt}
    try:
        wish.write.touch(0o600)
        wish.write.write_text("".join(f"{name} = {value}\n" for name, value in _toml(lines).items()), "utf-8")
    except OSError as error:
        raise MissingPartError(
            f"everything has been moved, but {wish.write} cannot be written ({error}); the settings are: "
            + ", ".join(f"{name}={lines[name]}" for name in sorted(lines.keys() - {"store", "log", "mqtt"}))
        ) from error


def _texts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are written, not as they are held."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, timedelta):
            found[name] = f"{value.total_seconds():.0f}s"
        elif value is not None:
            found[name] = value if isinstance(value, int) else str(value)
    return found


def _toml(values: Mapping[str, Any]) -> dict[str, str]:
    # A JSON string or number is a TOML one.
    return {name: json.dumps(value, ensure_ascii=False) for name, value in sorted(values.items())}
