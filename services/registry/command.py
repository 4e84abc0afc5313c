"""The tasks of `tongluo registry`. Exit codes: 0 well, 1 something to mend or not applied."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.registry import screen
from services.settings import Embedded, Settings
from services.store_visit import is_installed, visited
from tongluo.clock import wall_now
from tongluo.errors import MissingPartError, SettingsError
from tongluo.region import County
from tongluo.registry import File, Proposal, changes, propose
from tongluo.registry.export import to_csv, to_geojson, to_toml, to_zip
from tongluo.registry.rows import MOST_FILE_BYTES
from tongluo.store import registry
from tongluo.store.engine import open_store
from tongluo.store.migrate import migrate
from tongluo.store.registry import Edit, Registered

OK, FAILED = 0, 1
_SUFFIXES: Final = frozenset({".toml", ".csv", ".tsv", ".geojson", ".json", ".zip"})


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out the chosen task. Raises SettingsError, MissingPartError, RegistryMoved."""
    out = Console(highlight=False, soft_wrap=True)
    match arguments.task:
        case "check" | "diff" if not is_installed(settings):
            out.print("there is no installation yet: the files are looked at by themselves", style="dim")
            return _told(out, await _proposal(None, arguments), arguments.task)
        case "check" | "diff":
            async with _store(settings) as engine:
                base = await registry.newest(engine)
            return _told(out, await _proposal(base, arguments), arguments.task)
        case task:
            async with _store(settings) as engine:
                return await _TASKS[task](out, engine, arguments)


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[AsyncEngine]:
    async with visited(settings) as dsn, open_store(dsn, pool_size=2) as engine:
        if settings.store == Embedded():
            await asyncio.to_thread(migrate, dsn)
        try:
            yield engine
        except ProgrammingError as error:
            raise MissingPartError(
                "the store's tables are not those of this release: start `tongluo run` of this release once"
            ) from error


async def _proposal(base: Registered | None, arguments: argparse.Namespace) -> Proposal:
    files = read_files(arguments.files)
    return await asyncio.to_thread(
        propose, base.county if base is not None else None, files, replace=arguments.replace
    )


def read_files(paths: Sequence[Path]) -> list[File]:
    """The files, and those in folders among them. Raises SettingsError naming what cannot be read."""
    found: list[File] = []
    size = 0
    for path in paths:
        try:
            inside = (
                sorted(each for each in path.iterdir() if each.suffix.lower() in _SUFFIXES)
                if path.is_dir()
                else [path]
            )
            for each in inside:
                size += each.stat().st_size
                if size > MOST_FILE_BYTES:
                    raise SettingsError(f"{each}: more than {MOST_FILE_BYTES // 1024 // 1024} MiB together")
                found.append(File(str(each), each.read_bytes()))
        except OSError as error:
            raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    return found


def _told(out: Console, proposal: Proposal, task: str) -> int:
    screen.faults(out, proposal.faults)
    if proposal.county is None:
        return FAILED
    if task == "check":
        out.print("all is well", style="green")
    else:
        screen.changes(out, proposal.changes)
    return OK


async def _import(out: Console, engine: AsyncEngine, arguments: argparse.Namespace) -> int:
    base = await registry.newest(engine)
    proposal = await _proposal(base, arguments)
    if _told(out, proposal, "import") == FAILED or proposal.county is None:
        return FAILED
    source = f"file {', '.join(path.name for path in arguments.files)}"
    return await _apply(out, engine, arguments, base, proposal.county, source)


async def _restore(out: Console, engine: AsyncEngine, arguments: argparse.Namespace) -> int:
    base = await registry.newest(engine)
    earlier = await _version(engine, arguments.version)
    screen.changes(out, changes(base.county if base is not None else None, earlier.county))
    return await _apply(out, engine, arguments, base, earlier.county, f"version {arguments.version}")


async def _apply(
    out: Console,
    engine: AsyncEngine,
    arguments: argparse.Namespace,
    base: Registered | None,
    county: County,
    source: str,
) -> int:
    if base is not None and not changes(base.county, county):
        return OK
    if not arguments.yes and not await _consent(out):
        return FAILED
    edit = Edit(_user(), source, arguments.note[:1000])
    over = base.version.no if base is not None else 0
    made = await registry.apply(engine, county, edit, over=over, now=wall_now())
    out.print(f"applied: the registry is at version {made.no}", style="green")
    return OK


async def _consent(out: Console) -> bool:
    if not sys.stdin.isatty():
        out.print("nothing was applied: there is nobody to ask; say --yes", style="yellow")
        return False
    answer = await asyncio.to_thread(input, "apply? [y/N] ")
    if answer.strip().lower() in ("y", "yes", "是"):
        return True
    out.print("nothing was applied", style="yellow")
    return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "command line"


async def _export(out: Console, engine: AsyncEngine, arguments: argparse.Namespace) -> int:
    found = await (
        registry.newest(engine) if arguments.version is None else _version(engine, arguments.version)
    )
    if found is None:
        raise SettingsError("no county is registered yet: `tongluo registry import FILE`")
    if arguments.format == "csv":
        return _export_csv(out, to_csv(found.county), arguments.out)
    text = to_toml(found.county) if arguments.format == "toml" else to_geojson(found.county)
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        _write(arguments.out, text.encode())
        out.print(f"written: {arguments.out}")
    return OK


def _export_csv(out: Console, files: dict[str, str], where: Path | None) -> int:
    if where is None:
        raise SettingsError("--format csv makes several files: give --out FOLDER, or --out FILE.zip")
    if where.suffix.lower() == ".zip":
        _write(where, to_zip(files))
    else:
        for name, text in files.items():
            # With its mark, by which spreadsheets know UTF-8.
            _write(where / name, text.encode("utf-8-sig"))
    out.print(f"written: {where}")
    return OK


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise MissingPartError(f"cannot write {path} ({error.strerror}): choose another place") from error


async def _history(out: Console, engine: AsyncEngine, arguments: argparse.Namespace) -> int:
    screen.history(out, await registry.history(engine, limit=max(1, arguments.limit)))
    return OK


async def _show(out: Console, engine: AsyncEngine, arguments: argparse.Namespace) -> int:
    found = await _version(engine, arguments.version)
    before = await registry.version(engine, arguments.version - 1)
    screen.version(out, found.version)
    screen.changes(out, changes(before.county if before is not None else None, found.county))
    return OK


async def _version(engine: AsyncEngine, no: int) -> Registered:
    found = await registry.version(engine, no)
    if found is None:
        raise SettingsError(f"there is no version {no}: `tongluo registry history` lists them")
    return found


_TASKS: Final = {
    "import": _import,
    "restore": _restore,
    "export": _export,
    "history": _history,
    "show": _show,
}
