"""A site's level from what its stations say: the highest, k of n, or the counting of GB 39496-2020. Pure."""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from services.rules.catalogue.model import StationRule, Votes
from services.rules.formulas.tailings import aggregate
from services.rules.stations.table import Change
from tongluo.finding import Level, Vote, of_rank, rank

NO_TIME: Final = -(2**62)


class Said(msgspec.Struct, array_like=True, gc=False):
    """What one station says of one item: by trusted readings, and by all of them, suspect ones too (ranks); and the change
    that made it say so."""

    trusted: int = 0
    doubtful: int = 0
    why: Change | None = None


class SiteVotes(msgspec.Struct, gc=False):
    """Of one rule at one site: what is said, by station and item; the level last told (rank) and when (microseconds)."""

    said: dict[str, dict[str, Said]] = {}
    level: int = 0
    told_us: int = NO_TIME


def hear(votes: SiteVotes, item: str, change: Change) -> None:
    """Take a station's word. Of a station without suspect readings there is one word only."""
    station = change.station
    said = votes.said.setdefault(station, {}).setdefault(item, Said())
    if change.doubtful:
        said.doubtful = change.level
    else:
        said.trusted = change.level
    said.why = change
    if not said.trusted and not said.doubtful:
        del votes.said[station][item]
        if not votes.said[station]:
            del votes.said[station]


def decide(rule: StationRule, votes: SiteVotes) -> Level | None:
    """The level that the votes make.

    What is said by suspect readings alone counts only as far as another station of the site bears it out: a gauge that
    lies raises nothing alone.
    """
    borne = {name: _borne_out(votes, name) for name in votes.said}
    match rule.votes:
        case Votes.HIGHEST:
            return max((level for items in borne.values() for level in items.values() if level), default=None)
        case Votes.K_OF_N:
            return _k_of_n(
                rule.k_of_n, [max(items.values(), default=None, key=rank) for items in borne.values()]
            )
        case Votes.GB39496:
            kinds = sorted({item for items in borne.values() for item in items})
            return aggregate(
                aggregate(items[kind] for items in borne.values() if kind in items) for kind in kinds
            )


def _borne_out(votes: SiteVotes, station: str) -> dict[str, Level | None]:
    """What a station says of each item, as far as it is to be believed."""
    others = max(
        (max(said.trusted, said.doubtful) for name, items in votes.said.items() if name != station
         for said in items.values()),
        default=0,
    )  # fmt: skip
    return {
        item: of_rank(max(said.trusted, min(said.doubtful, others)))
        for item, said in votes.said[station].items()
    }


def _k_of_n(least: Mapping[Level, int], levels: list[Level | None]) -> Level | None:
    return max(
        (level for level, k in least.items() if sum(rank(one) >= level.rank for one in levels) >= k),
        default=None,
    )


def decider(votes: SiteVotes, level: Level | None, newest: Change) -> Change:
    """The change that the evidence is made of: the newest one, if it says `level`, else one of a station that does.

    Where none does (levels were counted together), the newest.
    """
    if level is None or newest.level == level.rank:
        return newest
    return next(
        (
            said.why
            for _, items in sorted(votes.said.items())
            for said in items.values()
            if said.why is not None and max(said.trusted, said.doubtful) == level.rank
        ),
        newest,
    )


def forget(votes: SiteVotes, items: Collection[str], changed: Collection[str]) -> SiteVotes:
    """Without what is said of other than `items`, and without the changes of `changed` metrics, whose lines have others'
    numbers now."""
    said = {
        station: {item: _without(one, changed) for item, one in of.items() if item in items}
        for station, of in votes.said.items()
    }
    return SiteVotes({station: of for station, of in said.items() if of}, votes.level, votes.told_us)


def _without(said: Said, changed: Collection[str]) -> Said:
    if said.why is not None and said.why.metric in changed:
        return Said(said.trusted, said.doubtful)
    return said


def shown(votes: SiteVotes) -> tuple[Vote, ...]:
    """Every vote, for the evidence; in order of stations and items."""
    return tuple(
        Vote(station, of_rank(max(said.trusted, said.doubtful)), item, said.doubtful > said.trusted)
        for station, items in sorted(votes.said.items())
        for item, said in sorted(items.items())
    )
