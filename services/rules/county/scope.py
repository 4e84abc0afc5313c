"""Whose levels a condition looks at, and since when a combination of conditions holds."""

from collections.abc import Iterator
from datetime import datetime

from services.rules.catalogue.model import Catalogue, Combination, CompoundRule, Condition, Where
from services.rules.county.levels import Levels
from services.rules.county.near import Nearness
from tongluo.region import County


class Scope:
    """Conditions against a county: its sites, distances and relations."""

    def __init__(self, catalogue: Catalogue, county: County) -> None:
        self._relations = catalogue.relations
        self._county = county
        self._near = Nearness(county)

    def judged(self, rule: CompoundRule) -> tuple[str, ...]:
        """The sites that a rule judges, by name."""
        return tuple(
            site.id
            for _, site in sorted(self._county.sites.items())
            if site.kind.value in rule.kinds or site.id in rule.sites
        )

    def sites(self, condition: Condition, site: str) -> tuple[str, ...]:
        """The sites in the scope of a condition, as seen from a site. NEAR counts the site itself."""
        match condition.where:
            case Where.HERE:
                return (site,)
            case Where.NEAR:
                return self._near.within(site, condition.within_km)
            case Where.RELATED:
                named = self._relations.get(condition.relation, {}).get(site, ())
            case Where.NAMED:
                named = condition.sites
        return tuple(dict.fromkeys(name for name in named if name in self._county.sites))

    def since(self, when: Condition | Combination, site: str, levels: Levels) -> datetime | None:
        """From which moment on, that may be still to come, `when` holds at a site if no level changes; None: not at all.

        A condition: from when the `count`-th of the sites in its scope has been at the level for `hold`. A combination:
        from when the `least`-th of its parts holds.
        """
        if isinstance(when, Combination):
            parts = (self.since(part, site, levels) for part in when.of)
            return _nth(when.least, [time for time in parts if time is not None])
        reached = [
            held.since[when.level]
            for name in self.sites(when, site)
            if (held := levels.at(when.rule, name)) is not None and held.level >= when.level
        ]
        time = _nth(when.count, reached)
        return time + when.hold if time is not None else None


def conditions(when: Condition | Combination) -> Iterator[Condition]:
    """Every condition of a combination, in the order in which it is written."""
    if isinstance(when, Condition):
        yield when
        return
    for part in when.of:
        yield from conditions(part)


def _nth(number: int, times: list[datetime]) -> datetime | None:
    return sorted(times)[number - 1] if len(times) >= number else None
