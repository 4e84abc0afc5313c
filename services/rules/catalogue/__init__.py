"""The rules as data: TOML files, one a hazard, read and checked whole."""

import hashlib
import importlib.resources
import math
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from tongluo import duration
from tongluo.errors import RuleError
from tongluo.finding import Level
from tongluo.hazards import Words
from tongluo.reading import METRICS

# More rain than has ever been measured in any of these windows.
MOST_MM: Final = 10_000.0


class RainCriterion(msgspec.Struct, frozen=True):
    """This much rain (mm) within `window` means `level`; under `release_mm` for a while, it no longer does."""

    level: Level
    window: str
    span: timedelta
    reach_mm: float
    release_mm: float


class RainRule(msgspec.Struct, frozen=True):
    """Rolling rain sums against levels. `version` changes with what it says."""

    id: str
    version: str
    hazard: str
    metric: str
    name: Words
    windows: dict[str, timedelta]
    criteria: tuple[RainCriterion, ...]
    release_after: timedelta
    late_allowed: timedelta


class _Windows(msgspec.Struct, forbid_unknown_fields=True):
    shown: list[str]


class _Late(msgspec.Struct, forbid_unknown_fields=True):
    allowed: str


class _Release(msgspec.Struct, forbid_unknown_fields=True):
    ratio: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]
    after: str


class _Criterion(msgspec.Struct, forbid_unknown_fields=True):
    level: Level
    window: str
    reach_mm: Annotated[float, msgspec.Meta(gt=0.0)]


_TABLES: Final[dict[str, Any]] = {
    "id": Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")],
    "hazard": Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")],
    "metric": str,
    "name": Words,
    "windows": _Windows,
    "late": _Late,
    "release": _Release,
    "criterion": list[_Criterion],
}


def load(folder: Path | None = None) -> tuple[RainRule, ...]:
    """Every rule of a folder, or of the catalogue that comes with the program.

    Raises RuleError with the faults of all files at once.
    """
    place = folder if folder is not None else importlib.resources.files(__name__)
    try:
        found = sorted((f for f in place.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
        texts = {file.name: file.read_text("utf-8") for file in found}
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(str(place), [f"cannot be read: {error}"]) from error
    rules: list[RainRule] = []
    faults = [] if found else ["no rule file (*.toml) in this folder"]
    for name, toml in texts.items():
        try:
            rules.append(read(toml, name))
        except RuleError as error:
            faults += [f"{name}: {fault}" for fault in error.faults]
    faults += _rivals(rules)
    if faults:
        raise RuleError(str(place), faults)
    return tuple(rules)


def _rivals(rules: list[RainRule]) -> Iterator[str]:
    """Two rules cannot share a memory, nor two tell the life of one alert."""
    for what in ("id", "hazard"):
        names = [getattr(rule, what) for rule in rules]
        yield from (
            f"{what} {name!r} is in two rule files"
            for name in sorted({n for n in names if names.count(n) > 1})
        )


def read(toml: str, source: str) -> RainRule:
    """One rule from its file's text. Raises RuleError with every fault at once."""
    try:
        tables = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise RuleError(source, [f"not TOML: {error}"]) from error
    parts, faults = _parts(tables)
    faults = faults or list(_contradictions(parts))
    if faults:
        raise RuleError(source, faults)
    rule = RainRule(
        id=parts["id"],
        version="",
        hazard=parts["hazard"],
        metric=parts["metric"],
        name=parts["name"],
        windows={words: duration.parse(words) for words in parts["windows"].shown},
        criteria=tuple(
            RainCriterion(
                c.level,
                c.window,
                duration.parse(c.window),
                c.reach_mm,
                round(c.reach_mm * parts["release"].ratio, 6),
            )
            for c in parts["criterion"]
        ),
        release_after=duration.parse(parts["release"].after),
        late_allowed=duration.parse(parts["late"].allowed),
    )
    return msgspec.structs.replace(rule, version=_version(rule))


def _version(rule: RainRule) -> str:
    """Twelve digits that change with what the rule says, not with how its file is written."""
    return hashlib.sha256(msgspec.json.encode(rule)).hexdigest()[:12]


def _parts(tables: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    faults = [f"unknown entry {name!r}" for name in tables if name not in _TABLES]
    parts: dict[str, Any] = {}
    for name, kind in _TABLES.items():
        if name not in tables:
            faults.append(f"{name!r} is missing")
            continue
        try:
            parts[name] = msgspec.convert(tables[name], kind)
        except msgspec.ValidationError as error:
            faults.append(f"{name}: {error}")
    return parts, faults


def _contradictions(parts: dict[str, Any]) -> Iterator[str]:
    """What reads well but makes no sense."""
    spans = [*parts["windows"].shown, parts["late"].allowed, parts["release"].after]
    spans += [criterion.window for criterion in parts["criterion"]]
    for words in spans:
        try:
            duration.parse(words)
        except ValueError as error:
            yield str(error)
    if parts["metric"] not in METRICS:
        yield f"metric: unknown metric {parts['metric']!r}"
    if not parts["criterion"]:
        yield "criterion: at least one is needed"
    for criterion in parts["criterion"]:
        if not math.isfinite(criterion.reach_mm) or criterion.reach_mm > MOST_MM:
            yield f"criterion {criterion.level.value}: reach_mm must be at most {MOST_MM:.0f}"
        if criterion.window not in parts["windows"].shown:
            yield f"criterion {criterion.level.value}: window {criterion.window!r} is not among windows.shown"


def words(rule: RainRule) -> dict[str, Any]:
    """A rule as the API shows it."""
    return {
        "id": rule.id,
        "version": rule.version,
        "hazard": rule.hazard,
        "metric": rule.metric,
        "name": {"zh": rule.name.zh, "en": rule.name.en},
        "windows_s": {name: span.total_seconds() for name, span in rule.windows.items()},
        "release_after_s": rule.release_after.total_seconds(),
        "criteria": [
            {
                "level": criterion.level.value,
                "window": criterion.window,
                "window_s": criterion.span.total_seconds(),
                "reach_mm": criterion.reach_mm,
                "release_mm": criterion.release_mm,
            }
            for criterion in rule.criteria
        ],
    }
