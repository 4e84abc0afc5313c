"""`tongluo replay`: a recorded series into a private instance in replay mode, or into a running one."""

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiomqtt
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlalchemy import text

from services import counties
from services.app import Running, start
from services.embedded.ports import free_port
from services.replay.feed import Target, feed
from services.replay.recording import Recording, RecordingError, Sample, read
from services.settings import ClockKind, Embedded, Role, SameAsStore, Settings
from services.settle import settle
from tongluo.clock import wall_now
from tongluo.errors import MissingPartError
from tongluo.hazards import hazard_name
from tongluo.reading import METRICS
from tongluo.region import County, Gateway, Site, SiteKind, Station, StationKind

_screen = Console(stderr=True)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Wish(msgspec.Struct, frozen=True):
    """What the command line asked for. `speed` None: as fast as possible."""

    file: Path
    station: str | None
    metric: str
    speed: float | None
    broker: str | None
    stay: bool
    as_json: bool


async def replay(settings: Settings, wish: Wish) -> None:
    """Raises RecordingError, MissingPartError."""
    if wish.metric not in METRICS:
        raise RecordingError(f"unknown metric {wish.metric}; known are {', '.join(METRICS)}")
    try:
        with wish.file.open(encoding="utf-8-sig", newline="") as lines:
            recording = read(lines, str(wish.file), wish.station, wish.metric)
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"cannot read {wish.file}: {error}") from error
    county = counties.chosen(settings)
    if wish.broker is not None:
        await _into_running(wish, recording, county)
    else:
        recording, names = with_ids(recording)
        await _into_private(settings, wish, recording, with_stations(county, recording, wish.metric, names))


async def _into_running(wish: Wish, recording: Recording, county: County) -> None:
    """Feed a live instance: its stations must be registered there, and the times are moved to now."""
    unknown = [name for name in recording.stations if name not in county.stations]
    if unknown:
        raise RecordingError(
            f"stations {', '.join(unknown)} are not registered in {county.name}: choose with --station"
        )
    who, _, where = (wish.broker or "").rpartition("@")
    user, _, password = who.partition(":")
    host, _, port = where.rpartition(":")
    samples = shifted(recording.samples, wall_now(), from_now_on=wish.speed == 1.0)
    target = Target(host or "127.0.0.1", int(port), _gateways(county), user or None, password or None)
    await _feed(target, samples, wish)
    _screen.print(f"{len(samples)} readings sent; {recording.missing} rows had no value")


def shifted(samples: tuple[Sample, ...], now: datetime, *, from_now_on: bool) -> tuple[Sample, ...]:
    """The series moved in time: beginning now when it will be sent at its own pace, else ending now."""
    anchor = samples[0] if from_now_on else samples[-1]
    by = now - anchor.time
    return tuple(msgspec.structs.replace(sample, time=sample.time + by) for sample in samples)


async def _into_private(settings: Settings, wish: Wish, recording: Recording, county: County) -> None:
    async with _private(settings, county) as running:
        target = Target("127.0.0.1", running.field.gateway_port, _gateways(county))
        messages = await _feed(target, recording.samples, wish)
        with _screen.status("waiting until everything has been judged"):
            await settle(running, messages)
        await _report(running, recording, wish)
        if wish.stay:
            _screen.print(
                f"the page stays at {running.http_url} (admin / {running.admin_password}) until Ctrl-C"
            )
            await asyncio.Event().wait()


@asynccontextmanager
async def _private(settings: Settings, county: County) -> AsyncIterator[Running]:
    """An instance of our own on free ports, in replay mode, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tongluo-replay-") as folder:
        own = settings.model_copy(
            update={
                # Whatever the environment says of a real installation: nothing of it is touched.
                "store": Embedded(),
                "log": SameAsStore(),
                "mqtt": Embedded(),
                "roles": frozenset(Role),
                "http_host": "127.0.0.1",
                "data": Path(folder),
                "clock": ClockKind.EVENT,
                "mqtt_host": "127.0.0.1",
                "mqtt_anonymous": "yes",
                "mqtt_tls_port": None,
                "mqtt_share": None,
                "sparkplug_host": "off",
                "sl651_port": None,
                "snapshots": None,
                "mqtt_port": free_port(),
                "mqtt5_port": free_port(),
                "http_port": free_port(),
            }
        )
        _screen.print("starting a private instance in replay mode")
        async with start(own, county, lambda words: _screen.print(f"  {words}", style="dim")) as running:
            await running.supervisor.ready()
            yield running


async def _feed(target: Target, samples: tuple[Sample, ...], wish: Wish) -> int:
    bar = Progress(
        TextColumn("replaying"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("readings"),
        TimeRemainingColumn(),
        console=_screen,
    )
    try:
        with bar:
            task = bar.add_task("replay", total=len(samples))
            return await feed(
                target, samples, wish.metric, wish.speed, lambda count: bar.advance(task, count)
            )
    except aiomqtt.MqttError as error:
        raise MissingPartError(
            f"the MQTT broker at {target.host}:{target.port} does not take it: {error}"
        ) from error


def _gateways(county: County) -> dict[str, str]:
    return {station.id: station.gateway for station in county.stations.values()}


def with_ids(recording: Recording) -> tuple[Recording, dict[str, str]]:
    """The recording with stations that can be registered, and by their ids what the file calls them.

    A file may name its stations as it likes; an id is of letters, digits, `-` and `_`.
    """
    ids = {
        name: name if _ID.fullmatch(name) else f"REPLAY-STATION-{nth}"
        for nth, name in enumerate(recording.stations)
    }
    samples = tuple(msgspec.structs.replace(one, station=ids[one.station]) for one in recording.samples)
    return msgspec.structs.replace(recording, samples=samples), {id_: name for name, id_ in ids.items()}


def with_stations(county: County, recording: Recording, metric: str, names: Mapping[str, str]) -> County:
    """The county with every recorded station in it that it does not know: a private instance refuses nobody."""
    gateway = Gateway("REPLAY", "replay")
    place = next(iter(county.places.values()), None)
    latitude, longitude = (place.latitude, place.longitude) if place is not None else (0.0, 0.0)
    sites, stations = dict(county.sites), dict(county.stations)
    for name in recording.stations:
        known = stations.get(name)
        if known is not None:
            if metric not in known.metrics:
                stations[name] = msgspec.structs.replace(known, metrics=(*known.metrics, metric))
            continue
        site = Site(f"REPLAY-{len(sites)}", names[name], SiteKind.CATCHMENT, county.code, latitude, longitude)
        sites[site.id] = site
        stations[name] = Station(
            name,
            names[name],
            StationKind.RAIN_GAUGE,
            site.id,
            gateway.id,
            latitude,
            longitude,
            (metric,),
            3600,
        )
    return msgspec.structs.replace(
        county, sites=sites, stations=stations, gateways={**county.gateways, gateway.id: gateway}
    )


async def _report(running: Running, recording: Recording, wish: Wish) -> None:
    async with running.engine.connect() as connection:
        alerts = [
            dict(row)
            for row in (
                await connection.execute(
                    text(
                        "SELECT a.id, a.hazard, a.onset, a.site, a.peak, a.level, a.updated, "
                        "array_agg(concat_ws(' ', r.transition, r.level_to) ORDER BY r.no) AS course, "
                        "(SELECT evidence FROM report w WHERE w.alert = a.id AND w.level_to = a.peak "
                        " ORDER BY w.no LIMIT 1) AS evidence "
                        "FROM alert a JOIN report r ON r.alert = a.id GROUP BY a.id ORDER BY a.onset"
                    )
                )
            ).mappings()
        ]
        refused = await connection.scalar(text("SELECT coalesce(sum(times), 0) FROM quarantine"))
    if wish.as_json:
        for alert in alerts:
            print(json.dumps(_json(alert), ensure_ascii=False))  # noqa: T201 - the command's output
        return
    _table(alerts)
    _screen.print(
        f"{len(recording.samples)} readings replayed, {recording.missing} rows without a value, "
        f"{refused} refused, {len(alerts)} alerts"
    )


def _json(alert: dict[str, Any]) -> dict[str, Any]:
    return {
        "alert": alert["id"],
        "hazard": alert["hazard"],
        "site": alert["site"],
        "onset": alert["onset"].isoformat(),
        "peak": alert["peak"],
        "cleared": alert["updated"].isoformat() if alert["level"] is None else None,
        "course": alert["course"],
        "evidence": alert["evidence"],
    }


def _table(alerts: list[dict[str, Any]]) -> None:
    table = Table(title="alerts raised")
    for name in ("onset (UTC)", "hazard", "peak", "course", "at the peak", "cleared (UTC)"):
        table.add_column(name)
    colours = {"blue": "blue", "yellow": "yellow", "orange": "dark_orange", "red": "red"}
    for alert in alerts:
        measures = alert["evidence"].get("measures", [])
        table.add_row(
            f"{alert['onset']:%Y-%m-%d %H:%M}",
            hazard_name(alert["hazard"]).en,
            f"[bold {colours[alert['peak']]}]{alert['peak']}[/]",
            " → ".join(alert["course"]),
            "  ".join(f"{one['name']['en']} {one['value']:g} {one['unit']}" for one in measures),
            f"{alert['updated']:%Y-%m-%d %H:%M}" if alert["level"] is None else "still open",
        )
    Console().print(table)


def speed_of(words: str) -> float | None:
    """`max` or a positive number. Raises ValueError."""
    if words == "max":
        return None
    speed = float(words)
    if not 0 < speed < 1e9:
        raise ValueError(words)
    return speed
