"""`tongluo admin mosquitto`: Mosquitto's passwords and access list, from the gateways of the registry."""

import argparse
import os
import signal
from pathlib import Path

import psutil

from services.admin.registry import county_of
from services.identities import Changes, update
from services.settings import Settings
from tongluo.errors import SettingsError


async def run(arguments: argparse.Namespace, settings: Settings) -> None:
    """Bring the files up to the registry and say what changed. Raises SettingsError, CountyError, MissingPartError."""
    pid = broker_process(arguments.reload) if arguments.reload else None
    county = await county_of(arguments.county, settings)
    changes = update(county, arguments.out, arguments.rotate, arguments.address, arguments.ingests)
    say(arguments.out, changes)
    if changes.written and pid is not None:
        os.kill(pid, signal.SIGHUP)
        print(f"Mosquitto (process {pid}) reads it now")  # noqa: T201 - a terminal program
    elif changes.written:
        print("have Mosquitto read it, without a restart: --reload PIDFILE, or systemctl reload mosquitto")  # noqa: T201


def broker_process(given: str) -> int:
    """The process of Mosquitto, by its number or the file that holds it. Raises SettingsError.

    A signal that makes Mosquitto read its files ends many another program: who is not Mosquitto is left alone.
    """
    try:
        pid = int(given if given.isdecimal() else Path(given).read_text("utf-8"))
        name = psutil.Process(pid).name()
    except (OSError, ValueError, psutil.Error) as error:
        raise SettingsError(f"--reload {given}: there is no such process ({error})") from error
    if name != "mosquitto":
        raise SettingsError(f"--reload {given}: process {pid} is {name}, not mosquitto")
    return pid


def say(out: Path, changes: Changes) -> None:
    """Tell what became of whom."""
    print(f"{len(changes.users)} users, ingest among them, in {out}")  # noqa: T201 - a terminal program
    for words, users in (
        ("new", changes.new),
        ("new password", changes.rotated),
        ("no longer registered, removed", changes.gone),
    ):
        if users:
            print(f"{words}: {', '.join(users)}")  # noqa: T201
    if not changes.written:
        print("nothing has changed")  # noqa: T201
        return
    print(f"written: {', '.join(changes.written)}")  # noqa: T201
