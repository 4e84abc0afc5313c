"""What rules on trial would have said beside what those in force said: changes of level, one against another. Pure."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from tongluo.finding import Level

#: Changes to the same level that lie further apart are two.
SAME_WITHIN: Final = timedelta(hours=6)


class Change(msgspec.Struct, frozen=True):
    """The level (None: given up) that a rule found at a site, at an event time."""

    rule: str
    site: str
    time: datetime
    level: Level | None


class Pair(msgspec.Struct, frozen=True):
    """The same change found by both. `later_s`: how many seconds after the old rules the new ones found it."""

    rule: str
    site: str
    level: Level | None
    old: datetime
    new: datetime

    @property
    def later_s(self) -> float:
        return (self.new - self.old).total_seconds()


class Comparison(msgspec.Struct, frozen=True):
    """Changes that only one side found, and those that both did, each in order of time."""

    only_old: tuple[Change, ...]
    only_new: tuple[Change, ...]
    both: tuple[Pair, ...]


def compare(old: Iterable[Change], new: Iterable[Change], same_within: timedelta = SAME_WITHIN) -> Comparison:
    """Set changes of one rule, site and level against each other, the closest in time first."""
    olds, news = _by_course(old), _by_course(new)
    only_old: list[Change] = []
    only_new: list[Change] = []
    both: list[Pair] = []
    for course in olds.keys() | news.keys():
        rule, site, level = course
        pairs = _closest(olds.get(course, []), news.get(course, []), same_within)
        both += [Pair(rule, site, level, before, after) for before, after in pairs]
        paired_old, paired_new = {before for before, _ in pairs}, {after for _, after in pairs}
        only_old += [
            Change(rule, site, time, level) for time in olds.get(course, []) if time not in paired_old
        ]
        only_new += [
            Change(rule, site, time, level) for time in news.get(course, []) if time not in paired_new
        ]
    return Comparison(
        tuple(sorted(only_old, key=_order)),
        tuple(sorted(only_new, key=_order)),
        tuple(sorted(both, key=lambda pair: (pair.old, pair.rule, pair.site))),
    )


Course = tuple[str, str, Level | None]


def _by_course(changes: Iterable[Change]) -> Mapping[Course, list[datetime]]:
    """Times in order; a change told twice is one."""
    found: dict[Course, set[datetime]] = defaultdict(set)
    for change in changes:
        found[change.rule, change.site, change.level].add(change.time)
    return {course: sorted(times) for course, times in found.items()}


def _closest(
    old: Sequence[datetime], new: Sequence[datetime], same_within: timedelta
) -> list[tuple[datetime, datetime]]:
    """Pairs of times no further apart than that, each time in one pair at most."""
    candidates: list[tuple[timedelta, datetime, datetime]] = []
    first = 0
    for before in old:
        while first < len(new) and new[first] < before - same_within:
            first += 1
        for after in new[first:]:
            if after > before + same_within:
                break
            candidates.append((abs(after - before), before, after))
    pairs: list[tuple[datetime, datetime]] = []
    paired_old: set[datetime] = set()
    paired_new: set[datetime] = set()
    for _, before, after in sorted(candidates):
        if before not in paired_old and after not in paired_new:
            pairs.append((before, after))
            paired_old.add(before)
            paired_new.add(after)
    return pairs


class Levels:
    """The level that each rule holds at each site over time, by its changes."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self._steps: dict[tuple[str, str], list[tuple[datetime, Level | None]]] = defaultdict(list)
        for change in sorted(changes, key=_order):
            self._steps[change.rule, change.site].append((change.time, change.level))

    def at(self, rule: str, site: str, time: datetime) -> Level | None:
        """The level from `time` on, as far as the changes told by then say."""
        steps = self._steps.get((rule, site), [])
        nth = bisect_right(steps, time, key=lambda step: step[0])
        return steps[nth - 1][1] if nth else None

    def raised(self) -> int:
        """How often a level began where none had been."""
        return sum(
            level is not None and (nth == 0 or steps[nth - 1][1] is None)
            for steps in self._steps.values()
            for nth, (_, level) in enumerate(steps)
        )


def _order(change: Change) -> tuple[datetime, str, str]:
    return change.time, change.rule, change.site
