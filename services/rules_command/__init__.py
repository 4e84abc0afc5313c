"""`tongluo rules …`: the rule catalogue, looked at before it is put to use.

What a task needs is imported when it runs, so that the command line stays quick. A task is a parser here and a function in
command.py.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

AddCommand = Callable[[Any, str, str], argparse.ArgumentParser]

_FOLDER: Final = "a folder of rule files and tables; `shipped` is the catalogue that comes with the program"


def add(tasks: Any, command: AddCommand) -> None:
    """Add every task's parser."""
    check = command(tasks, "check", "say everything that is wrong with rule files and tables, by line")
    check.add_argument(
        "folder", nargs="?", metavar="FOLDER", help=f"{_FOLDER} (default: TONGLUO_RULES, else shipped)"
    )
    show = command(tasks, "show", "list the rules, or show one with the thresholds of every station")
    show.add_argument("rule", nargs="?", metavar="RULE", help="the id of a rule")
    diff = command(tasks, "diff", "say in sentences what differs between two catalogues")
    diff.add_argument("old", metavar="A", help=_FOLDER)
    diff.add_argument("new", metavar="B", help="another one")
    diff.add_argument("--json", action="store_true", help="print one JSON object per difference")
    _add_replay(
        command(tasks, "replay", "judge history by the rules and say how well that met what happened")
    )
    schema = command(tasks, "schema", "print the JSON Schema of a rule file, for editors")
    schema.add_argument("--out", type=Path, metavar="FILE", help="write it there instead")


def _add_replay(replay: argparse.ArgumentParser) -> None:
    replay.description = (
        "Run the engine over history and report every alert it would have raised, beside other rules and true events. "
        "Files: CSV or Parquet with the columns time, station, metric, value; without files, the installation's readings."
    )
    replay.add_argument(
        "files", type=Path, nargs="*", metavar="FILE", help="CSV or Parquet (default: the store)"
    )
    replay.add_argument(
        "--from", dest="begin", metavar="TIME", help="report from then on; what lies before is judged too"
    )
    replay.add_argument(
        "--to", dest="end", metavar="TIME", help="a time with its zone, or a day (which counts whole)"
    )
    replay.add_argument(
        "--rules",
        metavar="PATH",
        help=f"rules to try, beside those in force: {_FOLDER}; or a file, in place of its rule",
    )
    replay.add_argument("--against", metavar="FOLDER", help="compare with these instead of those in force")
    replay.add_argument(
        "--registry",
        type=Path,
        action="append",
        metavar="FILE",
        help="sites and stations, as `registry` takes them",
    )
    replay.add_argument(
        "--events",
        type=Path,
        metavar="FILE.csv",
        help="what happened: time (or start, end), site, hazard, kind",
    )
    replay.add_argument(
        "--detections", type=Path, metavar="FILE.jsonl", help="detections of cameras, one JSON object a line"
    )
    replay.add_argument(
        "--level", default="yellow", help="an alert counts from this level on (default: yellow)"
    )
    replay.add_argument(
        "--lead-max",
        default="24h",
        metavar="SPAN",
        help="how long before an event an alert may end to count (default: 24h)",
    )
    replay.add_argument("--station", help="the station of a CSV without a station column")
    replay.add_argument("--metric", help="the metric of a CSV without a metric column")
    replay.add_argument(
        "--site-kind",
        metavar="KIND",
        help="what stations that are not registered watch: catchment, slope, tailings_pond",
    )
    replay.add_argument("--zone", metavar="+08:00", help="the offset of times that have none")
    replay.add_argument(
        "--json", action="store_true", help="print one JSON object per level change, and nothing else"
    )
    replay.add_argument("--report", type=Path, metavar="FILE.html", help="write a page with plots")


async def run(arguments: argparse.Namespace, settings: Any) -> int:
    """Carry out the chosen task; returns the exit code. Raises TongluoError."""
    from services.rules_command import command

    return await command.TASKS[arguments.task](arguments, settings)
