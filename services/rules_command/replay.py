"""`tongluo rules replay`: from the command line to a study, and out as a table, JSON and a page."""

import argparse
import asyncio
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncEngine

from services.registry.command import read_files
from services.rules.catalogue import load, read_catalogue
from services.rules.past.html import html
from services.rules.past.report import line
from services.rules.past.study import Study, looks_back
from services.rules_command import files, past_screen, screen, sightings, stored
from services.rules_command.history import History, HistoryError, opened
from services.rules_command.judging import Files, Wish, study
from services.settings import Settings
from services.store_visit import is_installed, visited
from tongluo import duration
from tongluo.county_folder import read_folder
from tongluo.detection import Detection
from tongluo.errors import CountyError, MissingPartError, RuleError, SettingsError
from tongluo.finding import Level
from tongluo.readings import microseconds
from tongluo.region import County, SiteKind
from tongluo.registry import propose
from tongluo.store import registry, rules
from tongluo.store.engine import open_store

OK, FAILED = 0, 1
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_Aware = Annotated[datetime, msgspec.Meta(tz=True)]
_errors = Console(stderr=True, highlight=False, soft_wrap=True)


async def replay(arguments: argparse.Namespace, settings: Settings) -> int:
    """Exit code 0 well, 1 something to mend. Raises TongluoError."""
    asked = _asked(arguments, ZoneInfo(settings.timezone), settings.silent_after)
    try:
        with _Bars() as shown:
            found = await (_of_files if arguments.files else _of_store)(arguments, settings, asked, shown)
    except RuleError as error:
        screen.faults(_errors, error.faults)
        return FAILED
    if arguments.report is not None:
        _write(arguments.report, html(found))
    if arguments.json:
        _print_json(found)
    else:
        # A file or a pipe takes lines as wide as they are.
        width = None if sys.stdout.isatty() else 160
        past_screen.tell(Console(highlight=False, width=width), found)
    if arguments.report is not None:
        _errors.print(f"written: {arguments.report}", style="dim")
    return OK


class Asked(msgspec.Struct, frozen=True):
    """What the command line says that does not depend on where the history comes from."""

    begin: datetime | None
    end: datetime | None
    level: Level
    lead_max: timedelta
    truth: str | None
    truth_name: str
    silent_after: int
    zone: ZoneInfo
    kind: SiteKind | None

    def wish(self, new: Files, old: Files | None, source: str) -> Wish:
        return Wish(
            files=new,
            against=old,
            source=source,
            begin=self.begin,
            end=self.end,
            level=self.level,
            lead_max=self.lead_max,
            truth=self.truth,
            truth_name=self.truth_name,
            silent_after=self.silent_after,
            zone=self.zone,
            kind=self.kind,
        )


def _asked(arguments: argparse.Namespace, zone: ZoneInfo, silent_after: int) -> Asked:
    """Raises SettingsError with everything that is wrong."""
    faults: list[str] = []

    def said(name: str, parse: Callable[[], Any]) -> Any:
        try:
            return parse()
        except (ValueError, OSError) as error:
            faults.append(f"--{name}: {error}")

    begin = said("from", lambda: _moment(arguments.begin, zone, end=False))
    end = said("to", lambda: _moment(arguments.end, zone, end=True))
    level = said("level", lambda: Level(arguments.level))
    lead_max = said("lead-max", lambda: duration.parse(arguments.lead_max))
    kind = said("site-kind", lambda: _kind(arguments.site_kind))
    truth = said("events", lambda: _text(arguments.events))
    if begin is not None and end is not None and begin >= end:
        faults.append("--from must be before --to")
    if faults:
        raise SettingsError("\n".join(faults))
    return Asked(begin, end, level, lead_max, truth, str(arguments.events), silent_after, zone, kind)


def _moment(words: str | None, zone: ZoneInfo, *, end: bool) -> datetime | None:
    """A time with its zone, or a day of the county's: its beginning, or its end."""
    if words is None:
        return None
    try:
        if _DAY.fullmatch(words):
            day = date.fromisoformat(words) + timedelta(days=end)
            return datetime.combine(day, time(), zone).astimezone(UTC)
        return msgspec.convert(words, _Aware).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{words[:60]!r} is neither a time with its zone nor a day such as 2006-09-17"
        ) from None


def _kind(words: str | None) -> SiteKind | None:
    known = [kind.value for kind in SiteKind]
    if words is not None and words not in known:
        raise ValueError(f"{words[:60]!r} is none of {', '.join(known)}")
    return SiteKind(words) if words is not None else None


def _text(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8: save it as CSV UTF-8") from None


# -- of files


async def _of_files(
    arguments: argparse.Namespace,
    settings: Settings,
    asked: Asked,
    shown: Callable[[str], Callable[[float], None]],
) -> Study:
    in_force = load(_folder(arguments.against, settings))
    new, old = _catalogues(arguments, in_force)
    base = _registered(arguments.registry, settings)
    given = files.Given(arguments.station, arguments.metric, arguments.zone)
    source = ", ".join(path.name for path in arguments.files)

    def work() -> Study:
        with opened() as history:
            shown("reading")(0.0)
            files.load(history, arguments.files, given)
            _arrange(history, asked.end)
            wish = asked.wish(new, old, source)
            return study(history, base, wish, _sightings(arguments), shown("judging"))

    return await asyncio.to_thread(work)


def _registered(paths: Sequence[Path] | None, settings: Settings) -> County | None:
    """The county of --registry, else that of TONGLUO_COUNTY, else none. Raises CountyError with every fault."""
    if not paths:
        return read_folder(settings.county) if settings.county is not None else None
    proposal = propose(None, read_files(paths))
    if proposal.county is None:
        named = ", ".join(map(str, paths))
        raise CountyError(named, [str(fault) for fault in proposal.faults if not fault.warning])
    return proposal.county


def _sightings(arguments: argparse.Namespace) -> Callable[[County], Sequence[Detection]]:
    if arguments.detections is None:
        return lambda county: ()
    return lambda county: sightings.read(arguments.detections, county)


# -- of the store


async def _of_store(
    arguments: argparse.Namespace,
    settings: Settings,
    asked: Asked,
    shown: Callable[[str], Callable[[float], None]],
) -> Study:
    if not is_installed(settings):
        raise SettingsError(
            "there is no installation whose readings could be replayed: name a CSV or Parquet FILE"
        )
    async with visited(settings) as dsn, open_store(dsn, pool_size=2) as engine:
        kept = await rules.newest(engine) if arguments.against is None else None
        in_force = kept.files if kept is not None else load(_folder(arguments.against, settings))
        new, old = _catalogues(arguments, in_force)
        newest = await registry.newest(engine)
        base = (
            newest.county
            if newest is not None and not arguments.registry
            else _registered(arguments.registry, settings)
        )
        wish = asked.wish(new, old, "store")
        with opened() as history:
            wish, seen = await _copied(engine, history, wish, base, shown)
            sighted = (
                _sightings(arguments)
                if arguments.detections is not None
                else lambda county: _known(county, seen)
            )
            return await asyncio.to_thread(study, history, base, wish, sighted, shown("judging"))


async def _copied(
    engine: AsyncEngine,
    history: History,
    wish: Wish,
    base: County | None,
    shown: Callable[[str], Callable[[float], None]],
) -> tuple[Wish, list[Detection]]:
    """The store's readings in the history, from long enough before; and what was told of silences and seen by cameras."""
    known = await stored.span(engine)
    if known is None:
        raise HistoryError("the store holds no reading")
    begin, end = wish.begin or known[0], wish.end or known[1]
    back = max(looks_back(read_catalogue(one)) for one in (wish.files, wish.against) if one is not None)
    earliest = max(begin - back, known[0]) - timedelta(microseconds=1)
    file = history.folder / "store.csv"
    await stored.copy_out(engine, file, earliest, end, shown("copying"))
    await asyncio.to_thread(history.take, file)
    await asyncio.to_thread(_arrange, history, end)
    silences = await stored.silences(engine, earliest, end)
    wish = msgspec.structs.replace(wish, begin=begin, end=end, silences=silences)
    return wish, await stored.detections(engine, earliest, end)


def _known(county: County, seen: Sequence[Detection]) -> list[Detection]:
    return [one for one in seen if one.camera in county.stations]


# -- rules


def _folder(words: str | None, settings: Settings) -> Path | None:
    if words is None:
        return settings.rules
    return None if words == "shipped" else Path(words)


def _catalogues(arguments: argparse.Namespace, in_force: Files) -> tuple[Files, Files | None]:
    """The rules that are asked for, and those they are compared with."""
    if arguments.rules is None:
        return in_force, None
    if arguments.rules == "shipped":
        return load(None), in_force
    path = Path(arguments.rules)
    return (laid_over(in_force, path) if path.is_file() else load(path)), in_force


def laid_over(in_force: Files, path: Path) -> dict[str, str]:
    """The files in force with one in place of the file of that name, or of the rule of that id. Raises RuleError."""
    try:
        said = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--rules {path}: cannot be read: {error}") from error
    rule = _rule_id(said) if path.suffix == ".toml" else None
    kept = {name: text for name, text in in_force.items() if rule is None or _rule_id(text) != rule}
    return {**kept, path.name: said}


def _rule_id(toml: str) -> str | None:
    try:
        return str(tomllib.loads(toml).get("id"))
    except tomllib.TOMLDecodeError:
        # The reader says what is wrong with it.
        return None


# -- out


def _arrange(history: History, end: datetime | None) -> None:
    history.arrange(microseconds(end) if end is not None else None)


def _print_json(found: Study) -> None:
    for one in found.new.followed:
        sys.stdout.write(msgspec.json.encode(line(one)).decode() + "\n")
    for note in found.notes:
        _errors.print(f"note: {note.en}", style="dim", markup=False)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise MissingPartError(f"cannot write {path} ({error.strerror}): choose another place") from error


class _Bars:
    """A bar on stderr for each stage that takes long."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=_errors,
            transient=True,
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> Callable[[str], Callable[[float], None]]:
        self._bars.start()
        return self._stage

    def __exit__(self, *why: object) -> None:
        self._bars.stop()

    def _stage(self, words: str) -> Callable[[float], None]:
        task = self._bars.add_task(words, total=1.0)
        return lambda share: self._bars.update(task, completed=share)
