"""The tasks of `tongluo rules`. Exit codes: 0 well (diff: no difference or differences told), 1 something to mend."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from services.rules.catalogue import Catalogue, load, read_catalogue
from services.rules.catalogue.diff import changes
from services.rules.catalogue.gaps import gaps
from services.rules.catalogue.schema import schema
from services.rules_command import screen
from services.settings import Settings
from services.store_visit import is_installed, visited
from tongluo.county_folder import read_folder
from tongluo.errors import MissingPartError, RuleError, SettingsError
from tongluo.region import County
from tongluo.store import registry
from tongluo.store.engine import open_store

OK, FAILED = 0, 1


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _folder(words: str | None, settings: Settings) -> Path | None:
    """The folder that is meant; None for the shipped catalogue."""
    if words is None:
        return settings.rules
    return None if words == "shipped" else Path(words)


async def _county(settings: Settings) -> County | None:
    """What is registered, else the county of TONGLUO_COUNTY, if there is one."""
    if is_installed(settings):
        async with visited(settings) as dsn, open_store(dsn, pool_size=1) as engine:
            newest = await registry.newest(engine)
        if newest is not None:
            return newest.county
    return None if settings.county is None else read_folder(settings.county)


async def _check(arguments: argparse.Namespace, settings: Settings) -> int:
    out = _console()
    county = await _county(settings)
    try:
        catalogue = read_catalogue(load(_folder(arguments.folder, settings)), county)
    except RuleError as error:
        screen.faults(out, error.faults)
        return FAILED
    if county is None:
        out.print("no county is known: sites and stations were not looked up", style="dim")
    else:
        screen.gaps(out, gaps(catalogue, county))
    out.print(f"no fault: {len(catalogue.rules)} rules, version {catalogue.version}", style="green")
    return OK


async def _show(arguments: argparse.Namespace, settings: Settings) -> int:
    out = _console()
    county = await _county(settings)
    catalogue = read_catalogue(load(settings.rules), county)
    if arguments.rule is None:
        screen.rules(out, catalogue)
        return OK
    rule = catalogue.rule(arguments.rule)
    if rule is None:
        known = ", ".join(each.id for each in catalogue.rules)
        raise SettingsError(f"there is no rule {arguments.rule}; there are {known}")
    screen.rule(out, catalogue, rule, county)
    return OK


async def _diff(arguments: argparse.Namespace, settings: Settings) -> int:
    out = _console()
    read: list[Catalogue] = []
    for words in (arguments.old, arguments.new):
        try:
            read.append(read_catalogue(load(_folder(words, settings))))
        except RuleError as error:
            out.print(f"{words}:", style="bold", markup=False)
            screen.faults(out, error.faults)
    if len(read) < 2:
        return FAILED
    found = changes(*read)
    if arguments.json:
        for change in found:
            sys.stdout.write(msgspec.json.encode(change).decode() + "\n")
    else:
        screen.changes(out, found)
    return OK


async def _schema(arguments: argparse.Namespace, settings: Settings) -> int:
    if arguments.out is None:
        sys.stdout.write(schema())
        return OK
    try:
        arguments.out.write_text(schema(), "utf-8")
    except OSError as error:
        raise MissingPartError(
            f"cannot write {arguments.out} ({error.strerror}): choose another place"
        ) from error
    return OK


async def _replay(arguments: argparse.Namespace, settings: Settings) -> int:
    # DuckDB, the kernels and the plots are for this task alone.
    from services.rules_command import replay

    return await replay.replay(arguments, settings)


TASKS: Final[Mapping[str, Callable[[argparse.Namespace, Settings], Awaitable[int]]]] = {
    "check": _check,
    "show": _show,
    "diff": _diff,
    "replay": _replay,
    "schema": _schema,
}
