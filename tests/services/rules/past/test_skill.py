"""Hits, misses, false alarms and their intervals."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.past.alerts import PastAlert, Step
from services.rules.past.skill import Share, skill
from services.rules.past.truth import TrueEvent
from tongluo import testing
from tongluo.alert import State
from tongluo.finding import Level

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)


def alert(site: str, *steps: tuple[float, Level | None], hazard: str = "rainstorm") -> PastAlert:
    """An alert with its levels by hours after noon."""
    made = tuple(
        Step(NOON + hours * HOUR, level, State.RAISED, nth, testing.evidence(NOON))
        for nth, (hours, level) in enumerate(steps, start=1)
    )
    return PastAlert(f"{hazard}-{site}-{steps[0][0]}", hazard, site, made)


def event(hours: float, *sites: str, lasting: float = 0.0, hazard: str | None = None) -> TrueEvent:
    start = NOON + hours * HOUR
    return TrueEvent(2, start, start + lasting * HOUR, "", frozenset(sites), hazard)


def test_an_alert_before_its_event_is_a_hit_with_its_lead_time() -> None:
    found = skill([alert("S-1", (0, Level.ORANGE), (3, None))], [event(2, "S-1")], Level.YELLOW, DAY)
    assert (found.hits, found.misses, found.false_alarms) == (1, 0, 0)
    assert found.lead_s == 7200.0
    assert found.pod.value == 1.0
    assert found.far.value == 0.0
    assert found.csi.value == 1.0


def test_the_lead_time_begins_when_the_level_that_counts_was_reached() -> None:
    grown = alert("S-1", (0, Level.BLUE), (1, Level.RED), (4, None))
    assert skill([grown], [event(2, "S-1")], Level.ORANGE, DAY).lead_s == 3600.0
    assert skill([grown], [event(2, "S-1")], Level.BLUE, DAY).lead_s == 7200.0


def test_an_alert_in_the_midst_of_an_event_came_late() -> None:
    found = skill([alert("S-1", (1, Level.RED), (4, None))], [event(0, "S-1", lasting=2)], Level.YELLOW, DAY)
    assert (found.hits, found.lead_s) == (1, -3600.0)


def test_an_alert_after_an_event_explains_nothing() -> None:
    found = skill([alert("S-1", (3, Level.RED), (4, None))], [event(0, "S-1", lasting=2)], Level.YELLOW, DAY)
    assert (found.hits, found.misses, found.false_alarms) == (0, 1, 1)


@pytest.mark.parametrize(("ended", "hits"), [(-23.9, 1), (-24.1, 0)])
def test_an_alert_that_ended_counts_for_as_long_as_is_said(ended: float, hits: int) -> None:
    found = skill([alert("S-1", (-30, Level.RED), (ended, None))], [event(0, "S-1")], Level.YELLOW, DAY)
    assert found.hits == hits


def test_an_alert_below_the_level_is_neither_hit_nor_false_alarm() -> None:
    found = skill([alert("S-1", (0, Level.BLUE), (3, None))], [event(2, "S-1")], Level.YELLOW, DAY)
    assert (found.hits, found.misses, found.false_alarms, found.far.value) == (0, 1, 0, None)


def test_another_site_and_another_hazard_explain_nothing() -> None:
    elsewhere = alert("S-2", (0, Level.RED), (3, None))
    slide = alert("S-1", (0, Level.RED), (3, None), hazard="landslide")
    found = skill([elsewhere, slide], [event(2, "S-1", hazard="rainstorm")], Level.YELLOW, DAY)
    assert (found.hits, found.misses, found.false_alarms) == (0, 1, 2)
    assert skill([elsewhere, slide], [event(2, "S-1")], Level.YELLOW, DAY).hits == 1


def test_an_event_of_an_area_is_met_at_any_of_its_sites_once() -> None:
    alerts = [alert("S-1", (0, Level.RED), (3, None)), alert("S-2", (1, Level.RED), (3, None))]
    found = skill(alerts, [event(2, "S-1", "S-2")], Level.YELLOW, DAY)
    assert (found.hits, found.false_alarms, found.lead_s) == (1, 0, 7200.0)
    assert len(found.right) == 2


def test_one_hazard_alone_is_held_against_its_own_events_and_those_of_no_hazard() -> None:
    events = [event(2, "S-1"), event(2, "S-1", hazard="landslide"), event(2, "S-1", hazard="rainstorm")]
    found = skill([alert("S-1", (0, Level.RED), (3, None))], events, Level.YELLOW, DAY, "rainstorm")
    assert (found.hits, found.misses) == (2, 0)


def test_wilsons_interval_as_published() -> None:
    """One of ten: 0.0179 to 0.4042; none of ten: 0 to 0.2775 (Wilson 1927, without continuity correction)."""
    low, high = Share(1, 10).interval or (0, 0)
    assert (round(low, 4), round(high, 4)) == (0.0179, 0.4042)
    low, high = Share(0, 10).interval or (1, 1)
    assert (low, round(high, 4)) == (0.0, 0.2775)
    assert Share(0, 0).interval is None


@given(st.integers(0, 500), st.integers(1, 500))
def test_an_interval_holds_its_share_narrows_with_more_and_mirrors(of: int, more: int) -> None:
    share = Share(of, of + more)
    low, high = share.interval or (1.0, 0.0)
    assert 0.0 <= low <= (share.value or 0.0) <= high <= 1.0
    mirrored = Share(more, of + more).interval or (0.0, 0.0)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high))
    wider = Share(10 * of, 10 * (of + more)).interval or (0.0, 1.0)
    assert wider[1] - wider[0] < high - low


@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["S-1", "S-2", "S-3"])), max_size=12),
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 9), st.sampled_from(["S-1", "S-2", "S-3"])), max_size=12
    ),
    st.integers(0, 48),
)
def test_every_event_and_every_alert_is_counted_once_and_a_longer_lead_loses_no_hit(
    events: list[tuple[int, str]], alerts: list[tuple[int, int, str]], lead: int
) -> None:
    raised = [
        alert(site, (begin + nth / 100, Level.RED), (begin + lasting + 1, None))
        for nth, (begin, lasting, site) in enumerate(alerts)
    ]
    happened = [event(hours, site) for hours, site in events]
    leads = [skill(raised, happened, Level.YELLOW, timedelta(hours=hours)) for hours in (lead, lead + 5)]
    for found in leads:
        assert found.hits + found.misses == len(happened)
        assert sorted([*found.right, *found.wrong]) == sorted({one.id for one in raised})
        assert len(found.leads_s) == found.hits
    assert all(longer.hits >= shorter.hits for shorter, longer in pairwise(leads))
    assert leads[1].false_alarms <= leads[0].false_alarms
