"""Which commands findings ask for: the same however often they come, and always a release in the end."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.downlink.judgement import HOLDS, Asked, Memory, Wanted, judge, renew
from tongluo import testing
from tongluo.finding import Finding, Level
from tongluo.region import Gateway, StationKind
from tongluo.sampling import DenseIntervals, read_intervals

NOW = datetime(2026, 7, 1, 4, tzinfo=UTC)
COUNTY = testing.county()
POLICY = read_intervals("yellow=120s,orange=60s,red=60s")
NOTHING = Memory({}, {})
MINUTE = timedelta(minutes=1)


def finding(
    minute: float, level: Level | None, site: str = "S-1", hazard: str = "rainstorm", ago: timedelta = MINUTE
) -> Finding:
    time = NOW - ago + minute * MINUTE / 60
    return Finding(hazard, hazard, site, time, level, testing.evidence(time))


def intervals(wanted: Sequence[Wanted]) -> list[tuple[str, int, datetime | None]]:
    return [(one.station, one.interval_s, one.until) for one in wanted]


def test_a_level_asks_for_its_interval_and_its_end_for_the_stations_own() -> None:
    memory, wanted = judge(NOTHING, [finding(0, Level.ORANGE)], COUNTY, POLICY, NOW)
    assert intervals(wanted) == [("R-1", 60, NOW + HOLDS)]
    assert wanted[0].gateway == "G-1"
    memory, wanted = judge(memory, [finding(1, Level.YELLOW)], COUNTY, POLICY, NOW)
    assert intervals(wanted) == [("R-1", 120, NOW + HOLDS)]
    memory, wanted = judge(memory, [finding(2, Level.BLUE)], COUNTY, POLICY, NOW)
    assert intervals(wanted) == [("R-1", 300, None)]
    assert judge(memory, [finding(3, None)], COUNTY, POLICY, NOW)[1] == []


def test_the_same_interval_is_not_asked_for_again() -> None:
    _, wanted = judge(NOTHING, [finding(0, Level.ORANGE), finding(1, Level.RED)], COUNTY, POLICY, NOW)
    assert intervals(wanted) == [("R-1", 60, NOW + HOLDS)]


def test_a_station_is_released_only_when_no_hazard_holds_it() -> None:
    slide = finding(1, Level.YELLOW, hazard="landslide")
    memory, wanted = judge(NOTHING, [finding(0, Level.ORANGE), slide], COUNTY, POLICY, NOW)
    assert intervals(wanted) == [("R-1", 60, NOW + HOLDS)]
    memory, wanted = judge(memory, [finding(2, None)], COUNTY, POLICY, NOW)
    assert intervals(wanted) == [("R-1", 120, NOW + HOLDS)]
    memory, wanted = judge(memory, [finding(3, None, hazard="landslide")], COUNTY, POLICY, NOW)
    assert intervals(wanted) == [("R-1", 300, None)]


def test_never_a_longer_interval_than_the_stations_own() -> None:
    county = msgspec.structs.replace(
        COUNTY, stations={"R-1": msgspec.structs.replace(COUNTY.stations["R-1"], interval_s=100)}
    )
    found = [finding(0, Level.YELLOW), finding(1, Level.ORANGE), finding(2, Level.YELLOW)]
    _, wanted = judge(NOTHING, found, county, POLICY, NOW)
    assert intervals(wanted) == [("R-1", 60, NOW + HOLDS), ("R-1", 100, None)]


def test_cameras_and_gateways_that_hear_no_commands_are_left_alone() -> None:
    camera = msgspec.structs.replace(COUNTY.stations["R-1"], kind=StationKind.FIRE_CAMERA)
    found = [finding(0, Level.RED), finding(0, Level.RED, site="S-3")]
    county = msgspec.structs.replace(
        COUNTY,
        stations={**COUNTY.stations, "R-1": camera},
        gateways={**COUNTY.gateways, "G-2": Gateway("G-2", "遥测站", "0012345678")},
    )
    assert judge(NOTHING, found, county, POLICY, NOW)[1] == []


def test_what_is_long_past_commands_nothing_but_may_release() -> None:
    old = finding(0, Level.RED, ago=HOLDS)
    memory, wanted = judge(NOTHING, [old], COUNTY, POLICY, NOW)
    assert wanted == []
    assert renew(memory, COUNTY, POLICY, NOW) == []
    memory, _ = judge(NOTHING, [finding(0, Level.RED, ago=HOLDS - MINUTE)], COUNTY, POLICY, NOW)
    _, wanted = judge(
        memory, [finding(9, None, ago=HOLDS - MINUTE)], COUNTY, POLICY, NOW + HOLDS - 2 * MINUTE
    )
    assert intervals(wanted) == [("R-1", 300, None)]


def test_a_level_that_holds_is_renewed_before_its_end_and_after_an_outage() -> None:
    memory, [first] = judge(NOTHING, [finding(0, Level.ORANGE)], COUNTY, POLICY, NOW)
    assert renew(memory, COUNTY, POLICY, NOW + timedelta(minutes=89)) == []
    for later in (timedelta(minutes=90), timedelta(hours=9)):
        [again] = renew(memory, COUNTY, POLICY, NOW + later)
        assert (again.interval_s, again.until) == (60, NOW + later + HOLDS)
        assert (again.number, again.found) == (2, first.found)
        assert again.id != first.id
    refused = Memory(memory.held, {"R-1": Asked(first, refused=True)})
    assert renew(refused, COUNTY, POLICY, NOW + timedelta(hours=9)) == []
    memory, _ = judge(memory, [finding(1, None)], COUNTY, POLICY, NOW)
    assert renew(memory, COUNTY, POLICY, NOW + timedelta(hours=9)) == []


def test_what_was_refused_is_neither_asked_again_nor_released() -> None:
    memory, [first] = judge(NOTHING, [finding(0, Level.ORANGE)], COUNTY, POLICY, NOW)
    memory = Memory(memory.held, {"R-1": Asked(first, refused=True)})
    assert judge(memory, [finding(1, Level.RED)], COUNTY, POLICY, NOW)[1] == []
    assert judge(memory, [finding(1, None)], COUNTY, POLICY, NOW)[1] == []
    _, wanted = judge(memory, [finding(1, Level.YELLOW)], COUNTY, POLICY, NOW)
    assert intervals(wanted) == [("R-1", 120, NOW + HOLDS)]


def test_off_commands_nothing() -> None:
    assert judge(NOTHING, [finding(0, Level.RED)], COUNTY, read_intervals("off"), NOW)[1] == []


@pytest.mark.parametrize(
    "words", ["", "orange", "orange=", "violet=60s", "orange=60", "orange=0s", "orange=2d",
              "yellow=60s,orange=120s", "red=60s,red=30s", "orange=60s;red=30s"],
)  # fmt: skip
def test_intervals_that_make_no_sense_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r"must|between|twice|not a duration"):
        read_intervals(words)


def test_a_level_without_an_interval_of_its_own_has_that_of_the_one_below() -> None:
    policy = read_intervals("yellow=2m")
    assert [policy.at(level) for level in (None, *Level)] == [None, None, 120, 120, 120]


@pytest.mark.parametrize("words", ["off", "blue=86400s", "yellow=120s,orange=60s,red=60s"])
def test_intervals_are_written_as_they_are_read(words: str) -> None:
    assert str(read_intervals(words)) == words


# -- laws

levels = st.sampled_from([None, *Level])
steps = st.lists(
    st.tuples(st.sampled_from(["S-1", "S-2"]), st.sampled_from(["rainstorm", "landslide"]), levels),
    max_size=12,
)


def story(found: list[tuple[str, str, Level | None]]) -> list[Finding]:
    return [finding(number, level, site, hazard) for number, (site, hazard, level) in enumerate(found)]


def all_clear(after: int) -> list[Finding]:
    sites, hazards = ("S-1", "S-2"), ("rainstorm", "landslide")
    return [finding(after, None, site, hazard) for site in sites for hazard in hazards]


def commanded(findings: Sequence[Finding], policy: DenseIntervals = POLICY) -> tuple[Memory, list[Wanted]]:
    """One finding a time, as they may come."""
    memory, wanted = NOTHING, list[Wanted]()
    for one in findings:
        memory, more = judge(memory, [one], COUNTY, policy, NOW)
        wanted += more
    return memory, wanted


@given(steps, st.data())
def test_findings_that_come_again_add_no_command(
    found: list[tuple[str, str, Level | None]], data: st.DataObject
) -> None:
    findings = story(found)
    memory, wanted = commanded(findings)
    again: list[Finding] = []
    for number, one in enumerate(findings):
        again.append(one)
        again += data.draw(st.lists(st.sampled_from(findings[: number + 1]), max_size=3))
    assert commanded(again) == (memory, wanted)
    assert judge(NOTHING, findings, COUNTY, POLICY, NOW) == (memory, wanted)
    assert len({one.id for one in wanted}) == len(wanted)


@given(steps, st.data())
def test_in_whatever_order_findings_come_the_same_interval_is_in_force_in_the_end(
    found: list[tuple[str, str, Level | None]], data: st.DataObject
) -> None:
    def in_force(memory: Memory) -> dict[str, int]:
        return {name: a.wanted.interval_s for name, a in memory.asked.items() if a.dense(NOW)}

    findings = story(found)
    shuffled = data.draw(st.permutations(findings))
    assert in_force(commanded(shuffled)[0]) == in_force(commanded(findings)[0])


@given(steps, st.data())
def test_stations_are_always_released_in_the_end(
    found: list[tuple[str, str, Level | None]], data: st.DataObject
) -> None:
    findings = [*story(found), *all_clear(len(found))]
    memory, wanted = commanded(data.draw(st.permutations(findings)))
    assert not any(asked.dense(NOW) for asked in memory.asked.values())
    last = {one.station: one for one in wanted}
    assert all(one.until is None and one.interval_s == 300 for one in last.values())
    assert renew(memory, COUNTY, POLICY, NOW + timedelta(days=1)) == []
