"""The door of a catalogue: the texts of a folder's files in, rules and tables out, or every fault of all of them."""

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from services.rules.catalogue import checks
from services.rules.catalogue.county_wide import compound_rule, fire_rule, silence_rule
from services.rules.catalogue.faults import Page, bounded, nearest, shown
from services.rules.catalogue.lines import lines_of
from services.rules.catalogue.model import (
    Catalogue,
    CompoundRule,
    FireRule,
    Rule,
    SilenceRule,
    StationRule,
    ThresholdRow,
)
from services.rules.catalogue.shape import FILES
from services.rules.catalogue.stations import station_rule
from services.rules.catalogue.tables import COLUMNS, Tables, read_table
from services.rules.catalogue.walk import struct
from tongluo.errors import RuleError
from tongluo.region import County

MOST_FILES: Final = 64
MOST_FILE_BYTES: Final = 1024 * 1024
# tomllib takes a time that grows with the square of a key's parts, so keys of many never reach it.
_LONG_KEY: Final = re.compile(r"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){16}""")
_BUILDERS: Final[Mapping[str, Callable[[Page, Any], Rule]]] = {
    "stations": station_rule,
    "fire": fire_rule,
    "silence": silence_rule,
    "compound": compound_rule,
}


def read_catalogue(files: Mapping[str, str], county: County | None = None) -> Catalogue:
    """The catalogue of a folder's files, by name: rules (*.toml) and tables (thresholds, parameters, relations.csv).

    With `county`, what names a site, a station or a camera is looked up there. Raises RuleError with every fault of all
    files at once.
    """
    tables = Tables()
    pages: list[Page] = []
    parsed: list[checks.Parsed] = []
    for name, text in sorted(files.items())[:MOST_FILES]:
        page = Page(name)
        pages.append(page)
        if not _readable(page, text):
            continue
        if name in COLUMNS:
            read_table(page, text, tables)
        elif (rule := _rule(page, text)) is not None:
            parsed.append(rule)
    pages.append(folder := Page(""))
    if len(files) > MOST_FILES:
        folder.fault(("files",), f"超过 {MOST_FILES} 个文件", f"more than {MOST_FILES} files")
    if not any(name.endswith(".toml") for name in files):
        folder.fault(("files",), "没有规则文件（*.toml）", "there is no rule file (*.toml)")
    complete = len(parsed) == sum(name.endswith(".toml") for name in files)
    catalogue = _catalogue([each.rule for each in parsed], tables)
    by_name = {page.file: page for page in pages}
    checks.check(checks.Whole(parsed, tables, by_name, catalogue, county, complete))
    faults = [fault for page in pages for fault in page.faults]
    if faults:
        raise RuleError(bounded(faults))
    return catalogue


def _readable(page: Page, text: str) -> bool:
    """Whether a file is one of ours and small enough to be looked at."""
    if not page.file.endswith(".toml") and page.file not in COLUMNS:
        near = nearest(PurePath(page.file).name, COLUMNS)
        page.fault((), f"没有这种文件{near[0]}", f"is no file of a catalogue{near[1]}")
    elif len(text) > MOST_FILE_BYTES or len(text.encode("utf-8", "replace")) > MOST_FILE_BYTES:
        page.fault((), "大于 1 MiB", "is larger than 1 MiB")
    else:
        return True
    return False


def _rule(page: Page, text: str) -> "checks.Parsed | None":
    """The rule of a file; None where it is no TOML, or its kind cannot be told."""
    raw = _toml(page, text)
    if raw is None:
        return None
    kind = raw.get("kind", "stations")
    if not isinstance(kind, str) or kind not in FILES:
        near = nearest(kind if isinstance(kind, str) else "", FILES)
        page.fault(
            ("kind",), f"没有“{shown(kind)}”这种规则{near[0]}", f"“{shown(kind)}” is no kind of rule{near[1]}"
        )
        return None
    written = struct(page, FILES[kind], raw)
    return checks.Parsed(page, written, _BUILDERS[kind](page, written))


def _toml(page: Page, text: str) -> dict[str, Any] | None:
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if long := _LONG_KEY.search(text):
        page.lines[("",)] = text.count("\n", 0, long.start()) + 1
        page.fault(("",), "键的层次过多", "a key of so many parts is none of ours")
        return None
    try:
        raw = tomllib.loads(text)
        page.lines = lines_of(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        told = re.search(r"at line (\d+)", str(error))
        page.lines[("",)] = int(told[1]) if told else text.count("\n") + 1
        page.fault(("",), f"不是 TOML：{shown(str(error))}", f"not TOML: {shown(str(error))}")
        return None
    return raw


def _catalogue(rules: list[Rule], tables: Tables) -> Catalogue:
    """All of it under versions that change with what is said, not with how it is written."""
    rules = sorted((replace(rule, version=_version(rule)) for rule in rules), key=lambda rule: rule.id)
    thresholds: dict[str, list[ThresholdRow]] = {}
    parameters: dict[str, dict[str, float]] = {}
    relations: dict[str, dict[str, list[str]]] = {}
    for row in sorted(tables.thresholds.values(), key=lambda row: (row.rule, row.indicator, row.soil or "")):
        thresholds.setdefault(row.station or row.site, []).append(row)
    for value in tables.parameters.values():
        parameters.setdefault(value.station or value.site, {})[value.parameter] = value.value
    for relation in tables.relations.values():
        relations.setdefault(relation.relation, {}).setdefault(relation.site, []).append(relation.other)
    catalogue = Catalogue(
        version="",
        station_rules=tuple(rule for rule in rules if isinstance(rule, StationRule)),
        fire=next((rule for rule in rules if isinstance(rule, FireRule)), None),
        silence=next((rule for rule in rules if isinstance(rule, SilenceRule)), None),
        compound=tuple(rule for rule in rules if isinstance(rule, CompoundRule)),
        thresholds={place: tuple(rows) for place, rows in thresholds.items()},
        parameters=parameters,
        relations={
            name: {site: tuple(sorted(others)) for site, others in by_site.items()}
            for name, by_site in relations.items()
        },
    )
    return replace(catalogue, version=_version(catalogue))


def _version(said: Rule | Catalogue) -> str:
    """Twelve digits of a hash of what is said; tables within it in order of their keys."""
    plain = msgspec.to_builtins(said, str_keys=True)
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()[:12]
