"""The composition root: what is started, in which order, from which settings. Read this first.

Resources are nested (the last opened is the first closed); roles run side by side under one supervisor. Below this
file nobody knows whether a part is embedded or far away.
"""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from services import asyncapi
from services.console.accounts import ensure_admin
from services.console.app import build
from services.console.health import Health, build_health
from services.console.hub import Hub
from services.console.room import Keeping, Room
from services.console.server import Server, bind
from services.county_watch import CountyWatch
from services.embedded.broker import EmbeddedBroker, broker
from services.embedded.folder import prepare_folder, sole_user
from services.embedded.identities import gate_config, keep_identities, prepare_identities
from services.embedded.postgres import EmbeddedPostgres, postgres
from services.embedded.process import in_thread
from services.housekeeping import expiring, keeping, trimming
from services.ingest import recorder
from services.ingest.downlink.demand import Demand
from services.ingest.downlink.downlink import Downlink
from services.ingest.follow import Follow
from services.ingest.guests import Guest
from services.ingest.intake import Intake
from services.ingest.keeper import Keeper
from services.ingest.mqtt import Broker
from services.ingest.pipeline import Limits
from services.ingest.requeue import Requeue
from services.ingest.service import Ingest
from services.ingest.sharing import Members, Sharing
from services.ingest.sl651_listener import Sl651Listener
from services.ingest.snapshots import Snapshots
from services.ingest.sparkplug_host import SparkplugHost
from services.lag import lags
from services.notify.desk import Desk
from services.notify.outbox import Outbox
from services.rules.catalogue import RainRule, load, words
from services.rules.service import Rules
from services.settings import ClockKind, Embedded, MqttAddress, PostgresDsn, Role, SameAsStore, Settings
from services.silence import Silence, standing
from tongluo.clock import Clock, EventClock, WallClock, wall_now
from tongluo.errors import MissingPartError, SettingsError
from tongluo.log.kafka import open_kafka
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.port import Log
from tongluo.log.postgres import open_log
from tongluo.postgres import Listener
from tongluo.region import County
from tongluo.sampling import DenseIntervals
from tongluo.store.engine import open_store
from tongluo.store.layout import Layout, layout_of
from tongluo.store.migrate import migrate
from tongluo.store.registry import Registered, newest, take_up
from tongluo.supervise import Pulse, Supervisor
from tongluo.supervise import Role as RoleWork

Progress = Callable[[str], None]

# How long a clean stop waits for gateways that go on sending.
DRAIN_S: Final = 20.0
# A broker on the same machine with something to send is never silent for this long.
QUIET_S: Final = 0.5


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
    rules: tuple[RainRule, ...]

    def described(self) -> County:
        """The county as it is now."""
        return self.watch.county()


@dataclass(frozen=True)
class Running:
    """A program in operation, for who started it."""

    settings: Settings
    supervisor: Supervisor
    log: Log
    engine: AsyncEngine
    field: Field
    http_url: str
    admin_password: str | None


@asynccontextmanager
async def start(settings: Settings, county: County | None, progress: Progress) -> AsyncIterator[Running]:
    """Open everything, run the roles, and close everything at the end.

    `county` is registered first, unless the registry has been edited since; None takes what is registered. Raises
    SettingsError, MissingPartError, RuleError.
    """
    rules = load(settings.rules)
    # What can be refused is tried before anything is touched: a second start must not disturb a running program.
    with _alone(settings), _listening(settings) as (page_socket, health_socket):
        async with _database(settings, progress) as database:
            dsn = database.dsn
            progress("preparing the database")
            await asyncio.to_thread(_migrate, dsn)
            listener = Listener(dsn)
            async with (
                open_store(dsn) as engine,
                open_store(dsn, pool_size=5, relaxed=True) as relaxed,
                _log(settings, dsn, listener) as (log, log_role),
            ):
                watch = CountyWatch(engine, listener, await _county(engine, county, settings, progress))
                clock = await _clock(settings, engine)
                async with _field(settings, watch.county(), progress) as field:
                    parts = Parts(
                        settings,
                        database,
                        log,
                        engine,
                        await layout_of(engine),
                        relaxed,
                        listener,
                        log_role,
                        field,
                        watch,
                        clock,
                        rules,
                    )
                    supervisor = Supervisor()
                    ingest = _add_workers(supervisor, parts)
                    health = Health(
                        supervisor.readiness,
                        partial(lags, log, engine),
                        lambda: standing(engine, parts.described()),
                    )
                    http_url = _add_console(supervisor, parts, health, page_socket)
                    if health_socket is not None:
                        supervisor.add("health", Server(build_health(health), health_socket).run)
                    progress("starting the roles")
                    async with supervisor.running():
                        # Last of all, so that a password that was made is also told.
                        password = await ensure_admin(engine, wall_now())
                        # What is there now stays: the collector need not look through it again and again.
                        gc.freeze()
                        try:
                            yield Running(settings, supervisor, log, engine, field, http_url, password)
                        finally:
                            if field.own is not None and ingest is not None:
                                await _drain(ingest, supervisor.pulses["ingest"], progress)


def _migrate(dsn: str) -> None:
    try:
        migrate(dsn)
    except (SQLAlchemyError, psycopg.Error, ValueError) as error:
        where = str(error).strip().splitlines()[0]
        raise MissingPartError(
            f"the store is not usable ({where}): start PostgreSQL, or correct TONGLUO_STORE"
        ) from error


async def _drain(ingest: Ingest, pulse: Pulse, progress: Progress) -> None:
    """Before a broker of our own is stopped, take what it has acknowledged to gateways and still holds."""
    try:
        async with asyncio.timeout(DRAIN_S):
            await ingest.quiet(pulse, QUIET_S)
    except TimeoutError:
        fault = pulse.fault or "gateways are still sending"
        progress(
            f"not everything was taken from the broker in {DRAIN_S:.0f} s ({fault}): stopping all the same"
        )


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Only one program may keep servers in a data folder; one that keeps none needs no folder."""
    keeps_broker = settings.mqtt == Embedded() and Role.INGEST in settings.roles
    if settings.store != Embedded() and not keeps_broker:
        yield
        return
    with sole_user(prepare_folder(settings.data)):
        yield


@contextmanager
def _listening(settings: Settings) -> Iterator[tuple[socket.socket | None, socket.socket | None]]:
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


def _add_workers(supervisor: Supervisor, parts: Parts) -> Ingest | None:
    """The roles in the order in which a reading meets them; returns ingest, if it is one of them."""
    ingest: Ingest | None = None
    roles, log, engine = parts.settings.roles, parts.log, parts.engine
    if parts.database.own is not None:
        supervisor.add("postgres", parts.database.own.keep)
    supervisor.add("listener", parts.listener.run)
    supervisor.add("registry", parts.watch.run)
    if parts.log_role is not None:
        supervisor.add("log", parts.log_role)
    if parts.field.own is not None:
        supervisor.add("broker", parts.field.own.keep)
        if (folder := parts.field.own.config.identities) is not None:
            supervisor.add("identities", partial(keep_identities, Path(folder), parts.described))
    if Role.INGEST in roles:
        ingest = _add_ingest(supervisor, parts)
    if Role.RECORD in roles:
        _add_recording(supervisor, parts)
    if Role.RULES in roles:
        supervisor.add("rules", Rules(log, parts.rules).run)
    if Role.NOTIFY in roles:
        supervisor.add("desk", Desk(log, engine, parts.described).run)
        supervisor.add("outbox", Outbox(parts.relaxed, parts.listener).run)
    return ingest


def _add_recording(supervisor: Supervisor, parts: Parts) -> None:
    """What the store holds, what goes from it again, and who notices what does not come."""
    settings, log, engine = parts.settings, parts.log, parts.engine
    replayed = settings.clock is ClockKind.EVENT
    readings = recorder.readings(log, parts.relaxed, parts.layout, event_time=replayed)
    supervisor.add("record readings", readings.run)
    supervisor.add("record gateways", recorder.gateways(log, parts.relaxed).run)
    supervisor.add("record detections", recorder.detections(log, parts.relaxed).run)
    supervisor.add("record quarantine", recorder.quarantine(log, parts.relaxed).run)
    supervisor.add("trim log", lambda pulse: trimming(log.trim, engine, pulse))
    silence = Silence(
        log,
        engine,
        parts.listener,
        parts.described,
        parts.clock,
        intervals=settings.silent_after,
        event_time=replayed,
    )
    supervisor.add("silence", silence.run)
    keep = None if replayed else settings.keep_readings
    expiry = partial(
        expiring,
        engine,
        settings.keep_quarantine,
        settings.quarantine_mib * 1024 * 1024,
    )
    supervisor.add("expire quarantine", expiry)
    supervisor.add("keep readings", lambda pulse: keeping(engine, parts.layout, keep, pulse))


def _add_console(
    supervisor: Supervisor, parts: Parts, health: Health, page_socket: socket.socket | None
) -> str:
    """The duty room; returns its address, empty when this process does not serve it."""
    settings = parts.settings
    if page_socket is None:
        return ""
    hub = Hub(parts.engine, parts.listener, parts.described, parts.clock)
    room = Room(
        parts.engine,
        parts.described,
        parts.clock,
        mode="event" if settings.clock is ClockKind.EVENT else "live",
        rules=[words(rule) for rule in parts.rules],
        health=health,
        admin_token=settings.admin_token,
        hub=hub,
        layout=parts.layout,
        snapshots=settings.snapshot_folder,
        asyncapi=asyncapi.document(),
        look=parts.watch.look,
        quarantine=Keeping(settings.keep_quarantine, settings.quarantine_mib * 1024 * 1024),
        silent_after=settings.silent_after,
        timezone=settings.timezone,
    )
    server = Server(build(room), page_socket, hub.close)
    supervisor.add("hub", hub.run)
    supervisor.add("console", server.run)
    return server.url


@asynccontextmanager
async def _database(settings: Settings, progress: Progress) -> AsyncIterator[Database]:
    match settings.store:
        case Embedded():
            folder = prepare_folder(settings.data)
            progress(f"starting PostgreSQL in {folder / 'postgres'}")
            async with in_thread(postgres(folder)) as found:
                yield Database(found.dsn, found)
        case PostgresDsn(dsn):
            yield Database(dsn)


@asynccontextmanager
async def _field(settings: Settings, county: County, progress: Progress) -> AsyncIterator[Field]:
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
async def _log(
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


async def _county(
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


async def _clock(settings: Settings, engine: AsyncEngine) -> Clock:
    match settings.clock:
        case ClockKind.WALL:
            return WallClock()
        case ClockKind.EVENT:
            async with engine.connect() as connection:
                newest: datetime | None = await connection.scalar(text("SELECT max(time) FROM latest"))
            return EventClock(newest)


def _add_ingest(supervisor: Supervisor, parts: Parts) -> Ingest:
    """Everything that listens to the field; all of it goes through one keeper."""
    settings, broker = parts.settings, parts.field.broker
    snapshots = Snapshots(settings.snapshot_folder, settings.snapshots_mb * 2**20)
    intake = _intake(parts)
    keeper = Keeper(parts.log, intake, snapshots)
    guests: list[Guest] = []
    downlink = _add_downlink(supervisor, parts)
    if downlink is not None:
        guests.append(downlink)
    if settings.sparkplug is not None:
        guests.append(SparkplugHost(settings.sparkplug, keeper, intake.places))
    follow = Follow(parts.log, parts.clock, settings.mqtt_client, keeper.hear)
    ingest = Ingest(broker, keeper, guests, share=settings.mqtt_share, before=follow.recall)
    supervisor.add("ingest", ingest.run)
    if settings.mqtt_share is not None:
        members = Members(parts.engine, settings.mqtt_share)
        supervisor.add(
            "share of the field", Sharing(broker, members, ingest, supervisor.pulses["ingest"]).run
        )
        supervisor.add("follow the others", follow.run)
    supervisor.add("requeue", Requeue(parts.engine, parts.log, parts.listener, keeper.keep).run)
    if settings.sl651_port is not None:
        listener = Sl651Listener(settings.sl651_host, settings.sl651_port, keeper.keep_telemetry)
        supervisor.add("ingest sl651", listener.run)
    return ingest


def _add_downlink(supervisor: Supervisor, parts: Parts) -> Downlink | None:
    """Commands to the field. In replay mode nothing is commanded; the levels are kept all the same."""
    live = parts.settings.clock is ClockKind.WALL
    policy = parts.settings.dense_intervals if live else DenseIntervals({})
    demand = Demand(parts.log, parts.relaxed, parts.described, policy)
    supervisor.add("ingest sampling", demand.run)
    if not policy.by_level:
        return None
    downlink = Downlink(parts.engine, parts.database.dsn, parts.listener, demand)
    supervisor.add("ingest downlink", downlink.run)
    return downlink


def _intake(parts: Parts) -> Intake:
    settings = parts.settings
    if settings.clock is ClockKind.EVENT:
        # In replay mode there is no wall to compare with.
        return Intake(parts.described, parts.clock, Limits(None, None), None, settings.mqtt_client)
    limits = Limits(settings.future_limit, settings.past_limit)
    return Intake(parts.described, parts.clock, limits, settings.late_after, settings.mqtt_client)
