"""Gathering what is wrong with the files of a catalogue, each fault at its line."""

import difflib
from collections.abc import Collection, Iterable
from typing import Any, Final

from services.rules.catalogue.lines import Path
from tongluo.errors import RuleFault
from tongluo.hazards import Words

#: A table of thousands of unknown stations would otherwise compare each with every known one.
_MOST_LOOKS: Final = 100_000
#: Enough to mend a morning long; a file of another kind altogether would give more.
MOST_FAULTS: Final = 1000


class Page:
    """One file being read: its name, the lines in it, and the faults found so far."""

    def __init__(self, file: str, lines: dict[Path, int] | None = None) -> None:
        self.file = file
        self.lines = lines or {}
        self.faults: list[RuleFault] = []
        self._paths: list[Path] = []
        self._looks = _MOST_LOOKS

    def fault(self, path: Path, zh: str, en: str) -> None:
        """Something wrong at `path`. What stands in, or holds, something already told is not told again."""
        if len(self.faults) >= MOST_FAULTS:
            return
        if not any(path[: len(told)] == told[: len(path)] for told in self._paths):
            self._paths.append(path)
            self.faults.append(RuleFault(Words(zh, en), self.file, self.line(path), field_of(path)))

    def nearest(self, name: str, known: Collection[str]) -> tuple[str, str]:
        """What to say after an unknown name, as long as looking for a near one does not take too long."""
        self._looks -= len(known)
        return nearest(name, known) if self._looks > 0 else ("", "")

    def line(self, path: Path) -> int:
        """The line of a path, else of what holds it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1


def field_of(path: Path) -> str:
    """`item[2].levels.rain_3h`: elements are counted from 1, as people do. A table's row is told by its line alone."""
    named = path[1:] if path and isinstance(path[0], int) else path
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{shown(part)}" for part in named)[1:]


def shown(value: Any) -> str:
    """A value from outside inside a message: short, on one line."""
    text = value if isinstance(value, str) else repr(value)
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:60])
    return clean + ("…" if len(text) > 60 else "")


def nearest(name: str, known: Iterable[str]) -> tuple[str, str]:
    """What to say after an unknown name: the nearest known one, else all of them."""
    names = list(known)
    near = difflib.get_close_matches(name[:60], names, 1)
    if near:
        return f"，是否指 {near[0]}？", f"; is it {near[0]}?"
    listed = ", ".join(names[:40])
    return (f"；有 {listed}", f"; known are {listed}") if names else ("", "")


def bounded(faults: Iterable[RuleFault]) -> list[RuleFault]:
    """In the order of files and lines; not endless, and honest about what was left out."""
    ordered = sorted(faults, key=lambda fault: (fault.file, fault.line or 0))
    if len(ordered) <= MOST_FAULTS:
        return ordered
    more = len(ordered) - MOST_FAULTS
    return [
        *ordered[:MOST_FAULTS],
        RuleFault(Words(f"另有 {more} 处未列出", f"{more} more are not listed")),
    ]
