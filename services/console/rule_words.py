"""What a change of rules changes, in words and by line; and parts of the rules as the API says them. Pure."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from services.console.problems import Problem
from services.console.rulebook import Book
from tongluo.errors import RuleError
from tongluo.finding import Level
from tongluo.hazards import Words
from tongluo.store.rules import Files, Version
from tongluo.wire import iso

#: Larger tables are only said to have changed: comparing them line by line takes too long.
MOST_LINES: Final = 5000
#: As a hash is shown.
DIGITS: Final = 12
_SIDE: Final = {"above": ("≥", "from"), "below": ("≤", "at most")}


def version(found: Version) -> dict[str, Any]:
    """A version as the history shows it."""
    return {
        "no": found.no,
        "version": found.digest[:DIGITS],
        "note": found.note,
        "by": found.who,
        "source": found.source,
        "time": iso(found.at),
        "reported": found.reported,
    }


def faults(error: RuleError) -> list[dict[str, Any]]:
    """Every fault with its place; what is not known of it is null."""
    nowhere = {"file": None, "line": None, "field": None}
    return [{**nowhere, **fault} for fault in msgspec.to_builtins(list(error.faults))]


def refused(error: RuleError) -> Problem:
    """The first faults in words, all of them as members."""
    return Problem(422, "; ".join(str(fault) for fault in error.faults[:5]), faults=faults(error))


def moved(no: int) -> Problem:
    """The rules are no longer the ones that were looked at."""
    return Problem(409, f"the rules have changed since version {no}: compare anew, then apply")


def file_changes(before: Files, after: Files) -> list[dict[str, Any]]:
    """File by file what differs: `change` and, as a unified difference, its lines (none of large tables)."""
    found: list[dict[str, Any]] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        change = "added" if old is None else "removed" if new is None else "changed"
        found.append({"file": name, "change": change, "lines": _lines(old or "", new or "")})
    return found


def _lines(old: str, new: str) -> list[str]:
    before, after = old.splitlines(), new.splitlines()
    if len(before) + len(after) > MOST_LINES:
        return []
    # The first two name the files.
    return list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]


def changes(before: Files, after: Files, old: Book, new: Book | None) -> list[dict[str, str]]:
    """What is different, for a reader: by rule where the new files read, and by file."""
    told = list(_rule_changes(old, new)) if new is not None else []
    for change in file_changes(before, after):
        name, lines = change["file"], change["lines"]
        match change["change"]:
            case "added":
                told.append(Words(f"新文件 {name}", f"new file {name}"))
            case "removed":
                told.append(Words(f"删除文件 {name}", f"file {name} removed"))
            case _:
                told.append(_changed_file(name, lines))
    return [msgspec.to_builtins(words) for words in told]


def _changed_file(name: str, lines: Sequence[str]) -> Words:
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    if not added and not removed:
        return Words(f"文件 {name} 有改动", f"file {name} changed")
    return Words(f"文件 {name}：增 {added} 行，删 {removed} 行", f"file {name}: +{added} −{removed} lines")


def _rule_changes(old: Book, new: Book) -> Iterator[Words]:
    before, after = ({rule["id"]: rule for rule in book.rules} for book in (old, new))
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield Words(f"新规则 {_called(after[name], 'zh')}", f"new rule {_called(after[name], 'en')}")
        elif name not in after:
            yield Words(
                f"删除规则 {_called(before[name], 'zh')}", f"rule {_called(before[name], 'en')} removed"
            )
        elif before[name]["version"] != after[name]["version"]:
            yield from _rule_change(before[name], after[name])


def _rule_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Words]:
    """Its thresholds one by one; where none differs, that it changed at all."""
    zh, en = _called(after, "zh"), _called(after, "en")
    old, new = _thresholds(before), _thresholds(after)
    differing = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    if not differing:
        yield Words(f"{zh}：判据以外有改动", f"{en}: changed, but for its thresholds")
    for key in differing:
        level = Level(key[2])
        yield Words(
            f"{zh} {key[1]} {level.zh}色：{_reach(old.get(key), 0)} → {_reach(new.get(key), 0)}",
            f"{en} {key[1]} {level.value}: {_reach(old.get(key), 1)} → {_reach(new.get(key), 1)}",
        )


Threshold = tuple[str, float | None, float | None, str]


def _thresholds(rule: Mapping[str, Any]) -> dict[tuple[str, str, str], Threshold]:
    """By item, indicator and level: side, reach, release, unit."""
    found: dict[tuple[str, str, str], Threshold] = {}
    for item in rule["items"]:
        units = {indicator["name"]: indicator["unit"] for indicator in item["indicators"]}
        for line in item["lines"]:
            key = (item["id"], line["indicator"], line["level"])
            found[key] = (line["side"], line["reach"], line["release"], units.get(line["indicator"], ""))
    return found


def _reach(line: Threshold | None, language: int) -> str:
    if line is None:
        return ("无", "none")[language]
    side, reach, release, unit = line
    if reach is None:
        return ("按表", "by table")[language]
    until = ("解除", "released at")[language]
    return f"{_SIDE[side][language]} {reach:g} {unit} ({until} {release:g})"


def _called(rule: Mapping[str, Any], language: str) -> str:
    return (
        f"{rule['name'][language]} ({rule['id']})"
        if language == "en"
        else f"{rule['name']['zh']}（{rule['id']}）"
    )
