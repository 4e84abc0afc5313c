"""What the roles are made of, and how each part is opened, from which setting: nothing else knows a part's kind.

Resources are contexts, so that the last opened is the first closed.
"""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console.server import bind
from services.county_watch import CountyWatch
from services.embedded.broker import EmbeddedBroker, broker
from services.embedded.folder import prepare_folder, sole_user
from services.embedded.identities import gate_config, prepare_identities
from services.embedded.postgres import EmbeddedPostgres, postgres
from services.embedded.process import in_thread
from services.ingest.mqtt import Broker
from services.rules.catalogue import Catalogue
from services.rules_watch import RulesWatch
from services.settings import ClockKind, Embedded, MqttAddress, PostgresDsn, Role, SameAsStore, Settings
from tongluo.clock import Clock, EventClock, WallClock, wall_now
from tongluo.errors import MissingPartError, SettingsError
from tongluo.log.kafka import open_kafka
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.port import Log
from tongluo.log.postgres import open_log
from tongluo.postgres import Listener
from tongluo.region import County
from tongluo.store.layout import Layout
from tongluo.store.migrate import migrate
from tongluo.store.registry import Registered, newest, take_up
from tongluo.supervise import Role as RoleWork

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Database:
    """The store's database, and the server behind it if it is our own."""

    dsn: str
    own: EmbeddedPostgres | None = None


@dataclass(frozen=True)
class Field:
    """Where ingest listens, and the port gateways connect to."""

    broker: Broker
    gateway_port: int
    own: EmbeddedBroker | None = None


@dataclass(frozen=True)
class Parts:
    """What the roles are made of."""

    settings: Settings
    database: Database
    log: Log
    engine: AsyncEngine
    layout: Layout
    # For roles whose work would be done again, the same, after a crash of the database.
    relaxed: AsyncEngine
    listener: Listener
    # What keeps an eye on the log's own server, where it has one.
    log_role: RoleWork | None
    field: Field
    watch: CountyWatch
    clock: Clock
    rules: RulesWatch[Catalogue]

    def described(self) -> County:
        """The county as it is now."""
        return self.watch.county()


def prepare_store(dsn: str) -> None:
    """Bring its tables up to date. Raises MissingPartError."""
    try:
        migrate(dsn)
    except (SQLAlchemyError, psycopg.Error, ValueError) as error:
        where = str(error).strip().splitlines()[0]
        raise MissingPartError(
            f"the store is not usable ({where}): start PostgreSQL, or correct TONGLUO_STORE"
        ) from error


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Only one program may keep servers in a data folder; one that keeps none needs no folder."""
    keeps_broker = settings.mqtt == Embedded() and Role.INGEST in settings.roles
    if settings.store != Embedded() and not keeps_broker:
        yield
        return
    with sole_user(prepare_folder(settings.data)):
        yield


@contextmanager
def listening(settings: Settings) -> Iterator[tuple[socket.socket | None, socket.socket | None]]:
    """The page's socket, where this process serves it, and that of the probes, where they have one of their own."""
    host, page, probes = settings.http_host, None, None
    with ExitStack() as stack:
        if Role.CONSOLE in settings.roles:
            page = stack.enter_context(bind(host, settings.http_port))
        if settings.health_port is not None:
            probes = stack.enter_context(
                bind(host, settings.health_port, "the probes", "TONGLUO_HEALTH_PORT")
            )
        yield page, probes


@asynccontextmanager
async def database_of(settings: Settings, progress: Progress) -> AsyncIterator[Database]:
    match settings.store:
        case Embedded():
            folder = prepare_folder(settings.data)
            progress(f"starting PostgreSQL in {folder / 'postgres'}")
            async with in_thread(postgres(folder)) as found:
                yield Database(found.dsn, found)
        case PostgresDsn(dsn):
            yield Database(dsn)


@asynccontextmanager
async def field_of(settings: Settings, county: County, progress: Progress) -> AsyncIterator[Field]:
    """The broker. It comes last: what a gateway sends before ingest has subscribed would go nowhere."""
    match settings.mqtt:
        case Embedded() if Role.INGEST in settings.roles:
            folder = prepare_folder(settings.data)
            config = gate_config(settings, folder)
            prepare_identities(config, county, progress)
            progress(f"starting the MQTT broker on {config.plain_host}:{config.port}")
            async with in_thread(broker(folder, config)) as found:
                door = found.private
                # No client of the gate can have this id, and with it our session.
                name = f"internal:{settings.mqtt_client}"
                us = Broker("127.0.0.1", door.port_v5, name, door.user, door.secret)
                yield Field(us, found.port, found)
        case Embedded():
            yield Field(Broker("", 0, ""), 0)
        case MqttAddress(host, port, user, password, tls, ca, cert, key):
            us = Broker(host, port, settings.mqtt_client, user, password, tls, ca, cert, key)
            yield Field(us, port)


@asynccontextmanager
async def log_of(
    settings: Settings, store: str, listener: Listener
) -> AsyncIterator[tuple[Log, RoleWork | None]]:
    """The event log, and the role to keep running for it alone."""
    match settings.log:
        case SameAsStore():
            async with open_log(store, listener, relaxed=True) as log:
                yield log, None
        case PostgresDsn(dsn):
            own = Listener(dsn)
            async with open_log(dsn, own) as log:
                yield log, own.run
        case KafkaAddress() as address:
            async with open_kafka(address, member=settings.member) as kafka:
                yield kafka, kafka.watch


async def county_of(
    engine: AsyncEngine, given: County | None, settings: Settings, progress: Progress
) -> Registered:
    if given is not None:
        source = f"folder {settings.county.resolve()}" if settings.county is not None else "built in"
        if not await take_up(engine, given, source, wall_now()):
            progress(
                f"the registry has been edited and stays as it is; it differs from {source}: see `tongluo registry "
                "diff --replace FOLDER`, and `tongluo registry import --replace FOLDER` to take the folder's"
            )
    found = await newest(engine)
    if found is None:
        raise SettingsError(
            "no county is registered yet: set TONGLUO_COUNTY to a folder with county.toml and divisions.csv"
        )
    return found


async def clock_of(settings: Settings, engine: AsyncEngine) -> Clock:
    match settings.clock:
        case ClockKind.WALL:
            return WallClock()
        case ClockKind.EVENT:
            async with engine.connect() as connection:
                newest: datetime | None = await connection.scalar(text("SELECT max(time) FROM latest"))
            return EventClock(newest)
