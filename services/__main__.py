"""The command line: `tongluo run | demo | replay | doctor | password | migrate | registry | rules | admin | version`."""

import argparse
import asyncio
import logging
import os
import re
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from services import admin, registry, rules_command
from tongluo import __version__, duration
from tongluo.errors import TongluoError

OK, FAILED, USAGE = 0, 1, 2


class UsageError(TongluoError):
    """The command line asks for something that does not go together."""


def main() -> None:
    """Entry point of the `tongluo` command. Exit codes: 0 well, 1 something to mend, 2 wrong usage."""
    arguments = parser().parse_args()
    if arguments.command == "version":
        print(f"tongluo {__version__}")  # noqa: T201 - a terminal program
        sys.exit(OK)
    try:
        sys.exit(_run(_COMMANDS[arguments.command](arguments)))
    except TongluoError as error:
        print(f"tongluo: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(USAGE if isinstance(error, UsageError) else FAILED)
    except BrokenPipeError:
        # Whoever read along has seen enough (`tongluo doctor | head`). Nothing may be left to write at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    found = argparse.ArgumentParser(
        prog="tongluo",
        description="Tongluo 铜锣: streaming hazard monitoring and early warning for counties.",
        epilog="Settings are TONGLUO_* variables or a TOML file (--config); docs/settings.md lists them. "
        "Exit codes: 0 well, 1 something to mend (the message says what), 2 wrong usage.",
    )
    commands = found.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = _command(commands, "run", "run the service, or some of its roles, until stopped")
    run.add_argument("--roles", help="comma-separated: ingest,record,rules,notify,console (default: all)")
    demo = _command(commands, "demo", "the whole way on this machine, with a simulated county")
    demo.add_argument(
        "--for", dest="run_for", metavar="SPAN", help="end by itself after SPAN, such as 60s or 5m"
    )
    _add_replay(commands)
    _command(commands, "doctor", "look at every outside part and say what to mend")
    password = _command(commands, "password", "set a new generated password for an account")
    password.add_argument("account", nargs="?", default="admin")
    _add_migrate(commands)
    tasks = commands.add_parser(
        "registry", help="what is registered: check, diff, import, export, history, restore"
    )
    registry.add(tasks.add_subparsers(dest="task", required=True, metavar="TASK"), _command)
    tasks = commands.add_parser("rules", help="the rule catalogue: check, show, diff, schema")
    rules_command.add(tasks.add_subparsers(dest="task", required=True, metavar="TASK"), _command)
    tasks = commands.add_parser("admin", help="tasks of an integrator: `tongluo admin --help` lists them")
    admin.add(tasks.add_subparsers(dest="task", required=True, metavar="TASK"), _command)
    commands.add_parser("version", help="print the version")
    return found


def _command(commands: Any, name: str, words: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=words, description=words.capitalize() + "."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML; variables override it")
    return parser


def _add_replay(commands: Any) -> None:
    parser = _command(commands, "replay", "feed a recorded series through MQTT with its own event times")
    parser.description = (
        "Feed a recorded series (CSV: columns time, value; station where there are several) through MQTT. "
        "Starts a private instance in replay mode, where now is the newest event time seen, and says what was raised. "
        "With --broker it feeds a running instance instead."
    )
    parser.add_argument("file", type=Path, metavar="FILE.csv")
    parser.add_argument("--station", help="the station of a file without a station column")
    parser.add_argument("--metric", default="rain", help="what was measured (default: rain)")
    parser.add_argument("--speed", default="max", help="times faster than it happened, or max (default)")
    parser.add_argument(
        "--broker",
        metavar="[USER:PASSWORD@]HOST:PORT",
        help="feed this running instance, as tongluo-ingest unless it lets anybody in; needs --shift now",
    )
    parser.add_argument(
        "--shift",
        choices=["now"],
        help="move the times: at --speed 1 the series begins now, at any other speed it ends now",
    )
    parser.add_argument(
        "--stay", action="store_true", help="keep the private instance's page open until Ctrl-C"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per alert")


def _add_migrate(commands: Any) -> None:
    parser = _command(commands, "migrate", "move a stopped embedded installation to the real servers")
    parser.description = (
        "Copy the data, the event log with its places and states, and the settings of an embedded installation to "
        "PostgreSQL or TimescaleDB, Apache Kafka and an MQTT broker. The old installation stays as it is; a move that "
        "fails leaves nothing behind."
    )
    parser.add_argument("--store", required=True, metavar="DSN", help="an empty database to move to")
    parser.add_argument(
        "--log", required=True, metavar="kafka://…", help="the cluster to move the event log to"
    )
    parser.add_argument(
        "--mqtt", required=True, metavar="mqtt://…", help="the broker gateways will connect to"
    )
    parser.add_argument("--replication", type=int, default=1, help="replicas of each topic (default: 1)")
    parser.add_argument(
        "--write", type=Path, required=True, metavar="FILE.toml", help="the new settings, for --config"
    )


def _run(work: Coroutine[Any, Any, int]) -> int:
    """Run until done or told to stop; the first signal unwinds everything, in order."""
    import uvloop

    async def until_told() -> int:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        if task is not None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, _stop_once, task)
        try:
            return await work
        except asyncio.CancelledError:
            return OK

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return _unwrapped(runner, until_told())


def _stop_once(task: "asyncio.Task[Any]") -> None:
    """A second Ctrl-C must not interrupt the orderly stop that the first one began."""
    if not task.cancelling():
        task.cancel()


def _unwrapped(runner: asyncio.Runner, work: Coroutine[Any, Any, int]) -> int:
    """What our own task groups gather comes out as the one error it mostly is."""
    try:
        return runner.run(work)
    except BaseExceptionGroup as group:
        ours = group.subgroup(TongluoError)
        if ours is None:
            raise
        error: BaseException = ours
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from group


def _settings(arguments: argparse.Namespace, **overrides: Any) -> Any:
    from services.settings import read_settings

    settings = read_settings(arguments.config, **overrides)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    return settings


async def _service(arguments: argparse.Namespace) -> int:
    from services.app import start
    from tongluo.county_folder import read_folder

    settings = _settings(arguments, **({"roles": arguments.roles} if arguments.roles else {}))
    county = read_folder(settings.county) if settings.county else None
    say = logging.getLogger("tongluo").warning
    async with start(settings, county, lambda words: say("%s", words)) as running:
        if running.admin_password is not None:
            # Printed, not logged: it must not end up in a log file.
            print(f"account admin, password {running.admin_password} (shown only this once)", flush=True)  # noqa: T201
        await running.supervisor.ready()
        say("ready%s", f"; the page is at {running.http_url}" if running.http_url else "")
        await asyncio.Event().wait()
    return OK


async def _demo(arguments: argparse.Namespace) -> int:
    from services.demo import demo

    run_for = arguments.run_for or os.environ.get("DEMO_FOR") or None
    await demo(_settings(arguments), _seconds(run_for) if run_for else None)
    return OK


async def _replay(arguments: argparse.Namespace) -> int:
    from services.replay.command import Wish, replay, speed_of

    try:
        speed = speed_of(arguments.speed)
    except ValueError:
        raise UsageError(f"--speed {arguments.speed}: a positive number, or max") from None
    if (arguments.broker is None) != (arguments.shift is None):
        raise UsageError("--broker and --shift now go together: a live instance takes only readings of now")
    if arguments.broker is not None and not re.fullmatch(r".*:[0-9]{1,5}|[0-9]{1,5}", arguments.broker):
        where = arguments.broker.rpartition("@")[2]
        raise UsageError(f"--broker {where}: HOST:PORT is needed, such as 127.0.0.1:1883")
    wish = Wish(
        file=arguments.file,
        station=arguments.station,
        metric=arguments.metric,
        speed=speed,
        broker=arguments.broker,
        stay=arguments.stay,
        as_json=arguments.json,
    )
    await replay(_settings(arguments), wish)
    return OK


async def _doctor(arguments: argparse.Namespace) -> int:
    from services.doctor import examine

    verdicts = await examine(_settings(arguments))
    for verdict in verdicts:
        mark = "✓" if verdict.well else "✗" if verdict.needed else "–"
        print(f"{mark} {verdict.part:14} {verdict.words}")  # noqa: T201
    ill = [verdict.part for verdict in verdicts if verdict.needed and not verdict.well]
    print(f"\nto mend: {', '.join(ill)}" if ill else "\nall is well")  # noqa: T201
    return FAILED if ill else OK


async def _migrate(arguments: argparse.Namespace) -> int:
    from services.moving.command import Wish, move

    wish = Wish(
        arguments.store, arguments.log, arguments.mqtt, arguments.write, max(1, arguments.replication)
    )
    rows = await move(_settings(arguments), wish, lambda words: print(words, file=sys.stderr))  # noqa: T201
    print(f"moved {rows['reading']} readings, {rows['alert']} alerts, {rows['delivery']} deliveries")  # noqa: T201
    print(f"start with: tongluo run --config {arguments.write}; gateways connect to the new broker")  # noqa: T201
    return OK


async def _password(arguments: argparse.Namespace) -> int:
    from services.passwords import new_password

    password = await new_password(_settings(arguments), arguments.account)
    print(f"account {arguments.account}, new password {password} (shown only this once)")  # noqa: T201
    return OK


async def _admin(arguments: argparse.Namespace) -> int:
    await admin.run(arguments, _settings(arguments))
    return OK


async def _registry(arguments: argparse.Namespace) -> int:
    return await registry.run(arguments, _settings(arguments))


async def _rules(arguments: argparse.Namespace) -> int:
    return await rules_command.run(arguments, _settings(arguments))


def _seconds(words: str) -> float:
    try:
        return duration.parse(words).total_seconds()
    except ValueError as error:
        raise UsageError(str(error)) from error


_COMMANDS = {
    "run": _service,
    "demo": _demo,
    "replay": _replay,
    "doctor": _doctor,
    "password": _password,
    "migrate": _migrate,
    "registry": _registry,
    "rules": _rules,
    "admin": _admin,
}

if __name__ == "__main__":
    main()
