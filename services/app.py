"""The composition root: what is started, in which order, from which settings. Read this first.

Resources are nested (the last opened is the first closed); roles run side by side under one supervisor. Below this
file nobody knows whether a part is embedded or far away.
"""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from services import asyncapi
from services.console.accounts import ensure_admin
from services.console.app import build
from services.console.health import Health, build_health
from services.console.hub import Hub
from services.console.replays import Replays, ReplayWish, Report
from services.console.room import Keeping, Room
from services.console.rulebook import Book, Rulebook, noting
from services.console.server import Server
from services.county_watch import CountyWatch
from services.embedded.identities import keep_identities
from services.housekeeping import expiring, keeping, trimming
from services.ingest import recorder
from services.ingest.downlink.demand import Demand
from services.ingest.downlink.downlink import Downlink
from services.ingest.follow import Follow
from services.ingest.guests import Guest
from services.ingest.intake import Intake
from services.ingest.keeper import Keeper
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
from services.parts import (
    Field,
    Parts,
    Progress,
    alone,
    clock_of,
    county_of,
    database_of,
    field_of,
    listening,
    log_of,
    prepare_store,
)
from services.rules.catalogue import Catalogue, load, read_catalogue
from services.rules.summary import summary
from services.rules_watch import open_rules
from services.settings import ClockKind, Role, Settings
from services.silence import Silence, standing
from tongluo.clock import wall_now
from tongluo.log.port import Log
from tongluo.postgres import Listener
from tongluo.region import County
from tongluo.sampling import DenseIntervals
from tongluo.store.engine import open_store
from tongluo.store.layout import layout_of
from tongluo.store.rules import BUILT_IN
from tongluo.supervise import Pulse, Supervisor

# How long a clean stop waits for gateways that go on sending.
DRAIN_S: Final = 20.0
# A broker on the same machine with something to send is never silent for this long.
QUIET_S: Final = 0.5


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
    files = load(settings.rules)
    read_catalogue(files)
    # What can be refused is tried before anything is touched: a second start must not disturb a running program.
    with alone(settings), listening(settings) as (page_socket, health_socket):
        async with database_of(settings, progress) as database:
            dsn = database.dsn
            progress("preparing the database")
            await asyncio.to_thread(prepare_store, dsn)
            listener = Listener(dsn)
            async with (
                open_store(dsn) as engine,
                open_store(dsn, pool_size=5, relaxed=True) as relaxed,
                log_of(settings, dsn, listener) as (log, log_role),
            ):
                watch = CountyWatch(engine, listener, await county_of(engine, county, settings, progress))
                rules, _ = await open_rules(engine, listener, read_catalogue, files, _source(settings.rules))
                clock = await clock_of(settings, engine)
                async with field_of(settings, watch.county(), progress) as field:
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


def _source(folder: Path | None) -> str:
    """Where the rules of a start come from, as the history of rules says it."""
    return f"folder {folder.resolve()}" if folder is not None else BUILT_IN


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


def _add_workers(supervisor: Supervisor, parts: Parts) -> Ingest | None:
    """The roles in the order in which a reading meets them; returns ingest, if it is one of them."""
    ingest: Ingest | None = None
    roles, log, engine = parts.settings.roles, parts.log, parts.engine
    if parts.database.own is not None:
        supervisor.add("postgres", parts.database.own.keep)
    supervisor.add("listener", parts.listener.run)
    supervisor.add("registry", parts.watch.run)
    supervisor.add("rule catalogue", parts.rules.run)
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
        _add_rules(supervisor, parts)
    if Role.NOTIFY in roles:
        supervisor.add("desk", Desk(log, engine, parts.described).run)
        supervisor.add("outbox", Outbox(parts.relaxed, parts.listener).run)
    return ingest


def _add_rules(supervisor: Supervisor, parts: Parts) -> None:
    """Station by station, then over the whole county; and what is on trial beside it, which tells nobody."""
    # Here, so that a process without this role starts at once: they load a compiler.
    from services.rules.county_service import CountyRules, CountyWork
    from services.rules.service import TOLD, TOLD_WITH_TIME, Rules, ShadowRules

    log, replayed = parts.log, parts.settings.clock is ClockKind.EVENT
    supervisor.add(
        "rules",
        Rules(log, parts.rules.catalogue, parts.described, output=TOLD_WITH_TIME if replayed else TOLD).run,
    )
    county_wide = CountyWork(parts.rules.catalogue, parts.described)
    supervisor.add("county rules", CountyRules(log, county_wide, parts.clock, ticks=not replayed).run)
    supervisor.add("shadow rules", ShadowRules(log, parts.rules.shadow, parts.described).run)


def _add_recording(supervisor: Supervisor, parts: Parts) -> None:
    """What the store holds, what goes from it again, and who notices what does not come."""
    settings, log, engine = parts.settings, parts.log, parts.engine
    replayed = settings.clock is ClockKind.EVENT
    readings = recorder.readings(log, parts.relaxed, parts.layout, event_time=replayed)
    supervisor.add("record readings", readings.run)
    supervisor.add("record gateways", recorder.gateways(log, parts.relaxed).run)
    supervisor.add("record detections", recorder.detections(log, parts.relaxed).run)
    supervisor.add("record shadow run", recorder.shadow(log, parts.relaxed).run)
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
        rulebook=_rulebook(supervisor, parts),
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


def _rulebook(supervisor: Supervisor, parts: Parts) -> Rulebook[Catalogue]:
    """What the duty room reads and tries rules with."""

    async def replay(wish: ReplayWish) -> Report:
        # Here, for the same reason as the judgements of _add_rules.
        from services.rules_command.skill import skill_report

        return await skill_report(wish, parts.engine, parts.described(), parts.settings.timezone)

    replays = Replays(replay, noting(parts.engine))
    supervisor.add("rules replay", replays.run)
    return Rulebook(
        parts.rules,
        read=lambda files: read_catalogue(files, parts.described()),
        describe=lambda catalogue: Book(catalogue.version, summary(catalogue)),
        replays=replays,
    )


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
