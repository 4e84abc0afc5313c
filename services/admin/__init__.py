"""`tongluo admin TASK`: what an integrator does once, or when the registry has changed. One file per task.

What a task needs is imported when it runs, so that the command line stays quick.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

AddCommand = Callable[[Any, str, str], argparse.ArgumentParser]


def add(tasks: Any, command: AddCommand) -> None:
    """Add every task's parser."""
    _add_mosquitto(
        command(tasks, "mosquitto", "write Mosquitto's passwords and access list from the registry")
    )

    _add_gateways(
        command(tasks, "gateways", "make, show and renew the gateways' passwords at the embedded broker")
    )

    topics = command(tasks, "topics", "make the event log's topics on Kafka, or correct their settings")
    topics.add_argument(
        "--replication", type=int, default=1, choices=range(1, 8), help="replicas of a new topic (default: 1)"
    )


async def run(arguments: argparse.Namespace, settings: Any) -> None:
    """Carry out the chosen task. Raises TongluoError."""
    match arguments.task:
        case "mosquitto":
            from services.admin import mosquitto

            await mosquitto.run(arguments, settings)
        case "gateways":
            from services.admin import gateways

            await gateways.run(arguments, settings)
        case "topics":
            from services.admin import topics

            await topics.run(arguments, settings)


def _add_gateways(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Bring the passwords of the embedded broker's gateways up to the registry, in TONGLUO_DATA/gateways. A running "
        "broker takes them up by itself; whoever is connected with a password that counts no longer is disconnected."
    )
    parser.add_argument(
        "--show", metavar="USER", action="append", default=[], help="print this user's password; repeatable"
    )
    _add_rotate(parser)


def _add_rotate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rotate",
        metavar="USER",
        action="append",
        default=[],
        help="a new password for this user; repeatable",
    )


def _add_mosquitto(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write Mosquitto's `passwords` and `acl` for the registered gateways and for ingest. The passwords in plain "
        "are kept in `credentials.csv`, for those who set up the gateways; a gateway that has one keeps it, so that "
        "running this again changes nothing unless the registry has changed."
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", required=True, help="where the files are kept")
    parser.add_argument(
        "--county",
        type=Path,
        metavar="FOLDER",
        help="county.toml and divisions.csv (default: the county registered in the store, then TONGLUO_COUNTY)",
    )
    _add_rotate(parser)
    parser.add_argument(
        "--reload",
        metavar="PIDFILE|PID",
        help="have this Mosquitto read the files if any has changed; nobody else is disturbed",
    )
    parser.add_argument(
        "--ingests",
        metavar="N",
        type=int,
        help="so many ingest processes share the field (TONGLUO_MQTT_SHARE), as tongluo-ingest-0 and on; kept once given",
    )
    parser.add_argument(
        "--address",
        metavar="URL",
        help="where ingest finds the broker, such as mqtts://HOST:8883?ca=/path/ca.crt; with ingest's password it "
        "is written to `ingest.address`, for TONGLUO_MQTT_FILE",
    )
