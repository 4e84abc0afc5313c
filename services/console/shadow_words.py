"""Rules on trial against those in force, as the API says it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from tongluo.finding import Level
from tongluo.shadow import Change, Levels, Pair, compare
from tongluo.wire import iso

Hazards = Mapping[str, str]
"""The hazard of each rule."""


def compared(
    live: Sequence[Change], shadow: Sequence[Change], hazards: Hazards, *, capped: bool
) -> dict[str, Any]:
    """Both sides counted, what only one of them found, and what both did with the difference in time.

    `differences` are the times at which one side alone changed its mind, with the levels both held from then on.
    `capped`: there were more changes than were looked at.
    """
    found = compare(live, shadow)
    held_live, held_shadow = Levels(live), Levels(shadow)
    alone = sorted((*found.only_old, *found.only_new), key=lambda one: (one.time, one.rule, one.site))
    return {
        "live": _outcome(live),
        "shadow": _outcome(shadow),
        "capped": capped,
        "only_live": [_change(one, hazards) for one in found.only_old],
        "only_shadow": [_change(one, hazards) for one in found.only_new],
        "both": [_pair(pair, hazards) for pair in found.both],
        "differences": [
            {
                **_change(one, hazards),
                "live": _said(held_live.at(one.rule, one.site, one.time)),
                "shadow": _said(held_shadow.at(one.rule, one.site, one.time)),
            }
            for one in alone
        ],
    }


def _outcome(changes: Sequence[Change]) -> dict[str, Any]:
    """How many alerts that makes, and changes by the level they lead to ("none": given up)."""
    levels: dict[str, int] = {}
    for change in changes:
        name = _said(change.level) or "none"
        levels[name] = levels.get(name, 0) + 1
    return {"alerts": Levels(changes).raised(), "levels": levels, "skill": None}


def _change(change: Change, hazards: Hazards) -> dict[str, Any]:
    return {
        "time": iso(change.time),
        "rule": change.rule,
        "hazard": hazards.get(change.rule, change.rule),
        "site": change.site,
        "level": _said(change.level),
    }


def _pair(pair: Pair, hazards: Hazards) -> dict[str, Any]:
    return {
        "rule": pair.rule,
        "hazard": hazards.get(pair.rule, pair.rule),
        "site": pair.site,
        "level": _said(pair.level),
        "live": iso(pair.old),
        "shadow": iso(pair.new),
        "later_s": pair.later_s,
    }


def _said(level: Level | None) -> str | None:
    return level.value if level is not None else None
