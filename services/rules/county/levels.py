"""The levels that rules hold at sites, as they were heard, and since when."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from services.rules.catalogue.model import Catalogue
from tongluo.finding import Finding, Level
from tongluo.hazards import Words
from tongluo.region import County
from tongluo.signal import SiteLevel

# A rule or site may be heard of shortly before the catalogue or registry that names it comes. As many are remembered.
MOST_STRANGERS: Final = 1000

Knows = Callable[[str, str], bool]
"""Whether a rule and a site are known."""


class Held(msgspec.Struct):
    """A level that stands. `since` says of it and of each one below since when it was reached without a break."""

    level: Level
    since: dict[Level, datetime]
    figure: Words


class Levels(msgspec.Struct):
    """By rule and site; what is not here is at no level."""

    held: dict[str, dict[str, Held]] = {}
    strangers: list[SiteLevel] = []

    def at(self, rule: str, site: str) -> Held | None:
        of_rule = self.held.get(rule)
        return of_rule.get(site) if of_rule is not None else None


def knows(catalogue: Catalogue, county: County) -> Knows:
    """What is known of a catalogue and a county."""
    every = (*catalogue.station_rules, catalogue.fire, catalogue.silence, *catalogue.compound)
    rules = frozenset(rule.id for rule in every if rule is not None)
    return lambda rule, site: rule in rules and site in county.sites


def hear(levels: Levels, signal: SiteLevel, known: Knows) -> bool:
    """Take a level in; False where nothing changed or its rule or site is not known (yet)."""
    if not known(signal.rule, signal.site):
        _remember(levels, signal)
        return False
    before = levels.at(signal.rule, signal.site)
    if signal.level is None:
        if before is None:
            return False
        del levels.held[signal.rule][signal.site]
        return True
    since = {
        level: before.since.get(level, signal.time) if before is not None else signal.time
        for level in Level
        if level <= signal.level
    }
    levels.held.setdefault(signal.rule, {})[signal.site] = Held(signal.level, since, signal.figure)
    return before is None or before.level is not signal.level


def review(levels: Levels, known: Knows) -> None:
    """Forget rules and sites that are gone; take in what was heard of those that have come since."""
    levels.held = {
        rule: kept
        for rule, sites in levels.held.items()
        if (kept := {site: held for site, held in sites.items() if known(rule, site)})
    }
    strangers, levels.strangers = levels.strangers, []
    for signal in strangers:
        hear(levels, signal, known)


def of_findings(findings: list[Finding]) -> list[SiteLevel]:
    """What the county-wide rules found, as others hear it."""
    return [
        SiteLevel(found.rule, found.site, found.time, found.level, found.evidence.figure, found.drill)
        for found in findings
    ]


def _remember(levels: Levels, signal: SiteLevel) -> None:
    others = [one for one in levels.strangers if (one.rule, one.site) != (signal.rule, signal.site)]
    levels.strangers = [*others, signal][-MOST_STRANGERS:] if signal.level is not None else others
