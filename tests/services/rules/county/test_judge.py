"""The county-wide judgement as a whole: time, restarts, exercises, changes of catalogue and registry."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.catalogue.model import Catalogue, Combination, CompoundRule, Condition, Where
from services.rules.county.judge import MOST_AHEAD, CountyJudge, CountyState
from services.rules.county.levels import MOST_STRANGERS
from tests.services.rules.county.test_compound import every, rule
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
from tongluo.detection import Detection, Sign
from tongluo.finding import Finding, Level
from tongluo.liveness import Cause
from tongluo.region import County
from tongluo.signal import Sighting, Signal, Tick, Weather, time_of

BLUE, YELLOW, ORANGE, RED = Level
ALL = ("S-1", "S-2", "S-3", "S-4", "S-5")
NEAR = Condition("rain", YELLOW, Where.NEAR, within_km=1.5 * STEP_KM, count=2, hold=timedelta(minutes=20))
UNTOLD = rule("untold", (ORANGE, every(NEAR)), sites=ALL, release_min=45, tell=False)
HELD = rule("held", (RED, every(Condition("slope", BLUE, hold=timedelta(minutes=30)))), sites=ALL)
EITHER = (Condition("untold", ORANGE), Condition("silence", YELLOW), Condition("held", RED))
MIXED = rule(
    "mixed", (BLUE, Combination(1, EITHER)), (RED, Combination(2, EITHER)), sites=ALL, release_min=10
)
GRAVE = msgspec.structs.replace(SILENCE, grave=("rain", "held"), worse_after=timedelta(hours=2))
RULES = catalogue(MIXED, UNTOLD, HELD, silence=GRAVE)


@st.composite
def signals(draw: st.DrawFn) -> Signal:
    """One signal at minute 0; `logs` sets its time."""
    station, found = draw(st.integers(1, 5)), draw(st.sampled_from([None, *Level]))
    name = draw(st.sampled_from(["rain", "slope", "unknown"]))
    return draw(
        st.sampled_from(
            [
                level(0, name, station, found),
                level(0, name, station, found),
                level(0, name, station, found, drill=True),
                silent(0, station, draw(st.sampled_from(list(Cause)))),
                speaks(0, station),
                Weather(f"R-{station}", f"S-{station}", at(0), 30.0, 20.0, 5.0, 0.0),
            ]
        )
    )


def moved(signal: Signal, minute: float) -> Signal:
    event = getattr(signal, "event", None)
    if event is None:
        return msgspec.structs.replace(signal, time=at(minute))
    return msgspec.structs.replace(signal, event=msgspec.structs.replace(event, time=at(minute)))


@st.composite
def logs(draw: st.DrawFn) -> list[Signal]:
    """Signals up to two hours apart, some of them late; with ticks a minute before, as they come live, or without."""
    ticks = draw(st.booleans())
    minute, found = 0, []
    for one in draw(st.lists(signals(), max_size=25)):
        minute += draw(st.sampled_from([0, 1, 7, 20, 30, 45, 120]))
        if ticks:
            found.append(tick(minute - 1))
        found.append(moved(one, minute - draw(st.sampled_from([0, 0, 0, 3, 40]))))
    return [*found, tick(minute + 1000)]


def with_more_ticks(log: list[Signal], draw: st.DrawFn) -> list[Signal]:
    """Ticks of any time that has been heard of by then, and up to the next signal's where ticks come anyway."""
    found, now, ticked = [], None, any(isinstance(one, Tick) for one in log[:-1])
    for signal in log:
        latest = max(now or time_of(signal), time_of(signal))
        if ticked:
            before = draw(st.lists(st.integers(0, 50), max_size=2))
            found += [Tick(latest - timedelta(minutes=minutes)) for minutes in before]
        found.append(signal)
        now = latest
    return [*found, *(Tick(time_of(log[-1]) - timedelta(minutes=n)) for n in range(3))]


@settings(deadline=None)
@given(data=st.data(), log=logs())
def test_more_ticks_change_nothing(data: st.DataObject, log: list[Signal]) -> None:
    assert judged(RULES, with_more_ticks(log, data.draw)) == judged(RULES, log)


@settings(deadline=None)
@given(log=logs(), often=st.integers(1, 5))
def test_a_restart_at_any_point_changes_nothing(log: list[Signal], often: int) -> None:
    judge, state, found = CountyJudge(RULES, COUNTY), CountyState(), []
    for number, signal in enumerate(log):
        if number % often == 0:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=CountyState)
            judge = CountyJudge(RULES, COUNTY)
        found += judge.judge(state, signal)
    assert found == judged(RULES, log)


@settings(deadline=None)
@given(log=logs())
def test_findings_follow_each_other_and_each_changes_the_level(log: list[Signal]) -> None:
    seen: dict[tuple[str, str], Finding] = {}
    levels: dict[tuple[str, str, bool], Level | None] = {}
    for found in judged(RULES, log):
        key = (found.rule, found.site)
        assert found.rule != "untold"
        assert found.evidence.time == found.time
        assert key not in seen or seen[key].time < found.time
        assert levels.get((*key, found.drill)) is not found.level
        seen[key], levels[(*key, found.drill)] = found, found.level


@settings(deadline=None)
@given(log=logs())
def test_after_a_tick_nothing_is_due_before_it(log: list[Signal]) -> None:
    judge, state = CountyJudge(RULES, COUNTY), CountyState()
    for signal in log:
        judge.judge(state, signal)
        assert state.now is not None
        due = judge.due(state)
        assert due is None or due > state.now


@settings(deadline=None)
@given(log=logs())
def test_an_exercise_and_the_real_thing_do_not_touch(log: list[Signal]) -> None:
    """The levels found of either are those found without the other, in the same order.

    Their times share one row (a finding is known by rule, site and time): what comes late may be told as later still.
    """

    def levels(found: list[Finding], *, drill: bool) -> list[tuple[str, str, Level | None]]:
        return [(one.rule, one.site, one.level) for one in found if one.drill is drill]

    def is_drill(signal: Signal) -> bool:
        return getattr(signal, "drill", False)

    both = judged(RULES, log)
    # The other world's signals still pass the time.
    real = [Weather("R-1", "S-1", time_of(s), 0, 0, 0, 0) if is_drill(s) else s for s in log]
    drill = [s if is_drill(s) or isinstance(s, Tick) else moved_to_weather(s) for s in log]
    assert levels(both, drill=False) == levels(judged(RULES, real), drill=False)
    assert levels(both, drill=True) == levels(judged(RULES, drill), drill=True)


def moved_to_weather(signal: Signal) -> Signal:
    return Weather("R-1", "S-1", time_of(signal), 0, 0, 0, 0)


def test_an_exercise_is_told_as_one() -> None:
    storm = [level(0, "slope", 1, RED, drill=True), level(5, "slope", 1, RED), tick(60)]
    found = judged(RULES, storm)
    assert [(one.rule, one.drill) for one in found] == [
        ("held", True),
        ("mixed", True),
        ("held", False),
        ("mixed", False),
    ]


def test_one_wrong_clock_in_the_field_ends_nobodys_waiting() -> None:
    year = 365 * 24 * 60
    log = [tick(0), level(1, "slope", 1, RED), level(year, "slope", 2, RED), tick(5), tick(100)]
    judge, state = CountyJudge(RULES, COUNTY), CountyState()
    for signal in log[:4]:
        assert judge.judge(state, signal) == []
    assert state.now == at(0) + MOST_AHEAD
    ends = [one for one in told(judge.judge(state, log[4])) if one[1] == "held"]
    assert ends == [(31, "held", "S-1", RED), (40, "held", "S-2", RED)]


@pytest.mark.parametrize("signal", [level(500, "slope", 2, RED), Weather("R-1", "S-1", at(500), 0, 0, 0, 0)])
def test_without_ticks_signals_pass_the_time(signal: Signal) -> None:
    found = judged(RULES, [level(0, "slope", 1, RED), signal])
    assert told(found)[0] == (30, "held", "S-1", RED)


def test_a_sighting_of_a_wrong_clock_is_judged_as_of_now() -> None:
    smoke = Detection("C-1", Sign.SMOKE, at(9000), 0.5, 0.0, 1.0, "S-1", "G-1")
    state = CountyState()
    judged(RULES, [tick(0), Sighting(smoke)], state)
    assert state.now == at(0) + MOST_AHEAD


def test_the_state_stays_within_bounds() -> None:
    log: list[Signal] = [
        msgspec.structs.replace(level(n, "rain", 1, RED), site=f"X-{n}") for n in range(MOST_STRANGERS + 50)
    ]
    state = CountyState()
    judged(RULES, log, state)
    for world in (state.real, state.drill):
        for levels in (world.silence.levels, world.compound.levels):
            assert len(levels.strangers) <= MOST_STRANGERS
            assert levels.held.get("rain", {}) == {}


class TestAChangeOfCatalogue:
    """The same state, another CountyJudge."""

    SLOW = rule("slow", (YELLOW, every(Condition("rain", BLUE))), release_min=30)

    def changed(
        self,
        before: Catalogue,
        log: list[Signal],
        after: Catalogue,
        rest: list[Signal],
        county: County = COUNTY,
    ) -> list[tuple[float, str, str, Level | None]]:
        state = CountyState()
        judged(before, log, state)
        return told(judged(after, rest, state, county))

    def test_a_level_whose_line_has_risen_is_held_until_its_release(self) -> None:
        """No all-clear in the middle of a storm."""
        higher = rule("slow", (YELLOW, every(Condition("rain", RED))), release_min=30)
        log: list[Signal] = [level(0, "rain", 1, ORANGE)]
        found = self.changed(catalogue(self.SLOW), log, catalogue(higher), [tick(10), tick(100)])
        assert found == [(40, "slow", "S-1", None)]

    def test_a_lower_line_and_a_new_rule_take_effect_at_the_next_signal(self) -> None:
        new = rule("new", (RED, every(Condition("rain", ORANGE))))
        log: list[Signal] = [level(0, "rain", 1, ORANGE)]
        found = self.changed(catalogue(self.SLOW), log, catalogue(self.SLOW, new), [tick(10), tick(20)])
        assert found == [(10, "new", "S-1", RED)]

    def test_a_rule_that_is_gone_is_told_to_be_over(self) -> None:
        log: list[Signal] = [level(0, "rain", 1, ORANGE), silent(1, 2)]
        before = catalogue(self.SLOW, silence=SILENCE)
        found = self.changed(before, log, catalogue(), [tick(10), tick(20)])
        assert found == [(10, "silence", "S-2", None), (10, "slow", "S-1", None)]

    def test_a_silence_is_remembered_while_there_is_no_rule_for_it(self) -> None:
        log: list[Signal] = [silent(1, 2)]
        assert self.changed(catalogue(), log, RULES, [tick(10)])[0] == (10, "silence", "S-2", BLUE)

    def test_what_others_looked_at_goes_with_a_rule(self) -> None:
        log: list[Signal] = [level(0, "slope", 1, RED), tick(40)]
        found = self.changed(RULES, log, catalogue(MIXED, UNTOLD, silence=GRAVE), [tick(41), tick(80)])
        assert found == [(41, "held", "S-1", None), (51, "mixed", "S-1", None)]

    def test_a_rule_of_another_hazard_begins_anew(self) -> None:
        other = msgspec.structs.replace(self.SLOW, hazard="other")
        state = CountyState()
        judged(catalogue(self.SLOW), [level(0, "rain", 1, RED)], state)
        found = judged(catalogue(other), [tick(10)], state)
        assert [(one.hazard, one.level) for one in found] == [("slow", None), ("other", YELLOW)]
        assert found[0].time < found[1].time

    @pytest.mark.parametrize("tell", [True, False])
    def test_a_rule_that_is_told_now_or_no_more(self, tell: bool) -> None:
        rules = [msgspec.structs.replace(self.SLOW, tell=one) for one in (not tell, tell)]
        log: list[Signal] = [level(0, "rain", 1, RED)]
        found = self.changed(catalogue(rules[0]), log, catalogue(rules[1]), [tick(10), tick(20)])
        assert found == [(10, "slow", "S-1", YELLOW if tell else None)]

    def test_a_site_that_is_judged_no_more(self) -> None:
        wide = msgspec.structs.replace(self.SLOW, sites=("S-1", "S-2"))
        log: list[Signal] = [level(0, "rain", 2, RED)]
        found = self.changed(catalogue(wide), log, catalogue(self.SLOW), [tick(10)])
        assert found == [(10, "slow", "S-2", None)]

    def test_a_site_that_is_gone(self) -> None:
        sites = {name: site for name, site in COUNTY.sites.items() if name != "S-1"}
        stations = {name: station for name, station in COUNTY.stations.items() if name != "R-1"}
        county = msgspec.structs.replace(COUNTY, sites=sites, stations=stations)
        rules = catalogue(self.SLOW, silence=SILENCE)
        log: list[Signal] = [level(0, "rain", 1, RED), silent(1, 1)]
        state = CountyState()
        judged(rules, log, state)
        assert told(judged(rules, [tick(10), speaks(20, 1)], state, county)) == [
            (10, "silence", "S-1", None),
            (10, "slow", "S-1", None),
        ]
        assert state.real.silence.silent == {}
        assert state.told == {"silence": {}, "slow": {}}

    def test_a_level_of_a_site_heard_of_before_the_registry_was_is_not_lost(self) -> None:
        sites = {name: site for name, site in COUNTY.sites.items() if name != "S-1"}
        before = msgspec.structs.replace(COUNTY, sites=sites)
        state = CountyState()
        assert judged(catalogue(self.SLOW), [level(0, "rain", 1, RED)], state, before) == []
        assert told(judged(catalogue(self.SLOW), [tick(1)], state)) == [(1, "slow", "S-1", YELLOW)]

    def test_what_comes_back_is_told_later_than_what_was_told_before(self) -> None:
        state = CountyState()
        rules, log = catalogue(self.SLOW), [level(0, "rain", 1, RED)]
        found = judged(rules, log, state) + judged(catalogue(), [tick(10)], state)
        found += judged(rules, [tick(10), level(5, "rain", 1, None), tick(10)], state)
        times = [one.time for one in found]
        assert [one.level for one in found] == [YELLOW, None, YELLOW]
        assert times == sorted(set(times))

    def test_it_is_due_at_once(self) -> None:
        state = CountyState()
        judged(catalogue(self.SLOW), [level(0, "rain", 1, RED)], state)
        assert CountyJudge(catalogue(), COUNTY).due(state) == at(0)
        assert CountyJudge(catalogue(), COUNTY).due(CountyState()) is None


@settings(deadline=None)
@given(log=logs(), rest=logs())
def test_after_any_change_what_was_told_and_what_is_held_agree(log: list[Signal], rest: list[Signal]) -> None:
    """By the state people were told, going there and back; and what is gone is not held."""
    other: list[CompoundRule] = [msgspec.structs.replace(MIXED, release_after=timedelta(0)), UNTOLD]
    rules = (RULES, catalogue(*other), RULES)
    state, levels = CountyState(), {}
    for one in rules:
        for found in judged(one, [*log, *rest], state):
            levels[(found.rule, found.site, found.drill)] = found.level
        told_now = {
            (name, site, drill): found
            for name, sites in state.told.items()
            for site, kept in sites.items()
            for drill, found in ((False, kept.real), (True, kept.drill))
            if found is not None
        }
        assert told_now == {key: found for key, found in levels.items() if found is not None}
        known = {each.id for each in one.compound} | {"silence"} if one.silence else {"mixed", "untold"}
        assert {name for name, _, _ in told_now} <= known
