"""Rows as files have them, and what is wrong with them: every fault with its file, its line and its mend."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tongluo.hazards import Words

MOST_FILE_BYTES: Final = 64 * 1024 * 1024
MOST_ROWS: Final = 100_000
#: Enough to mend a morning long; a file of another kind altogether would give one for every row.
MOST_FAULTS: Final = 1000


class File(msgspec.Struct, frozen=True):
    """A file as it was given; the name is for the reader and for telling what it lists, never opened as a path."""

    name: str
    content: bytes


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something to mend. `line` counts from 1; `kind`, `id` and `field` say where in the registry. A `warning` is
    worth a look and stops nothing."""

    words: Words
    file: str = ""
    line: int | None = None
    kind: str = ""
    id: str = ""
    field: str = ""
    warning: bool = False

    def __str__(self) -> str:
        """For an English reader, on one line."""
        return f"{self.where}{self.words.en}"

    @property
    def where(self) -> str:
        """`stations.csv:12: station R-1: latitude: `, as far as it is known."""
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        thing = f"{self.kind} {self.id}".strip()
        return "".join(f"{part}: " for part in (place, thing, self.field) if part)


@dataclass(frozen=True)
class Row:
    """One entry of a file: its fields as they were written, nested, and the lines they stand on. No file has no name.

    `partial`: fields that are not there keep what is registered (a spreadsheet's columns); otherwise they take their
    default. `lax`: numbers and lists come as text.
    """

    kind: str
    fields: dict[str, Any]
    file: str
    line: int
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    partial: bool = False
    lax: bool = False

    def line_of(self, path: tuple[str, ...]) -> int:
        """The line of a field, else of what holds it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return self.line

    def fault(
        self, words: Words, key: str = "", path: tuple[str, ...] = (), *, warning: bool = False
    ) -> Fault:
        line = self.line_of(path) if self.file else None
        return Fault(words, self.file, line, self.kind, key, ".".join(path), warning)


@dataclass
class Found:
    """What a file gave."""

    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def shown(value: Any) -> str:
    """A value from outside inside a message: short, on one line."""
    text = str(value)
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:60])
    return f"“{text}”" + ("…" if len(str(value)) > 60 else "")


def bounded(faults: Sequence[Fault]) -> list[Fault]:
    """In the order of files and lines, warnings last; not endless, and honest about what was left out."""
    ordered = sorted(faults, key=lambda f: (f.warning, f.file, f.line or 0))
    if len(ordered) <= MOST_FAULTS:
        return ordered
    more = len(ordered) - MOST_FAULTS
    left_out = Words(f"另有 {more} 处未列出", f"{more} more are not listed")
    return [*ordered[:MOST_FAULTS], Fault(left_out, warning=ordered[MOST_FAULTS].warning)]
