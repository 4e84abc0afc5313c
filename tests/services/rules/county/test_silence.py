"""Silences: a quiet county's, a storm's, a whole county's."""

from datetime import timedelta

import msgspec
import pytest

from services.rules.county.near import EARTH_KM, Nearness, distance_km
from services.rules.county.silence import SilenceJudge, SilenceState, concern
from tests.services.rules.county.world import (
    COUNTY,
    SILENCE,
    at,
    catalogue,
    judged,
    level,
    silent,
    speaks,
    tick,
    told,
)
from tongluo.finding import Level
from tongluo.liveness import Cause
from tongluo.region import Purpose

RULES = catalogue(silence=SILENCE)
BLUE, YELLOW, ORANGE, RED = Level
DAY = 24 * 60


def test_in_quiet_weather_a_silence_is_told_alone_and_ends_when_it_speaks() -> None:
    found = judged(RULES, [silent(0, 1), speaks(30, 1)])
    assert told(found) == [(0, "silence", "S-1", BLUE), (30, "silence", "S-1", None)]


def test_where_quiet_weather_says_nothing_nothing_is_told_however_long() -> None:
    rules = catalogue(silence=msgspec.structs.replace(SILENCE, alone=None))
    assert judged(rules, [silent(0, 1), tick(3 * DAY)]) == []
    storm = [silent(0, 1), level(10, "rain", 1, BLUE), level(20, "rain", 1, None)]
    assert told(judged(rules, storm)) == [(10, "silence", "S-1", BLUE), (20, "silence", "S-1", None)]


@pytest.mark.parametrize(
    ("grave", "expected"), [(BLUE, YELLOW), (YELLOW, YELLOW), (ORANGE, YELLOW), (RED, ORANGE)]
)
def test_a_storm_makes_it_one_level_graver_at_least_and_at_most_one_below_the_storm(
    grave: Level, expected: Level
) -> None:
    assert concern(SILENCE, grave, long=False) is expected
    before = judged(RULES, [level(0, "rain", 1, grave), silent(5, 1)])
    assert told(before) == [(5, "silence", "S-1", expected)]
    after = judged(RULES, [silent(0, 1), level(5, "rain", 1, grave)])
    assert told(after)[-1] == (5, "silence", "S-1", expected)


def test_no_concern_goes_beyond_red() -> None:
    high = msgspec.structs.replace(SILENCE, alone=RED)
    assert concern(high, RED, long=True) is RED


def test_a_storm_next_door_counts_and_one_further_off_does_not() -> None:
    assert told(judged(RULES, [silent(0, 1), level(5, "rain", 3, RED)])) == [(0, "silence", "S-1", BLUE)]
    assert told(judged(RULES, [silent(0, 1), level(5, "rain", 2, RED)]))[-1][-1] is ORANGE


def test_other_rules_and_lower_levels_do_not_count() -> None:
    calm = msgspec.structs.replace(SILENCE, grave_from=ORANGE)
    signals = [silent(0, 1), level(5, "slope", 1, RED), level(6, "rain", 1, YELLOW)]
    assert told(judged(catalogue(silence=calm), signals)) == [(0, "silence", "S-1", BLUE)]


def test_when_the_storm_is_over_the_silence_says_again_what_quiet_weather_says() -> None:
    signals = [silent(0, 1), level(5, "rain", 2, RED), level(9, "rain", 2, BLUE), level(12, "rain", 2, None)]
    assert [one[-1] for one in told(judged(RULES, signals))] == [BLUE, ORANGE, YELLOW, BLUE]


def test_a_long_silence_is_one_level_more_at_its_very_moment() -> None:
    found = judged(RULES, [silent(0, 1), tick(5 * DAY), speaks(5 * DAY + 1, 1)])
    assert told(found) == [
        (0, "silence", "S-1", BLUE),
        (DAY, "silence", "S-1", YELLOW),
        (5 * DAY + 1, "silence", "S-1", None),
    ]


def test_what_comes_late_does_not_shorten_a_silence() -> None:
    found = judged(RULES, [silent(0, 1), tick(DAY + 10), level(DAY - 20, "rain", 5, RED)])
    assert [one[-1] for one in told(found)] == [BLUE, YELLOW]


def test_a_long_silence_and_a_storm_add_up() -> None:
    found = judged(RULES, [silent(0, 1), level(DAY + 1, "rain", 1, RED)])
    assert [one[-1] for one in told(found)] == [BLUE, YELLOW, RED]


def test_a_site_is_as_silent_as_its_worst_station() -> None:
    second = msgspec.structs.replace(COUNTY.stations["R-2"], site="S-1")
    county = msgspec.structs.replace(COUNTY, stations=COUNTY.stations | {"R-2": second})
    signals = [silent(0, 1), silent(60, 2), tick(DAY + 1), speaks(DAY + 10, 1), speaks(DAY + 20, 2)]
    found = judged(RULES, signals, county=county)
    assert told(found) == [
        (0, "silence", "S-1", BLUE),
        (DAY, "silence", "S-1", YELLOW),
        (DAY + 10, "silence", "S-1", BLUE),
        (DAY + 20, "silence", "S-1", None),
    ]
    worse = found[1].evidence
    assert [(vote.voter, vote.level) for vote in worse.votes] == [("R-1", YELLOW), ("R-2", BLUE)]
    assert worse.station == "R-1"


def test_the_evidence_says_who_why_since_when_and_what_it_guards() -> None:
    signals = [level(0, "rain", 2, RED), silent(5, 1, Cause.GATEWAY_POWER)]
    [found] = judged(RULES, signals)
    [vote] = found.evidence.votes
    assert (vote.voter, vote.level, vote.item, vote.since) == ("R-1", ORANGE, "gateway_power", at(5))
    assert vote.words is not None
    assert "供电" in vote.words.zh
    assert "沙埠村1号小流域" in vote.words.zh
    assert "power" in vote.words.en
    assert found.evidence.sentence.zh == (
        "1号雨量站已 15 分钟无数据（供电：网关电池电压偏低），守护沙埠村1号小流域；2号小流域rain规则红色"
    )
    assert "has said nothing for 15 min (power" in found.evidence.sentence.en
    assert "the rain rule red at 2号小流域" in found.evidence.sentence.en


def test_an_event_told_twice_counts_once() -> None:
    signals = [silent(0, 1), speaks(30, 1), silent(0, 1), speaks(30, 1), silent(0, 1)]
    assert len(judged(RULES, signals)) == 2


def test_stations_that_nobody_registered_are_not_judged() -> None:
    stranger = silent(0, 1)
    event = msgspec.structs.replace(stranger.event, station="R-77")
    assert judged(RULES, [msgspec.structs.replace(stranger, event=event)]) == []


class TestTheWholeCounty:
    NIGHT = tuple(silent(n, n, Cause.COUNTY_SILENT) for n in (1, 2, 3, 4, 5))

    def test_is_one_finding_that_ends_with_the_last_who_speaks(self) -> None:
        found = judged(RULES, [*self.NIGHT, *(speaks(20 + n / 10, n) for n in (2, 1, 3, 5, 4))])
        assert told(found) == [(1, "silence", "S-1", BLUE), (20.4, "silence", "S-1", None)]
        assert "中心网络" in found[0].evidence.sentence.zh
        assert "the centre's own network is likely" in found[0].evidence.sentence.en

    def test_is_graver_in_a_storm_wherever_that_is(self) -> None:
        found = judged(RULES, [level(0, "rain", 5, RED), *self.NIGHT])
        assert told(found) == [(1, "silence", "S-1", ORANGE)]

    def test_who_does_not_follow_is_silent_by_itself(self) -> None:
        """Two of its intervals of five minutes after the first spoke again."""
        found = judged(RULES, [*self.NIGHT, *(speaks(20 + n, n) for n in (1, 2, 3, 4)), tick(60)])
        assert told(found) == [
            (1, "silence", "S-1", BLUE),
            (31, "silence", "S-1", None),
            (31, "silence", "S-5", BLUE),
        ]
        assert "全县恢复后仍无数据" in found[-1].evidence.sentence.zh

    def test_falls_silent_again_before_all_have_followed(self) -> None:
        again = silent(25, 1, Cause.COUNTY_SILENT)
        found = judged(RULES, [*self.NIGHT, speaks(20, 1), again, tick(60)])
        assert told(found) == [(1, "silence", "S-1", BLUE)]

    def test_leaves_those_alone_that_were_silent_before(self) -> None:
        found = judged(RULES, [silent(0, 5), *self.NIGHT[:4]])
        assert told(found) == [(0, "silence", "S-5", BLUE), (1, "silence", "S-1", BLUE)]


def test_time_that_has_passed_is_not_due_again() -> None:
    judge, state = SilenceJudge(RULES, COUNTY), SilenceState()
    judge.judge(state, silent(0, 1))
    assert judge.due(state) == at(DAY)
    judge.pass_time(state, at(DAY))
    assert judge.due(state) is None


def test_distances_are_great_circles() -> None:
    """A degree along a meridian is the earth's circumference by 360; near the poles a degree of longitude is little."""
    a, b = COUNTY.sites["S-1"], COUNTY.sites["S-2"]
    north = msgspec.structs.replace(a, latitude=a.latitude + 1.0)
    assert distance_km(a, north) == pytest.approx(EARTH_KM * 3.141592653589793 / 180)
    polar = [msgspec.structs.replace(a, latitude=89.0, longitude=lon) for lon in (0.0, 180.0)]
    assert distance_km(*polar) == pytest.approx(2 * EARTH_KM * 3.141592653589793 / 180)
    assert distance_km(a, b) == distance_km(b, a)
    near = Nearness(COUNTY)
    assert near.within("S-1", distance_km(a, b)) == ("S-1", "S-2")
    assert near.within("S-1", distance_km(a, b) - 1e-6) == ("S-1",)


def test_following_takes_the_stations_interval_into_account() -> None:
    slow = msgspec.structs.replace(COUNTY.stations["R-5"], interval_s=3600)
    county = msgspec.structs.replace(COUNTY, stations=COUNTY.stations | {"R-5": slow})
    state = SilenceState()
    judge = SilenceJudge(RULES, county)
    for signal in (*TestTheWholeCounty.NIGHT, *(speaks(20, n) for n in (1, 2, 3, 4))):
        judge.judge(state, signal)
    assert judge.due(state) == at(20) + 2 * timedelta(hours=1)


def test_a_silent_station_of_an_exercise_alarms_nobody() -> None:
    station = msgspec.structs.replace(COUNTY.stations["R-1"], purpose=Purpose.DRILL)
    county = msgspec.structs.replace(COUNTY, stations={**COUNTY.stations, "R-1": station})
    assert judged(RULES, [silent(0, 1), tick(3 * DAY)], county=county) == []
    assert judged(RULES, [silent(0, 1), tick(3 * DAY)]) != []
