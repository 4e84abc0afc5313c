"""Compound rules: conditions here and elsewhere, their holding and their release, against a slow and obvious reference."""

from datetime import UTC, datetime, timedelta
from graphlib import CycleError
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.catalogue.model import Combination, CompoundLine, CompoundRule, Condition, Where
from services.rules.county.judge import CountyJudge
from tests.services.rules.county.world import (
    COUNTY,
    SILENCE,
    STEP_KM,
    at,
    catalogue,
    judged,
    level,
    silent,
    speaks,
    tick,
    told,
)
from tongluo.finding import Finding, Level
from tongluo.hazards import Words
from tongluo.signal import Signal, SiteLevel, Tick

BLUE, YELLOW, ORANGE, RED = Level
Tree = Condition | Combination


def every(*parts: Tree) -> Combination:
    return Combination(len(parts), parts)


def either(*parts: Tree) -> Combination:
    return Combination(1, parts)


def rule(
    name: str,
    *lines: tuple[Level, Combination],
    sites: tuple[str, ...] = ("S-1",),
    release_min: float = 0,
    tell: bool = True,
) -> CompoundRule:
    return CompoundRule(
        name,
        "v",
        name,
        Words(f"{name}综合", f"the {name} rule"),
        "",
        (),
        sites,
        tuple(CompoundLine(*line) for line in lines),
        timedelta(minutes=release_min),
        tell,
    )


def hold(minutes: float) -> timedelta:
    return timedelta(minutes=minutes)


RAIN, SLOPE = Condition("rain", BLUE), Condition("slope", YELLOW)


def test_both_must_hold_and_it_ends_at_once_with_one_of_them() -> None:
    rules = catalogue(rule("both", (RED, every(RAIN, SLOPE))))
    signals = [
        level(0, "rain", 1, RED),
        level(5, "slope", 1, BLUE),
        level(9, "slope", 1, ORANGE),
        level(20, "rain", 1, None),
    ]
    assert told(judged(rules, signals)) == [(9, "both", "S-1", RED), (20, "both", "S-1", None)]


def test_one_of_them_is_enough_where_the_rule_says_so() -> None:
    rules = catalogue(rule("any", (RED, either(RAIN, SLOPE))))
    signals = [level(0, "slope", 1, RED), level(5, "rain", 1, RED), level(9, "slope", 1, None)]
    assert told(judged(rules, signals)) == [(0, "any", "S-1", RED)]


def test_two_of_three() -> None:
    three = Combination(2, (RAIN, SLOPE, Condition("rain", RED)))
    rules = catalogue(rule("most", (RED, three)))
    signals = [level(0, "rain", 1, BLUE), level(5, "rain", 1, RED), level(9, "slope", 1, RED)]
    assert told(judged(rules, signals)) == [(5, "most", "S-1", RED)]


def test_the_highest_line_that_holds_is_the_level() -> None:
    rules = catalogue(rule("steps", (BLUE, every(RAIN)), (RED, every(RAIN, SLOPE))))
    signals = [
        level(0, "rain", 1, BLUE),
        level(5, "slope", 1, RED),
        level(9, "slope", 1, None),
        level(12, "rain", 1, None),
    ]
    assert [one[-1] for one in told(judged(rules, signals))] == [BLUE, RED, BLUE, None]


class TestWhere:
    def test_only_the_site_itself(self) -> None:
        rules = catalogue(rule("here", (RED, every(RAIN))))
        assert judged(rules, [level(0, "rain", 2, RED)]) == []

    def test_near_counts_sites_and_the_site_itself_is_one(self) -> None:
        near = Condition("rain", BLUE, Where.NEAR, within_km=2.5 * STEP_KM, count=2)
        rules = catalogue(rule("near", (RED, every(near))))
        assert judged(rules, [level(0, "rain", 3, RED), level(5, "rain", 4, RED)]) == []
        assert told(judged(rules, [level(0, "rain", 3, RED), level(5, "rain", 1, RED)])) == [
            (5, "near", "S-1", RED)
        ]

    def test_related_sites_are_those_of_the_table(self) -> None:
        upstream = Condition("rain", BLUE, Where.RELATED, relation="upstream")
        rules = catalogue(
            rule("flow", (RED, every(upstream)), sites=("S-1", "S-2")),
            relations={"upstream": {"S-1": ("S-4", "S-99")}},
        )
        assert told(judged(rules, [level(0, "rain", 4, RED)])) == [(0, "flow", "S-1", RED)]
        assert judged(rules, [level(0, "rain", 1, RED)]) == []

    def test_named_sites(self) -> None:
        named = Condition("rain", BLUE, Where.NAMED, sites=("S-3", "S-5"), count=2)
        rules = catalogue(rule("named", (RED, every(named))))
        signals = [level(0, "rain", 3, RED), level(1, "rain", 4, RED), level(2, "rain", 5, RED)]
        assert told(judged(rules, signals)) == [(2, "named", "S-1", RED)]

    def test_sites_of_its_kinds_are_judged_too(self) -> None:
        kinds = msgspec.structs.replace(rule("all", (RED, every(RAIN)), sites=()), kinds=("catchment",))
        signals = [level(n, "rain", n, RED) for n in (1, 2, 3)]
        assert [one[2] for one in told(judged(catalogue(kinds), signals))] == ["S-1", "S-2", "S-3"]


class TestTime:
    HELD = rule("held", (RED, every(Condition("rain", YELLOW, hold=hold(60)))), release_min=30)

    def test_it_holds_from_the_very_moment_on_whenever_somebody_looked(self) -> None:
        signals = [level(0, "rain", 1, YELLOW), level(20, "rain", 1, RED), tick(500)]
        assert told(judged(catalogue(self.HELD), signals)) == [(60, "held", "S-1", RED)]

    def test_a_break_starts_the_hold_anew(self) -> None:
        signals = [level(0, "rain", 1, RED), level(20, "rain", 1, BLUE), level(30, "rain", 1, RED), tick(500)]
        assert told(judged(catalogue(self.HELD), signals)) == [(90, "held", "S-1", RED)]

    def test_it_is_released_after_a_time_that_a_new_rise_ends(self) -> None:
        rules = catalogue(rule("slow", (RED, every(RAIN)), release_min=30))
        signals = [
            level(0, "rain", 1, RED),
            level(10, "rain", 1, None),
            level(35, "rain", 1, BLUE),
            level(50, "rain", 1, None),
            tick(500),
        ]
        assert told(judged(rules, signals)) == [(0, "slow", "S-1", RED), (80, "slow", "S-1", None)]

    def test_what_comes_late_is_told_at_its_own_time(self) -> None:
        signals = [tick(100), level(20, "rain", 1, RED), level(90, "rain", 1, None), tick(300)]
        assert told(judged(catalogue(self.HELD), signals)) == [
            (80, "held", "S-1", RED),
            (120, "held", "S-1", None),
        ]

    def test_what_comes_late_takes_nothing_away_from_what_is_known_since(self) -> None:
        either_site = Condition("rain", BLUE, Where.NAMED, sites=("S-2", "S-3"))
        rules = catalogue(rule("any", (RED, every(either_site))))
        signals = [level(100, "rain", 2, RED), level(50, "rain", 3, BLUE), level(60, "rain", 3, None)]
        assert told(judged(rules, signals)) == [(100, "any", "S-1", RED)]


class TestOnOthers:
    FIRST = rule("first", (YELLOW, every(RAIN)))
    SECOND = rule("second", (RED, every(Condition("first", YELLOW), SLOPE)))

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_a_rule_may_look_at_another_in_whatever_order_they_stand(self, order: tuple[int, int]) -> None:
        rules = catalogue(*((self.FIRST, self.SECOND)[n] for n in order))
        signals = [level(0, "slope", 1, RED), level(5, "rain", 1, RED), level(9, "rain", 1, None)]
        assert told(judged(rules, signals)) == [
            (5, "first", "S-1", YELLOW),
            (5, "second", "S-1", RED),
            (9, "first", "S-1", None),
            (9, "second", "S-1", None),
        ]

    def test_what_is_not_told_still_votes(self) -> None:
        quiet = msgspec.structs.replace(self.FIRST, tell=False)
        signals = [level(0, "slope", 1, RED), level(5, "rain", 1, RED)]
        assert told(judged(catalogue(quiet, self.SECOND), signals)) == [(5, "second", "S-1", RED)]

    def test_a_circle_is_refused(self) -> None:
        circle = rule("first", (YELLOW, every(Condition("second", RED))))
        with pytest.raises(CycleError):
            CountyJudge(catalogue(circle, self.SECOND), COUNTY)

    def test_silences_vote(self) -> None:
        blind = rule("blind", (RED, every(Condition("silence", YELLOW), RAIN)))
        rules = catalogue(blind, silence=SILENCE)
        signals = [silent(0, 1), level(5, "rain", 1, RED), speaks(30, 1)]
        assert told(judged(rules, signals)) == [
            (0, "silence", "S-1", BLUE),
            (5, "silence", "S-1", ORANGE),
            (5, "blind", "S-1", RED),
            (30, "silence", "S-1", None),
            (30, "blind", "S-1", None),
        ]

    def test_a_compound_rule_can_make_a_silence_graver_and_that_another_rule(self) -> None:
        grave = msgspec.structs.replace(SILENCE, grave=("first",))
        last = rule("last", (RED, every(Condition("silence", YELLOW))))
        rules = catalogue(self.FIRST, last, silence=grave)
        signals = [silent(0, 1), level(5, "rain", 1, RED)]
        assert told(judged(rules, signals))[1:] == [
            (5, "first", "S-1", YELLOW),
            (5, "silence", "S-1", YELLOW),
            (5, "last", "S-1", RED),
        ]


def test_the_evidence_shows_every_vote_and_says_what_decided() -> None:
    near = Condition("rain", YELLOW, Where.NEAR, within_km=2.5 * STEP_KM, count=2, hold=hold(180))
    rules = catalogue(rule("both", (RED, every(SLOPE, near))))
    signals = [
        level(0, "rain", 2, ORANGE),
        level(3, "rain", 1, YELLOW),
        level(5, "rain", 3, BLUE),
        level(9, "slope", 1, RED),
        tick(1000),
    ]
    [found] = judged(rules, signals)
    assert found.time == at(183)
    votes = [(v.voter, v.item, v.level, v.holds, v.since) for v in found.evidence.votes]
    assert votes == [
        ("S-1", "slope", RED, True, at(9)),
        ("S-1", "rain", YELLOW, True, at(3)),
        ("S-2", "rain", ORANGE, True, at(0)),
        ("S-3", "rain", BLUE, False, None),
    ]
    assert {(v.item, v.words) for v in found.evidence.votes} == {
        ("slope", Words("本点slope规则黄色及以上", "the slope rule yellow or above here")),
        (
            "rain",
            Words(
                "0.28 km 内至少 2 处持续 3 小时rain规则黄色及以上",
                "the rain rule yellow or above within 0.28 km, 2 sites at least, for 3 h",
            ),
        ),
    }
    assert found.evidence.sentence == Words(
        "1号小流域both综合红色：1号小流域slope规则红色（第 9 分钟）；2号小流域rain规则橙色（第 0 分钟）、"
        "1号小流域rain规则黄色（第 3 分钟）",
        "the both rule red at 1号小流域: the slope rule red at 1号小流域 (minute 9); "
        "the rain rule orange at 2号小流域 (minute 0), the rain rule yellow at 1号小流域 (minute 3)",
    )
    assert found.evidence.figure == Words("slope规则、rain规则", "the slope rule, the rain rule")


def test_the_evidence_of_an_end_says_for_how_long_and_shows_who_is_missing() -> None:
    rules = catalogue(rule("slow", (RED, every(RAIN)), release_min=30))
    found = judged(rules, [level(0, "rain", 1, RED), level(10, "rain", 1, None), tick(60)])[-1]
    assert found.evidence.sentence.zh == "1号小流域：slow综合条件不再满足已 30 分钟"
    assert [(vote.voter, vote.level, vote.holds) for vote in found.evidence.votes] == [("S-1", None, False)]


# The reference: what a condition means, by looking at all of history for every moment anew.

History = dict[tuple[str, str], list[tuple[datetime, Level | None]]]


def level_at(history: History, name: str, site: str, moment: datetime) -> Level | None:
    known = [found for time, found in history.get((name, site), []) if time <= moment]
    return known[-1] if known else None


def holds_at(history: History, when: Tree, site: str, moment: datetime) -> bool:
    if isinstance(when, Combination):
        return sum(holds_at(history, part, site, moment) for part in when.of) >= when.least
    places = {
        Where.HERE: {site},
        Where.NEAR: {f"S-{n}" for n in range(1, 6) if abs(n - int(site[-1])) * STEP_KM <= when.within_km},
        Where.NAMED: set(when.sites),
    }[when.where]

    def counts(place: str) -> bool:
        begin = moment - when.hold
        changes = [t for t, _ in history.get((when.rule, place), []) if begin < t <= moment]
        levels = [level_at(history, when.rule, place, t) for t in (begin, *changes)]
        return all(found is not None and found >= when.level for found in levels)

    return sum(counts(place) for place in places) >= when.count


def reference(rules: list[CompoundRule], signals: list[SiteLevel], moments: list[datetime]) -> History:
    """Every compound level at every moment; rules come after those they look at. Between moments nothing changes."""
    history: History = {}
    for signal in signals:
        history.setdefault((signal.rule, signal.site), []).append((signal.time, signal.level))
    for one in rules:
        for site in one.sites:
            held: dict[Level, datetime] = {}
            told: list[tuple[datetime, Level | None]] = []
            for moment, following in pairwise(
                [*moments, datetime.max.replace(tzinfo=UTC) - timedelta(days=1)]
            ):
                for line in one.lines:
                    if holds_at(history, line.when, site, moment):
                        held[line.level] = following
                standing = [found for found, ended in held.items() if moment < ended + one.release_after]
                found = max(standing, default=None)
                if found is not (told[-1][1] if told else None):
                    told.append((moment, found))
            history[(one.id, site)] = told
    return history


def breakpoints(rules: list[CompoundRule], signals: list[SiteLevel]) -> list[datetime]:
    """Every moment at which something can change: a signal, and what is held and released after it, rule after rule."""
    moments = {signal.time for signal in signals}
    for one in rules:
        asked = {condition.hold for line in one.lines for condition in leaves(line.when)}
        moments |= {moment + hold for moment in moments for hold in asked}
        moments |= {moment + one.release_after for moment in moments}
    return sorted(moments)


def leaves(when: Tree) -> list[Condition]:
    if isinstance(when, Condition):
        return [when]
    return [leaf for part in when.of for leaf in leaves(part)]


# Signals come on whole minutes. Holds and releases take some seconds more, and no two of them add up to a whole minute:
# what happens at the very moment a hold ends is a test of its own.
HOLDS_1, RELEASES_1 = ((0, 61, 421, 1201), (0, 62, 662))
HOLDS_2, RELEASES_2 = ((0, 64, 424, 1204), (0, 68, 668))


@st.composite
def conditions(draw: st.DrawFn, names: tuple[str, ...], holds: tuple[int, ...]) -> Condition:
    where = draw(st.sampled_from([Where.HERE, Where.NEAR, Where.NAMED]))
    return Condition(
        draw(st.sampled_from(names)),
        draw(st.sampled_from(list(Level))),
        where,
        within_km=draw(st.integers(0, 4)) * STEP_KM,
        sites=tuple(draw(st.sets(st.sampled_from(["S-1", "S-3", "S-5"]), min_size=1))),
        count=draw(st.integers(1, 2)),
        hold=timedelta(seconds=draw(st.sampled_from(holds))),
    )


def trees(names: tuple[str, ...], holds: tuple[int, ...]) -> st.SearchStrategy[Tree]:
    return st.recursive(
        conditions(names, holds),
        lambda parts: st.lists(parts, min_size=1, max_size=3).flatmap(
            lambda of: st.integers(1, len(of)).map(lambda least: Combination(least, tuple(of)))
        ),
        max_leaves=5,
    )


@st.composite
def compounds(
    draw: st.DrawFn, name: str, names: tuple[str, ...], holds: tuple[int, ...], releases: tuple[int, ...]
) -> CompoundRule:
    levels = draw(st.lists(st.sampled_from(list(Level)), min_size=1, max_size=3))
    lines = [(found, every(draw(trees(names, holds)))) for found in levels]
    release_min = draw(st.sampled_from(releases)) / 60
    return rule(name, *lines, sites=("S-1", "S-2", "S-3"), release_min=release_min)


@st.composite
def histories(draw: st.DrawFn) -> list[SiteLevel]:
    """Changes of level, one a minute at most."""
    minute, found = 0, []
    for _ in range(draw(st.integers(1, 9))):
        minute += draw(st.integers(1, 15))
        name, site = draw(st.sampled_from(["rain", "slope"])), draw(st.integers(1, 5))
        found.append(level(minute, name, site, draw(st.sampled_from([None, *Level]))))
    return found


@settings(deadline=None)
@given(
    first=compounds("first", ("rain", "slope"), HOLDS_1, RELEASES_1),
    second=compounds("second", ("rain", "first"), HOLDS_2, RELEASES_2),
    signals=histories(),
)
def test_levels_are_what_the_reference_says_at_every_moment(
    first: CompoundRule, second: CompoundRule, signals: list[SiteLevel]
) -> None:
    moments = breakpoints([first, second], signals)
    expected = reference([first, second], signals, moments)
    log: list[Signal] = [*signals, Tick(moments[-1] + timedelta(days=1))]
    found = judged(catalogue(first, second), log)
    for name in ("first", "second"):
        for site in ("S-1", "S-2", "S-3"):
            held = [level_at(expected, name, site, moment) for moment in moments]
            assert steps(found, name, site, moments) == held


def steps(found: list[Finding], name: str, site: str, moments: list[datetime]) -> list[Level | None]:
    """The level from each moment on, once what came microseconds apart has come."""
    own = [one for one in found if (one.rule, one.site) == (name, site)]
    slack = timedelta(milliseconds=1)
    return [
        next((one.level for one in reversed(own) if one.time <= moment + slack), None) for moment in moments
    ]


def test_what_ends_at_the_very_moment_its_hold_is_over_has_held() -> None:
    held = rule("held", (RED, every(Condition("rain", BLUE, hold=hold(60)))), release_min=30)
    signals = [level(0, "rain", 1, RED), level(60, "rain", 1, None), tick(500)]
    assert told(judged(catalogue(held), signals)) == [(60, "held", "S-1", RED), (90, "held", "S-1", None)]
