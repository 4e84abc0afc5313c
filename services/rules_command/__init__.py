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
    schema = command(tasks, "schema", "print the JSON Schema of a rule file, for editors")
    schema.add_argument("--out", type=Path, metavar="FILE", help="write it there instead")


async def run(arguments: argparse.Namespace, settings: Any) -> int:
    """Carry out the chosen task; returns the exit code. Raises TongluoError."""
    from services.rules_command import command

    return await command.TASKS[arguments.task](arguments, settings)
