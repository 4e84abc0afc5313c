"""Levels of sites by fires: one camera, two that cross, two sites that see the same, weather, quiet."""

from datetime import timedelta

import msgspec
import pytest

from services.rules.catalogue.model import FireRule
from services.rules.fire.judge import FireJudge, FireState
from tests.services.rules.fire.rules import (
    COUNTY,
    DAMP,
    HERE,
    HOT,
    RULE,
    START,
    THERE,
    bearing,
    burst,
    noon,
    seen,
)
from tongluo.finding import Finding, Level
from tongluo.signal import Sighting, Signal, Tick


def judged(*signals: Signal, until: float | None = None, rule: FireRule = RULE) -> list[Finding]:
    judge, state = FireJudge(rule, COUNTY), FireState()
    found = [finding for signal in signals for finding in judge.judge(state, signal)]
    if until is not None:
        found += judge.pass_time(state, START + timedelta(minutes=until))
    return found


def brief(found: list[Finding]) -> list[tuple[str, float, str | None]]:
    return [
        (f.site, round((f.time - START).total_seconds() / 60, 2), f.level.value if f.level else None)
        for f in found
    ]


def test_one_camera_is_a_fire_at_its_site() -> None:
    found = judged(*burst(0), until=120)
    assert brief(found) == [("F-1", 0.2, "yellow")]
    assert found[0].evidence.station == "C-1"
    assert found[0].evidence.fix is None
    assert found[0].hazard == "forest_fire"


def test_it_is_given_up_at_its_own_time_when_it_has_been_quiet() -> None:
    assert brief(judged(*burst(0), until=600)) == [("F-1", 0.2, "yellow"), ("F-1", 120.2, None)]
    assert brief(judged(*burst(0), seen(100), until=600))[1:] == [("F-1", 220.0, None)]


def test_two_cameras_that_cross_have_a_position() -> None:
    [first, second] = judged(*burst(0), *burst(5, "C-2"), until=60)
    assert brief([first, second]) == [("F-1", 0.2, "yellow"), ("F-1", 5.2, "orange")]
    fix = second.evidence.fix
    assert fix is not None
    assert (fix.latitude, fix.longitude) == pytest.approx(HERE, abs=2e-6)
    assert fix.cameras == ("C-1", "C-2")
    assert [(vote.voter, vote.level) for vote in second.evidence.votes] == [
        ("C-1", Level.YELLOW),
        ("C-2", Level.YELLOW),
    ]
    assert second.evidence.station == "F-1"


def test_what_has_been_crossed_ends_only_when_nobody_sees_it() -> None:
    found = judged(*burst(0), *burst(5, "C-2"), seen(100, "C-2"), until=1000)
    assert brief(found)[2:] == [("F-1", 220.0, None)]


def test_two_sites_that_see_the_same_tell_it_once() -> None:
    """C-3 stands at F-2; it sees the fire of F-1 and adds to it."""
    found = judged(*burst(0), *burst(5, "C-3", bearing("C-3", HERE) + 0.3), until=1000)
    assert brief(found) == [("F-1", 0.2, "yellow"), ("F-1", 5.2, "orange"), ("F-1", 125.2, None)]


def test_two_sites_whose_bearings_part_tell_two_fires() -> None:
    found = judged(*burst(0), *burst(5, "C-3", 0.0), until=60)
    assert brief(found) == [("F-1", 0.2, "yellow"), ("F-2", 5.2, "yellow")]


def test_a_third_camera_that_crosses_elsewhere_sees_another_fire() -> None:
    """C-3 looks east; it crosses C-1's bearing too, twelve kilometres behind the fire."""
    found = judged(*burst(0), *burst(1, "C-2"), *burst(5, "C-3", 100.0), until=60)
    assert brief(found) == [("F-1", 0.2, "yellow"), ("F-1", 1.2, "orange"), ("F-2", 5.2, "yellow")]


def test_two_courses_that_turn_out_to_be_one_become_the_older() -> None:
    """The second was told half an hour too late to be paired; then the first camera sees it again."""
    found = judged(*burst(0), *burst(40, "C-3"), seen(45), until=60)
    assert brief(found) == [
        ("F-1", 0.2, "yellow"),
        ("F-2", 40.2, "yellow"),
        ("F-1", 45.0, "orange"),
        ("F-2", 45.0, None),
    ]
    assert "并入" in found[3].evidence.sentence.zh
    assert "F-1瞭望区" in found[3].evidence.sentence.zh


def test_bearings_too_far_apart_in_time_do_not_cross() -> None:
    assert brief(judged(*burst(0), *burst(31, "C-2"), until=60)) == [("F-1", 0.2, "yellow")]
    assert brief(judged(*burst(0), *burst(29.9, "C-2"), until=60))[1:] == [("F-1", 30.1, "orange")]


def test_a_third_camera_makes_the_position_surer() -> None:
    """The level stays, so nothing is told; it is seen in what is remembered."""
    judge, state = FireJudge(RULE, COUNTY), FireState()
    for signal in (*burst(0), *burst(1, "C-2")):
        judge.judge(state, signal)
    assert state.fires[0].fix is not None
    before = state.fires[0].fix.major_m
    assert [found for signal in burst(2, "C-3") for found in judge.judge(state, signal)] == []
    [fire] = state.fires
    assert fire.fix is not None
    assert fire.fix.cameras == ("C-1", "C-2", "C-3")
    assert fire.fix.major_m < before


def test_two_cameras_on_one_mast_are_one_fire_without_a_position() -> None:
    judge, state = FireJudge(RULE, COUNTY), FireState()
    found = [f for s in (*burst(0, "C-3", 180.0), *burst(1, "C-4", 181.0)) for f in judge.judge(state, s)]
    assert brief(found) == [("F-2", 0.2, "yellow")]
    [fire] = state.fires
    assert fire.fix is None
    assert len(fire.members) == 2


def test_two_fires_and_two_cameras_are_two_fires() -> None:
    """Each camera sees both, so there are four crossings; what was first seen together belongs together."""
    judge, state = FireJudge(RULE, COUNTY), FireState()
    signals = [
        signal
        for minute, where in ((0, HERE), (10, THERE))
        for camera in ("C-1", "C-2")
        for signal in burst(minute, camera, bearing(camera, where))
    ]
    for signal in signals:
        judge.judge(state, signal)
    places = sorted((fire.fix.latitude, fire.fix.longitude) for fire in state.fires if fire.fix is not None)
    assert len(places) == len(state.fires) == 2
    for found, true in zip(places, sorted((HERE, THERE)), strict=True):
        assert found == pytest.approx(true, abs=1e-5)


def test_of_two_fires_the_one_seen_at_the_same_time_is_crossed() -> None:
    """The second camera sees only the second fire, and crosses both bearings of the first."""
    found = judged(
        *burst(0),
        *burst(10, "C-1", bearing("C-1", THERE)),
        *burst(10.5, "C-2", bearing("C-2", THERE)),
        until=60,
    )
    fix = found[-1].evidence.fix
    assert fix is not None
    assert (fix.latitude, fix.longitude) == pytest.approx(THERE, abs=1e-5)


def test_three_courses_that_turn_out_to_be_one_all_name_the_oldest() -> None:
    """F-2's is found to be one with F-1's, and that one with F-3's, by the same sighting."""
    found = judged(*burst(0, "C-5"), *burst(40), seen(71, "C-5"), *burst(71.1, "C-3"), seen(72))
    assert brief(found)[-3:] == [("F-1", 72.0, None), ("F-2", 72.0, None), ("F-3", 72.0, "orange")]
    assert ["F-3" in finding.evidence.sentence.zh for finding in found[-3:-1]] == [True, True]


def test_what_a_camera_sees_beside_is_one_fire_with_it_by_its_position_only() -> None:
    """A wide fire: C-1 sees its other end 6 degrees beside, which is a fire of its own until C-3 gives it a position."""
    judge, state = FireJudge(RULE, COUNTY), FireState()
    end = (28.190, 120.290)
    found = [
        finding
        for signal in (*burst(0), *burst(1, "C-2"), *burst(2, "C-1", bearing("C-1", end)))
        for finding in judge.judge(state, signal)
    ]
    assert [(fire.fix is not None, len(fire.members)) for fire in state.fires] == [(True, 2), (False, 1)]
    # Towards the end only: C-3's bearing passes the position of the first fire at 2.2 km.
    low = msgspec.structs.replace(RULE, merge_km=0.5)
    found += [
        f
        for signal in burst(3, "C-3", bearing("C-3", end))
        for f in FireJudge(low, COUNTY).judge(state, signal)
    ]
    assert [(fire.fix is not None, len(fire.members)) for fire in state.fires] == [(True, 2), (True, 2)]
    found += judge.judge(state, seen(4, "C-3", bearing("C-3", end)))
    assert [len(fire.members) for fire in state.fires] == [4]
    assert brief(found) == [("F-1", 0.2, "yellow"), ("F-1", 1.2, "orange")]


def test_the_site_has_the_level_of_its_worst_fire_and_names_all() -> None:
    away = burst(0, "C-1", 200.0)
    found = judged(*away, *burst(1), *burst(2, "C-2"), until=60)
    assert brief(found) == [("F-1", 0.2, "yellow"), ("F-1", 2.2, "orange")]
    evidence = found[1].evidence
    assert evidence.fix is not None
    assert sorted(vote.voter for vote in evidence.votes) == ["C-1", "C-1", "C-2"]
    assert len({vote.item for vote in evidence.votes}) == 3


def test_fire_weather_moves_the_level_by_one() -> None:
    fire = [*burst(10), *burst(20, "C-2")]
    assert brief(judged(noon(c=17.0), *fire)) == [("F-1", 10.2, "yellow"), ("F-1", 20.2, "orange")]
    assert brief(judged(noon(**HOT), *fire)) == [("F-1", 10.2, "orange"), ("F-1", 20.2, "red")]
    assert brief(judged(noon(**DAMP), *fire)) == [("F-1", 10.2, "blue"), ("F-1", 20.2, "yellow")]


def test_fire_weather_never_leaves_the_four_levels() -> None:
    highest = msgspec.structs.replace(RULE, single=Level.RED, crossed=Level.RED)
    assert brief(judged(noon(**HOT), *burst(10), rule=highest)) == [("F-1", 10.2, "red")]
    lowest = msgspec.structs.replace(RULE, single=Level.BLUE)
    assert brief(judged(noon(**DAMP), *burst(10), rule=lowest)) == [("F-1", 10.2, "blue")]


def test_weather_that_turns_during_a_fire_is_told_at_noon() -> None:
    burning = [seen(minute) for minute in range(0, 24 * 60, 60)]
    found = judged(noon(**DAMP), *burst(-10), *burning, noon(1, **HOT))
    assert brief(found) == [("F-1", -9.8, "blue"), ("F-1", 1440.0, "orange")]


def test_weather_grows_old_at_its_own_time() -> None:
    """A fire that burns for three days under the weather of the first noon only."""
    judge, state = FireJudge(RULE, COUNTY), FireState()
    found = [f for signal in (noon(**HOT), *burst(1)) for f in judge.judge(state, signal)]
    for hour in range(1, 72):
        found += judge.judge(state, seen(60 * hour))
        found += judge.pass_time(state, START + timedelta(hours=hour, minutes=30))
    assert brief(found) == [("F-1", 1.2, "orange"), ("F-1", 2880.0, "yellow")]


def test_the_nearest_weather_counts() -> None:
    fire = burst(10, "C-3")
    assert brief(judged(noon(**HOT), noon(station="C-4", **DAMP), *fire)) == [("F-2", 10.2, "blue")]
    assert brief(judged(noon(**DAMP), noon(station="C-4", **HOT), *fire)) == [("F-2", 10.2, "orange")]


def test_the_nearest_weather_is_not_the_first_one() -> None:
    assert brief(judged(noon(**HOT), noon(station="C-4", **DAMP), *burst(10))) == [("F-1", 10.2, "orange")]


def test_what_is_not_of_the_county_is_ignored() -> None:
    """Unknown cameras, one that was never surveyed, weather from nowhere, signals of others."""
    strange = [*burst(0, "C-0", 45.0), noon(station="W-9", **HOT), Tick(START)]
    unknown = [
        Sighting(msgspec.structs.replace(s.detection, camera="X-1"))
        for s in burst(0)
        if isinstance(s, Sighting)
    ]
    judge, state = FireJudge(RULE, COUNTY), FireState()
    assert [f for s in (*strange, *unknown) for f in judge.judge(state, s)] == []
    assert state == FireState()
    assert judge.due(state) is None


def test_a_masked_bearing_is_no_fire() -> None:
    masked = msgspec.structs.replace(RULE, masks={"C-1": ((40.0, 50.0),)})
    assert judged(*burst(0), rule=masked) == []
    # Nor does it move the camera's clock.
    assert brief(judged(*burst(0, "C-1", 60.0), seen(180), rule=masked)) == [("F-1", 0.2, "yellow")]


def test_its_own_clock_ends_a_camera_s_fire_before_the_next() -> None:
    """Nobody passed the time; the camera itself says that it is three hours later."""
    found = judged(*burst(0), *burst(180))
    assert brief(found) == [("F-1", 0.2, "yellow"), ("F-1", 120.2, None), ("F-1", 180.2, "yellow")]


def test_one_camera_s_fast_clock_ends_nothing_of_another_s() -> None:
    found = judged(*burst(0), *burst(300, "C-2", 200.0))
    assert brief(found) == [("F-1", 0.2, "yellow")]


def test_due_says_when_something_will_happen() -> None:
    judge, state = FireJudge(RULE, COUNTY), FireState()
    for signal in burst(0):
        judge.judge(state, signal)
    due = judge.due(state)
    assert due == START + timedelta(minutes=120.2)
    assert judge.pass_time(state, due - timedelta(microseconds=1)) == []
    [found] = judge.pass_time(state, due)
    assert (found.time, found.level) == (due, None)
    assert judge.due(state) is None


def test_a_fire_is_due_when_the_last_that_see_it_have_been_quiet() -> None:
    judge, state = FireJudge(RULE, COUNTY), FireState()
    for signal in (*burst(0), *burst(5, "C-2")):
        judge.judge(state, signal)
    assert judge.due(state) == START + timedelta(minutes=125.2)


def test_what_comes_when_it_would_be_over_is_no_fire() -> None:
    """A camera that was cut off for three hours tells what it saw before."""
    judge, state = FireJudge(RULE, COUNTY), FireState()
    assert judge.pass_time(state, START + timedelta(hours=3)) == []
    assert [found for signal in burst(0) for found in judge.judge(state, signal)] == []
    assert judge.due(state) is None


def test_the_sentence_is_one_a_duty_officer_can_act_on() -> None:
    [one, two] = judged(noon(**HOT), *burst(1), *burst(2, "C-2"))
    assert (
        one.evidence.sentence.zh
        == "一台摄像机发现烟火：C-1号方位45°，尚未交会定位；火险天气指数111，预警上调一级。"
    )
    assert two.evidence.sentence.zh == (
        "两台摄像机发现烟火：C-1号方位45°、C-2号方位315°，交会于北纬28.1841°、东经120.3000°（误差约121米）"
        "；火险天气指数111，预警上调一级。"
    )
    assert two.evidence.sentence.en == (
        "2 cameras see smoke or fire: C-1号 at 45°, C-2号 at 315°, crossing at 28.1841°N 120.3000°E (error about 121 m)"
        "; fire weather index 111, one level up."
    )
    assert two.evidence.figure.zh == "两台摄像机交会"
    values = {measure.indicator: measure.value for measure in two.evidence.measures}
    assert values["azimuth:C-1"] == pytest.approx(45.0, abs=0.1)
    assert values["confidence:C-2"] == 0.5
    assert values["fwi"] > 20


def test_a_changed_rule_goes_on_with_what_is_remembered() -> None:
    judge, state = FireJudge(RULE, COUNTY), FireState()
    for signal in burst(0):
        judge.judge(state, signal)
    slower = FireJudge(msgspec.structs.replace(RULE, quiet=timedelta(hours=3), version="2"), COUNTY)
    found = slower.pass_time(state, START + timedelta(hours=10))
    assert brief(found) == [("F-1", 180.2, None)]
    assert found[0].evidence.rule_version == "2"


def test_a_camera_taken_from_the_county_takes_its_fire_along() -> None:
    judge, state = FireJudge(RULE, COUNTY), FireState()
    for signal in burst(0):
        judge.judge(state, signal)
    without = msgspec.structs.replace(
        COUNTY, stations={name: station for name, station in COUNTY.stations.items() if name != "C-1"}
    )
    found = FireJudge(RULE, without).judge(state, seen(1, "C-2"))
    assert brief(found) == [("F-1", 1.0, None)]
