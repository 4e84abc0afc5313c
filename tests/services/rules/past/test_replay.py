"""What rules would have found of history: always the same, in event time, with the ids that alerts have live."""

from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.past.alerts import follow, stretches
from services.rules.past.replay import changes, run
from services.rules.stations.judge import StationJudge
from tests.services.rules.past import made
from tests.services.rules.past.made import HOUR, START, batches, catalogue, in_order, storm
from tongluo import testing
from tongluo.alert import alert_id
from tongluo.finding import Level
from tongluo.hazards import Words
from tongluo.liveness import EventKind, StationEvent
from tongluo.readings import gathered
from tongluo.signal import Spoke

UNTIL = START + timedelta(days=2)
COUNTY = testing.county()


def test_a_replay_finds_what_the_engine_finds_and_gives_alerts_their_live_ids() -> None:
    readings = in_order(storm(1, 20.0), storm(2, 5.0))
    rules = catalogue()
    found = run(rules, COUNTY, batches(readings, 7), UNTIL)
    live = StationJudge(rules, COUNTY).judge(gathered(readings)).findings
    assert [one.finding for one in found] == sorted(live, key=lambda one: one.time)
    assert next((one.before, one.level) for one in found) == (None, Level.ORANGE)
    assert all(one.before is earlier.level for one, earlier in zip(found[1:], found, strict=False))
    [alert] = follow(found)[1]
    assert alert.id == alert_id("rainstorm", "S-1", found[0].time)
    assert alert.peak is Level.ORANGE
    assert alert.ended == found[-1].time


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.sampled_from([0.0, 3.0, 12.5, 26.0]), min_size=1, max_size=40),
    st.lists(st.integers(1, 50), min_size=1, max_size=4),
)
def test_how_readings_are_cut_into_batches_changes_nothing(amounts: list[float], sizes: list[int]) -> None:
    readings = in_order(made.rain(1, amounts), made.rain(2, amounts[::-1]), made.rain(3, amounts))
    rules = catalogue(made.TOGETHER)
    whole = run(rules, COUNTY, batches(readings, len(readings)), UNTIL)
    cut = run(rules, COUNTY, batches(readings, *sizes), UNTIL)
    assert msgspec.json.encode(cut) == msgspec.json.encode(whole)


def test_the_same_history_twice_gives_the_same_to_the_byte() -> None:
    readings = in_order(storm(1, 20.0), storm(2, 18.0))
    rules = catalogue(made.TOGETHER)
    first, second = (run(rules, COUNTY, batches(readings, 9), UNTIL) for _ in range(2))
    assert msgspec.json.encode(first) == msgspec.json.encode(second)
    assert follow(first)[1] == follow(second)[1]


def test_what_waits_for_time_happens_at_its_own_moment_though_nothing_was_heard_then() -> None:
    """Two gauges reach orange and fall silent: the compound rule's two hours pass all the same."""
    readings = in_order(storm(1, 20.0, dry=0), storm(2, 20.0, dry=0))
    found = [
        one
        for one in run(catalogue(made.TOGETHER), COUNTY, batches(readings, 4), UNTIL)
        if one.rule == "together"
    ]
    reached = START + 7 * HOUR
    assert {(one.site, one.time, one.level) for one in found} == {
        (site, reached + 2 * HOUR, Level.YELLOW) for site in ("S-1", "S-2", "S-3")
    }


def test_what_would_come_after_the_end_is_not_told() -> None:
    readings = in_order(storm(1, 20.0, dry=0), storm(2, 20.0, dry=0))
    rules = catalogue(made.TOGETHER, silence=True)
    until = START + 8 * HOUR
    later = StationEvent("later", "R-2", "G-1", "S-2", EventKind.SILENT, START + 20 * HOUR, Words("", ""))
    found = run(rules, COUNTY, batches(readings, 4), until, [Spoke(later)])
    assert {one.rule for one in found} == {"rainstorm"}
    assert all(one.time <= until for one in found)


def test_a_finding_that_changes_no_level_is_no_change() -> None:
    [first, *_] = run(catalogue(), COUNTY, batches(storm(1, 20.0), 9), UNTIL)
    again = msgspec.structs.replace(first.finding, time=first.time + HOUR)
    over = msgspec.structs.replace(first.finding, time=first.time + 2 * HOUR, level=None)
    found = list(changes([over, again, first.finding]))
    assert [(one.before, one.level, one.time) for one in found] == [
        (None, Level.ORANGE, first.time),
        (Level.ORANGE, None, over.time),
    ]


def test_silences_are_judged_with_the_storm_around_them() -> None:
    event = StationEvent(
        "silent-R-2", "R-2", "G-1", "S-2", EventKind.SILENT, START + 8 * HOUR, Words("", ""), START + 7 * HOUR
    )
    rules = catalogue(silence=True)
    quiet = run(rules, COUNTY, batches(storm(1, 1.0), 5), UNTIL, [Spoke(event)])
    stormy = run(rules, COUNTY, batches(storm(1, 20.0), 5), UNTIL, [Spoke(event)])
    assert next(one.level for one in quiet if one.rule == "silence") is Level.BLUE
    assert max(one.level for one in stormy if one.rule == "silence" and one.level) >= Level.YELLOW


def test_an_alert_stands_at_a_level_in_stretches() -> None:
    [alert] = follow(run(catalogue(), COUNTY, batches(storm(1, 20.0), 50), UNTIL))[1]
    [red] = stretches(alert, Level.ORANGE)
    [blue] = stretches(alert, Level.BLUE)
    assert red.begin == blue.begin == alert.onset
    assert red.end is not None
    assert blue.end is not None
    assert red.end < blue.end
    assert blue.end == alert.ended
    assert stretches(alert, Level.RED) == []
