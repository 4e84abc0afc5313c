"""`tongluo registry …`: what is registered, changed from files by whoever may reach the store.

What a task needs is imported when it runs, so that the command line stays quick.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

AddCommand = Callable[[Any, str, str], argparse.ArgumentParser]


def add(tasks: Any, command: AddCommand) -> None:
    """Add every task's parser."""
    for name, words in (
        ("check", "say everything that is wrong with files, by line; change nothing"),
        ("diff", "say what files would change; change nothing"),
        ("import", "lay files over the registry, after showing what changes"),
    ):
        parser = command(tasks, name, words)
        parser.add_argument(
            "files", type=Path, nargs="+", metavar="FILE", help="TOML, CSV, GeoJSON, zip, or a folder of them"
        )
        parser.add_argument(
            "--replace",
            action="store_true",
            help="the files are the whole truth: what they do not name is removed",
        )
        if name == "import":
            _add_consent(parser)
    export = command(tasks, "export", "write the registry out; it reads back as it is")
    export.add_argument("--format", choices=["toml", "csv", "geojson"], required=True)
    export.add_argument(
        "--out", type=Path, metavar="PATH", help="a file; for csv a folder, or a file ending in .zip"
    )
    export.add_argument("--version", type=int, metavar="N", help="an earlier version instead of the newest")
    history = command(tasks, "history", "list the versions, newest first")
    history.add_argument("--limit", type=int, default=20, metavar="N", help="at most so many (default: 20)")
    show = command(tasks, "show", "show who made a version, when, why, and what it changed")
    show.add_argument("version", type=int, metavar="N")
    restore = command(
        tasks, "restore", "make an earlier version the newest again, after showing what changes"
    )
    restore.add_argument("version", type=int, metavar="N")
    _add_consent(restore)


def _add_consent(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="apply without asking")
    parser.add_argument("--note", default="", metavar="TEXT", help="why, for the history")


async def run(arguments: argparse.Namespace, settings: Any) -> int:
    """Carry out the chosen task; returns the exit code. Raises TongluoError."""
    from services.registry import command

    return await command.run(arguments, settings)
