"""What holds of every story that cameras and weather stations may tell."""

import itertools
from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.rules.fire.judge import FireJudge, FireState
from tests.services.rules.fire.rules import COUNTY, HOT, RULE, START, burst, noon, seen
from tongluo.finding import Finding
from tongluo.signal import Sighting, Signal, time_of

cameras = st.sampled_from(["C-1", "C-2", "C-3", "C-4"])
# Busy ones: what is seen a few times in a row, sometimes of something else, sometimes weakly.
sightings = st.builds(
    seen,
    st.integers(0, 400),
    cameras,
    st.sampled_from([None, None, 45.0, 100.0, 180.0, 315.0]),
    st.sampled_from([0.1, 0.3, 0.9]),
)
noons = st.builds(noon, st.integers(0, 1), st.sampled_from(["W-1", "C-4"])) | st.builds(
    lambda day: noon(day, **HOT), st.integers(0, 1)
)
stories = st.lists(
    st.builds(burst, st.integers(0, 400), cameras) | sightings.map(lambda s: [s]) | noons.map(lambda w: [w]),
    max_size=25,
).map(lambda parts: [signal for part in parts for signal in part])


def lived(
    signals: list[Signal], cut: int | None = None, passing: bool = True
) -> tuple[list[Finding], FireState]:
    judge, state = FireJudge(RULE, COUNTY), FireState()
    found: list[Finding] = []
    for nth, signal in enumerate(signals):
        if nth == cut:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=FireState)
            judge = FireJudge(RULE, COUNTY)
        if passing:
            found += judge.pass_time(state, time_of(signal))
        found += judge.judge(state, signal)
    found += judge.pass_time(state, START + timedelta(days=5))
    return found, state


@given(stories, st.integers(0, 40), st.booleans())
def test_state_survives_a_restart_anywhere(story: list[Signal], cut: int, passing: bool) -> None:
    assert lived(story, cut, passing) == lived(story, None, passing)


@given(stories, st.booleans())
def test_findings_of_a_site_follow_each_other_change_the_level_and_end(
    story: list[Signal], passing: bool
) -> None:
    found, state = lived(story, None, passing)
    for site in ("F-1", "F-2"):
        course = [finding for finding in found if finding.site == site]
        levels = [None, *(finding.level for finding in course)]
        assert all(before is not after for before, after in itertools.pairwise(levels))
        assert all(before.time < after.time for before, after in itertools.pairwise(course))
        assert levels[-1] is None
    assert state.fires == []


@given(stories)
def test_time_may_pass_in_steps_or_at_once(story: list[Signal]) -> None:
    """How often one looks changes nothing that is found."""
    judge, state = FireJudge(RULE, COUNTY), FireState()
    for signal in story:
        judge.judge(state, signal)
    other = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=FireState)
    at_once = judge.pass_time(state, START + timedelta(hours=30))
    in_steps = [
        found
        for quarter in range(121)
        for found in judge.pass_time(other, START + timedelta(minutes=15 * quarter))
    ]
    assert in_steps == at_once
    assert other == state


@given(stories)
def test_nothing_happens_before_it_is_due(story: list[Signal]) -> None:
    judge, state = FireJudge(RULE, COUNTY), FireState()
    for signal in story:
        judge.judge(state, signal)
        due = judge.due(state)
        if due is not None:
            copy = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=FireState)
            assert judge.pass_time(copy, due - timedelta(microseconds=1)) == []
            assert copy.fires == state.fires


@given(stories)
def test_twice_counts_once(story: list[Signal]) -> None:
    doubled = [signal for signal in story for _ in range(2)]
    assert lived(doubled, None, passing=False)[0] == lived(story, None, passing=False)[0]


@given(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from(["C-1", "C-2", "C-3"])), max_size=30, unique=True),
    st.data(),
)
def test_the_order_of_arrival_within_the_slack_ends_in_the_same_levels(
    steps: list[tuple[int, str]], data: st.DataObject
) -> None:
    """Three cameras that see one fire: whatever comes late, what burns in the end, where, and how long is the same."""
    ordered = [seen(minute / 2, camera) for minute, camera in sorted(steps)]
    arrived = data.draw(st.permutations(ordered))

    def outcome(signals: list[Sighting]) -> list[object]:
        judge, state = FireJudge(RULE, COUNTY), FireState()
        for signal in signals:
            judge.judge(state, signal)
        return [
            sorted(
                (fire.fix, fire.ends, sorted(member.camera for member in fire.members))
                for fire in state.fires[:1]
            ),
            len(state.fires),
            max((told.level for told in state.sites.values() if told.level is not None), default=None),
        ]

    assert outcome(list(arrived)) == outcome(ordered)
