"""An exercise's stations lead to drills, and to nothing else."""

from datetime import timedelta

import msgspec

from services.rules.stations.judge import StationJudge
from services.rules.stations.weather import NEEDED, watched
from tests.services.rules.stations.made import rainstorm, reading
from tongluo.reading import Reading
from tongluo.readings import gathered
from tongluo.region import County, Purpose, Site, SiteKind, Station, StationKind

SITE = Site("S-1", "S-1", SiteKind.CATCHMENT, "331121110200", 28.2, 119.9)


def station(name: str, purpose: Purpose, *metrics: str) -> Station:
    gauge = StationKind.RAIN_GAUGE
    return Station(name, name, gauge, "S-1", "G-1", 28.2, 119.9, metrics or ("rain",), purpose=purpose)


def county(*stations: Station) -> County:
    return County(
        "331121", "青田县", "Qingtian", "", {}, {}, {}, {"S-1": SITE}, {one.id: one for one in stations}
    )


COUNTY = county(station("R-1", Purpose.WATCH), station("X-1", Purpose.DRILL))


def storm(name: str, seconds: int = 0) -> list[Reading]:
    return [
        msgspec.structs.replace(one, time=one.time + timedelta(seconds=seconds))
        for one in (reading(60 * hour, 20.0, name, site="S-1") for hour in range(1, 5))
    ]


def test_an_exercise_is_told_as_one_and_counts_apart() -> None:
    rules = rainstorm()
    alone = StationJudge(rules, COUNTY).judge(gathered(storm("X-1"))).findings
    assert alone
    assert all(one.drill for one in alone)
    both = StationJudge(rules, COUNTY).judge(gathered([*storm("X-1"), *storm("R-1")])).findings
    real = StationJudge(rules, COUNTY).judge(gathered(storm("R-1"))).findings
    assert [one for one in both if one.drill] == alone
    assert [one for one in both if not one.drill] == real
    assert [one.level for one in real] == [one.level for one in alone]


def test_a_snapshot_keeps_the_two_apart() -> None:
    rules, readings = rainstorm(), storm("X-1") + storm("R-1", 1)
    whole = StationJudge(rules, COUNTY)
    found = [f for one in readings for f in whole.judge(gathered([one])).findings]
    parted = StationJudge(rules, COUNTY)
    again = []
    for one in readings:
        parted = StationJudge.unpack(parted.pack(), rules, COUNTY)
        again += parted.judge(gathered([one])).findings
    assert again == found
    assert {one.drill for one in found} == {False, True}


def test_an_exercise_makes_no_weather() -> None:
    stations = [station("W-1", Purpose.WATCH, *NEEDED), station("W-2", Purpose.DRILL, *NEEDED)]
    assert watched(county(*stations)) == {"W-1"}
