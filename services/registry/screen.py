"""Faults, differences and history of the registry, for a terminal."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tongluo.registry import Change, Fault
from tongluo.registry.kinds import KINDS
from tongluo.store.registry import Version

_SIGNS: Final = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
#: Of one kind at most so many are told one by one: four hundred villages of a new county are a number.
_MOST_OF_A_KIND: Final = 40


def faults(out: Console, found: Sequence[Fault]) -> None:
    """One a line, as editors and people find them; in both languages."""
    for fault in found:
        line = Text("warning: " if fault.warning else "", "yellow")
        line.append(fault.where, "bold")
        line.append(f"{fault.words.en} · {fault.words.zh}", "yellow" if fault.warning else "red")
        out.print(line)
    wrong = sum(not fault.warning for fault in found)
    if wrong:
        out.print(f"{wrong} to mend; nothing was changed", style="red")


def changes(out: Console, found: Sequence[Change]) -> None:
    """What was added, removed and changed, field by field."""
    if not found:
        out.print("no difference", style="dim")
    for (kind, what), of_kind in groupby(sorted(found, key=_order), key=lambda c: (c.kind, c.what.value)):
        items = list(of_kind)
        sign, style = _SIGNS[what]
        out.print(Text(f"{sign} {len(items)} {_called(kind, len(items))} {what}", f"bold {style}"))
        for change in items[:_MOST_OF_A_KIND]:
            out.print(Text(f"  {sign} {change.id} {change.name}", style))
            if what == "changed":
                for field in change.fields:
                    out.print(Text(f"      {field.field}: {_value(field.old)} → {_value(field.new)}"))
        if len(items) > _MOST_OF_A_KIND:
            out.print(Text(f"  {sign} … {len(items) - _MOST_OF_A_KIND} more", style))


def _order(change: Change) -> tuple[int, int, str]:
    return list(KINDS).index(change.kind), list(_SIGNS).index(change.what.value), change.id


def _called(kind: str, count: int) -> str:
    return KINDS[kind].words.en if count == 1 else KINDS[kind].plural


def _value(value: Any) -> str:
    if value is None:
        return "(not set)"
    text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = text.replace("\n", " ")
    return text if len(text) <= 100 else f"{text[:99]}…"


def history(out: Console, versions: Sequence[Version]) -> None:
    """A line for each version."""
    table = Table("no", "time (UTC)", "who", "from", "changed", "note", box=None, padding=(0, 2, 0, 0))
    for each in versions:
        when = each.at.strftime("%Y-%m-%d %H:%M:%S")
        cells = (str(each.no), when, each.who, each.source, summary(each.summary), each.note)
        table.add_row(*(Text(cell) for cell in cells))
    out.print(table)


def version(out: Console, found: Version) -> None:
    """Who, when, from what, why."""
    when = found.at.strftime("%Y-%m-%d %H:%M:%S")
    out.print(Text(f"version {found.no}, {when} UTC, {found.who}, from {found.source}", "bold"))
    if found.note:
        out.print(Text(found.note))


def summary(counts: dict[str, dict[str, int]]) -> str:
    """`stations +1 ~2`."""
    return ", ".join(
        f"{KINDS[kind].plural} " + " ".join(f"{_SIGNS[what][0]}{number}" for what, number in of_kind.items())
        for kind, of_kind in sorted(counts.items(), key=lambda item: list(KINDS).index(item[0]))
    )
