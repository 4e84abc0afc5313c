"""`tongluo demo`: the whole way on one machine, from a simulated gauge to a township's loudspeaker."""

import asyncio
import os
import secrets
import shlex
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import text

from services import counties
from services.app import Running, start
from services.embedded.folder import prepare_folder
from services.embedded.ports import accepts, free_port, require_free
from services.settings import ClockKind, Embedded, Role, SameAsStore, Settings, is_loopback
from tongluo.clock import wall_now
from tongluo.errors import MissingPartError, SettingsError
from tongluo.region import County

LOUDSPEAKER: Final = "demo"
REPLAY_DATA: Final = Path("data-replay")
_STOP_S: Final = 5.0


class Say:
    """Progress on the terminal, with the seconds since the start."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()

    def __call__(self, words: str) -> None:
        print(f"[{time.monotonic() - self._started_s:5.1f} s] {words}", flush=True)  # noqa: T201 - a terminal program


async def demo(settings: Settings, run_for_s: float | None) -> None:
    """Run until cancelled or for `run_for_s` seconds."""
    _require_own_servers(settings)
    settings = with_own_folder(settings).model_copy(update={"mqtt_anonymous": "yes"})
    say = Say()
    county = counties.chosen(settings)
    try:
        # The loudspeaker first, the simulator last: whoever speaks finds somebody who listens.
        name = f"{county.name}应急广播（演示）"
        async with _loudspeaker(settings, name) as (url, secret), start(settings, county, say) as running:
            await _subscribe(running, name, url, secret)
            await running.supervisor.ready()
            async with _simulator(running):
                _welcome(say, running, county, await _newest_reading(running))
                await _until_over(say, running, run_for_s)
    finally:
        say("stopped")


def _require_own_servers(settings: Settings) -> None:
    """A simulated storm must never reach a real store, or real townships."""
    if (settings.store, settings.log, settings.mqtt) != (Embedded(), SameAsStore(), Embedded()):
        raise SettingsError(
            "the demonstration runs on its own servers: unset TONGLUO_STORE, TONGLUO_LOG, TONGLUO_MQTT"
        )
    if not is_loopback(settings.mqtt_host) or settings.mqtt_tls_port is not None:
        raise SettingsError(
            "the demonstration's gateways are anonymous: unset TONGLUO_MQTT_HOST and TONGLUO_MQTT_TLS_PORT"
        )
    if settings.roles != frozenset(Role):
        raise SettingsError("the demonstration runs all roles: unset TONGLUO_ROLES")


def with_own_folder(settings: Settings) -> Settings:
    """In replay mode the demonstration has a folder of its own, unless one is set.

    What is older than a live run's newest reading counts as back-fill, which is kept and never judged: in the live
    run's folder the rain of another year would raise nothing.
    """
    if settings.clock is ClockKind.WALL or "data" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"data": REPLAY_DATA})


async def _newest_reading(running: Running) -> datetime | None:
    async with running.engine.connect() as connection:
        newest: datetime | None = await connection.scalar(text("SELECT max(time) FROM latest"))
    return newest


async def _until_over(say: Say, running: Running, run_for_s: float | None) -> None:
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_tell_first_reading(say, running), name="first reading")
        if run_for_s is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(run_for_s)
            say(f"{run_for_s:.0f} s are over (DEMO_FOR): stopping")
            watching.cancel()


async def _tell_first_reading(say: Say, running: Running) -> None:
    pulse = running.supervisor.pulses["record readings"]
    await pulse.counted("readings", 1)
    say("the first readings are in")


def _welcome(say: Say, running: Running, county: County, newest: datetime | None) -> None:
    if running.admin_password is not None:
        login = f"account admin, password {running.admin_password}   (shown only this once)"
    else:
        folder = f"TONGLUO_DATA={shlex.quote(str(running.settings.data))} "
        login = (
            f"account admin, with the password shown at the first start (forgotten: {folder}tongluo password)"
        )
    lines = [
        "",
        f"  铜锣 Tongluo     {running.http_url}",
        f"  log in           {login}",
        f"  data             {running.settings.data.resolve()}",
        f"  gateways (MQTT)  127.0.0.1:{running.field.gateway_port}, 3.1.1 and 5, anonymous, loopback only",
        "",
        "  send a reading of your own:",
        f"    {_example(running, county)}",
        "",
        *_what_comes(running.settings.clock, newest),
        "  Ctrl-C stops everything; the data stay.",
        "",
    ]
    say("ready")
    print("\n".join(lines), flush=True)  # noqa: T201


def _what_comes(clock: ClockKind, newest: datetime | None) -> list[str]:
    if clock is ClockKind.WALL:
        return ["  A simulated storm is on its way; its rain and all coordinates are invented."]
    words = ["  Replay mode: now is the newest event time seen; no simulator, waiting for outside input."]
    if newest is not None:
        words += [
            f"  This folder has readings: now is {newest.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}. What is much older is "
            "kept but not judged:",
            "  to replay an earlier time, set TONGLUO_DATA to a new folder.",
        ]
    return words


def _example(running: Running, county: County) -> str:
    """A line to copy: a reading of the county's first rain gauge, by a client that is not ours."""
    gauge = next((station for station in county.stations.values() if "rain" in station.metrics), None)
    if gauge is None:
        return "(this county has no rain gauge)"
    return (
        f"mosquitto_pub -p {running.field.gateway_port} -q 1 -t tongluo/v1/{gauge.gateway}/readings -m "
        f'\'{{"station":"{gauge.id}","metric":"rain","time":"\'$(date -Iseconds)\'","value":0.5}}\''
    )


@asynccontextmanager
async def _loudspeaker(settings: Settings, name: str) -> AsyncIterator[tuple[str, str]]:
    """A township's broadcast system as a program of its own; gives the address of its hook and its secret."""
    home = prepare_folder(prepare_folder(settings.data) / "demo")
    port = _kept_port(home / "loudspeaker.port")
    secret = _kept_secret(home / "loudspeaker.secret")
    arguments = ["--listen", f"127.0.0.1:{port}", "--secret-file", str(secret), "--name", name]
    async with _child("sensors.loudspeaker", arguments):
        await _listens(port)
        yield f"http://127.0.0.1:{port}/hook", secret.read_text()


def _kept_port(file: Path) -> int:
    """The port of the last time if it is still free: reports that wait for the loudspeaker know it by its address."""
    with suppress(OSError, ValueError, MissingPartError):
        port = int(file.read_text())
        require_free(port, "the loudspeaker", "")
        return port
    port = free_port()
    file.write_text(str(port))
    return port


def _kept_secret(file: Path) -> Path:
    if not file.exists():
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text("whsec_" + b64encode(secrets.token_bytes(32)).decode())
        draft.rename(file)  # whole or not at all
    return file


async def _listens(port: int) -> None:
    """Wait until the loudspeaker can hear: a report that finds nobody would be late."""
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            while not await asyncio.to_thread(accepts, port):  # noqa: ASYNC110 - a foreign port rings no bell
                await asyncio.sleep(0.05)


async def _subscribe(running: Running, name: str, url: str, secret: str) -> None:
    async with running.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO subscription (id, name, url, secret, hazards, min_level, areas, enabled, created) "
                "VALUES (:id, :name, :url, :secret, '{}', 'blue', '{}', true, :now) "
                "ON CONFLICT (id) DO UPDATE SET url = excluded.url, secret = excluded.secret, enabled = true, "
                "ended = NULL"
            ),
            {"id": LOUDSPEAKER, "name": name, "url": url, "secret": secret, "now": wall_now()},
        )


@asynccontextmanager
async def _simulator(running: Running) -> AsyncIterator[None]:
    """The field, unless somebody else feeds us in replay mode."""
    if running.settings.clock is ClockKind.EVENT:
        yield
        return
    memory = prepare_folder(running.settings.data / "demo") / "simulator.json"
    arguments = ["--broker", f"127.0.0.1:{running.field.gateway_port}", "--memory", str(memory)]
    async with _child("sensors.simulator", arguments):
        yield


@asynccontextmanager
async def _child(module: str, arguments: list[str]) -> AsyncIterator[None]:
    """A program beside us that ends with us, however we end: it watches its standard input."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        "--die-with-parent",
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    watching = asyncio.ensure_future(_watch(module, process))
    try:
        yield
    finally:
        watching.cancel()
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _watch(module: str, process: asyncio.subprocess.Process) -> None:
    """A part of the demonstration that dies does not die in silence."""
    code = await process.wait()
    print(f"{module} has ended by itself (exit code {code}): start the demonstration again", flush=True)  # noqa: T201
