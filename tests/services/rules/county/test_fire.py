"""Fires in the county-wide judgement: told, voted with, and ended by time that passes."""

from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.catalogue.model import Condition
from services.rules.county.judge import CountyJudge, CountyState
from tests.services.rules.county.test_compound import every, rule
from tests.services.rules.county.world import catalogue
from tests.services.rules.fire.rules import COUNTY, RULE, START, burst, noon, seen
from tongluo.finding import Finding, Level
from tongluo.region import Purpose
from tongluo.signal import Signal, Tick

BLUE, YELLOW, ORANGE, RED = Level
SMOKE = rule("smoke", (RED, every(Condition("forest_fire", YELLOW))), sites=("F-1",))
RULES = msgspec.structs.replace(catalogue(SMOKE), fire=RULE)


def judged(signals: list[Signal], state: CountyState | None = None) -> list[Finding]:
    judge, state = CountyJudge(RULES, COUNTY), state if state is not None else CountyState()
    return [found for signal in signals for found in judge.judge(state, signal)]


def tick(minute: float) -> Tick:
    return Tick(START + timedelta(minutes=minute))


def test_a_fire_is_told_is_a_vote_and_ends_when_nobody_sees_it_any_more() -> None:
    found = judged([*burst(0), tick(1000)])
    last = START + timedelta(seconds=12)
    assert [(one.rule, one.site, one.time, one.level) for one in found] == [
        ("forest_fire", "F-1", last, YELLOW),
        ("smoke", "F-1", last, RED),
        ("forest_fire", "F-1", last + RULE.quiet, None),
        ("smoke", "F-1", last + RULE.quiet, None),
    ]


def test_without_its_rule_a_fire_is_told_to_be_over() -> None:
    state = CountyState()
    judged(burst(0), state)
    found = CountyJudge(catalogue(), COUNTY).judge(state, tick(5))
    assert [(one.rule, one.level) for one in found] == [("forest_fire", None), ("smoke", None)]
    assert state.real.fire.cameras == {}


@st.composite
def logs(draw: st.DrawFn) -> list[Signal]:
    minute, found = 0.0, []
    for _ in range(draw(st.integers(1, 12))):
        minute += draw(st.sampled_from([0.1, 1, 3, 50, 130]))
        camera = draw(st.sampled_from(["C-1", "C-2", "C-3"]))
        late = draw(st.sampled_from([0, 0, 0, 2, 60]))
        found.append(tick(minute))
        if draw(st.booleans()):
            found += burst(minute - late, camera)
        else:
            found.append(draw(st.sampled_from([seen(minute - late, camera), noon(int(minute // 1440))])))
    return [*found, tick(minute + 5000)]


@settings(deadline=None)
@given(log=logs(), data=st.data())
def test_more_ticks_and_restarts_change_nothing(log: list[Signal], data: st.DataObject) -> None:
    state, found, latest = CountyState(), [], START
    for signal in log:
        if isinstance(signal, Tick):
            span = signal.time - latest
            shares = sorted(data.draw(st.lists(st.floats(0, 1), max_size=2)))
            found += judged([Tick(latest + span * share) for share in shares], state)
            latest = max(latest, signal.time)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=CountyState)
        found += judged([signal], state)
    assert found == judged(log)


@settings(deadline=None)
@given(log=logs())
def test_after_a_tick_nothing_is_due_before_it(log: list[Signal]) -> None:
    judge, state = CountyJudge(RULES, COUNTY), CountyState()
    for signal in log:
        judge.judge(state, signal)
        due = judge.due(state)
        assert due is None or state.now is None or due > state.now


def test_what_a_camera_of_an_exercise_saw_burns_there_only() -> None:
    camera = msgspec.structs.replace(COUNTY.stations["C-1"], purpose=Purpose.DRILL)
    county = msgspec.structs.replace(COUNTY, stations={**COUNTY.stations, "C-1": camera})
    judge, state = CountyJudge(RULES, county), CountyState()
    found = [one for signal in burst(0) for one in judge.judge(state, signal)]
    assert [(one.rule, one.level, one.drill) for one in found] == [
        ("forest_fire", YELLOW, True),
        ("smoke", RED, True),
    ]
    assert state.real.fire.cameras == {}
