from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongluo import testing
from tongluo.alert import Alert, State, alert_id, transition
from tongluo.finding import Finding, Level

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def finding(minute: int, level: Level | None, *, drill: bool = False) -> Finding:
    time = NOON + timedelta(minutes=minute)
    return Finding("rainstorm", "rainstorm", "S-1", time, level, testing.evidence(time), drill)


def course(*steps: tuple[int, Level | None]) -> list[Alert]:
    alerts: list[Alert] = []
    current: Alert | None = None
    for minute, level in steps:
        after = transition(current, finding(minute, level))
        if after is not None:
            alerts.append(after)
            current = after
    return alerts


def test_a_storm_is_one_alert_from_raised_to_cleared() -> None:
    alerts = course((0, Level.YELLOW), (10, Level.RED), (60, Level.BLUE), (90, None))
    assert [alert.state for alert in alerts] == [State.RAISED, State.WORSENED, State.EASED, State.CLEARED]
    assert [alert.report_no for alert in alerts] == [1, 2, 3, 4]
    assert {alert.id for alert in alerts} == {"rainstorm-S-1-20260701T120000Z"}
    assert alerts[-1].peak is Level.RED
    assert not alerts[-1].open


def test_the_next_storm_is_a_new_alert() -> None:
    alerts = course((0, Level.YELLOW), (60, None), (600, Level.YELLOW))
    assert alerts[2].state is State.RAISED
    assert alerts[2].report_no == 1
    assert alerts[2].id != alerts[0].id


@pytest.mark.parametrize("minute", [0, -5])
def test_a_finding_that_is_not_newer_changes_nothing(minute: int) -> None:
    [raised] = course((0, Level.YELLOW))
    assert transition(raised, finding(minute, Level.RED)) is None


def test_nothing_is_raised_without_a_level() -> None:
    assert transition(None, finding(0, None)) is None


def test_the_same_level_again_is_no_report() -> None:
    [raised] = course((0, Level.YELLOW))
    assert transition(raised, finding(5, Level.YELLOW)) is None


def test_ids_hold_no_dot_and_keep_fractions_apart() -> None:
    whole, fraction = alert_id("h", "S", NOON), alert_id("h", "S", NOON + timedelta(microseconds=5))
    assert "." not in fraction  # a webhook-id must not contain one
    assert whole != fraction


def test_a_drill_is_an_alert_of_its_own() -> None:
    [real] = course((0, Level.YELLOW))
    drill = transition(None, finding(0, Level.YELLOW, drill=True))
    assert drill is not None
    assert drill.drill
    assert not real.drill
    assert drill.id == f"drill-{real.id}"


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from([*Level, None])), max_size=30))
def test_every_history_told_twice_is_the_same_history(steps: list[tuple[int, Level | None]]) -> None:
    steps.sort(key=lambda step: step[0])
    twice = [step for step in steps for _ in (1, 2)]
    assert course(*steps) == course(*twice)


@given(st.lists(st.sampled_from([*Level, None]), max_size=30))
def test_reports_count_on_and_the_peak_is_the_highest_level(levels: list[Level | None]) -> None:
    alerts = course(*enumerate(levels))
    for before, after in pairwise(alerts):
        if after.state is State.RAISED:
            assert not before.open
        else:
            assert after.report_no == before.report_no + 1
            assert after.peak >= before.peak
