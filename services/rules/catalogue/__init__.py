"""The rules as data: TOML files, one a hazard, read and checked whole."""

import hashlib
import importlib.resources
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


class RainCriterion(msgspec.Struct, frozen=True):
    """This much rain (mm) within `window` means `level`; under `release_mm` for a while, it no longer does."""

    level: Level
    window: str
    span: timedelta
    reach_mm: float
    release_mm: float


class RainRule(msgspec.Struct, frozen=True):
    """Rolling rain sums against levels. `version` changes with the file's content."""

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
    """Every rule of a folder, or of the catalogue that comes with the program. Raises RuleError."""
    files = folder if folder is not None else importlib.resources.files(__name__)
    found = sorted((f for f in files.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    if not found:
        raise RuleError(str(files), ["no rule file (*.toml) in this folder"])
    return tuple(read(file.read_text("utf-8"), file.name) for file in found)


def read(toml: str, source: str) -> RainRule:
    """One rule from its file's text. Raises RuleError with every fault at once."""
    try:
        tables = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise RuleError(source, [f"not TOML: {error}"]) from error
    parts, faults = _parts(tables)
    if faults:
        raise RuleError(source, faults)
    faults = list(_contradictions(parts))
    if faults:
        raise RuleError(source, faults)
    return RainRule(
        id=parts["id"],
        version=hashlib.sha256(toml.encode()).hexdigest()[:12],
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
