"""Confirmation, hysteresis and quiet of one camera, against slow references."""

import itertools
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.fire.tracks import MOST_PENDING, MOST_TRACKS, CameraTracks, Track, Tracker
from tests.services.rules.fire.rules import RULE
from tongluo.detection import Detection, Sign

START = datetime(2026, 4, 1, tzinfo=UTC)
MINUTE = 60_000_000


def seen(  # what a test says of a sighting
    minute: float,
    azimuth: float = 45.0,
    confidence: float = 0.5,
    track: str | None = None,
    kind: Sign = Sign.SMOKE,
    camera: str = "C-1",
) -> Detection:
    time = START + timedelta(minutes=minute)
    return Detection(camera, kind, time, confidence, azimuth % 360.0, 3.0, "F-1", "G-1", track)


def told(*detections: Detection, tracker: Tracker | None = None) -> CameraTracks:
    camera = CameraTracks()
    for one in detections:
        (tracker or Tracker(RULE)).take(camera, one)
    return camera


def alive(*detections: Detection) -> list[Track]:
    return Tracker(RULE).alive(told(*detections), 0)


def minutes(time: int | None) -> float | None:
    return None if time is None else (time - round(START.timestamp() * 1e6)) / MINUTE


def test_three_sightings_within_five_minutes_confirm() -> None:
    assert alive(seen(0), seen(2)) == []
    [track] = alive(seen(0), seen(2), seen(5))
    assert minutes(track.confirmed) == 5
    assert minutes(track.first) == 0
    assert alive(seen(0), seen(2), seen(5.01)) == []
    [track] = alive(seen(0), seen(2), seen(5.01), seen(6))
    assert minutes(track.confirmed) == 6


def test_the_mean_confidence_is_reached_exactly() -> None:
    """Three times 0.35 is 1.05, whatever binary fractions make of it."""
    assert alive(seen(0, confidence=0.35), seen(1, confidence=0.35), seen(2, confidence=0.35))
    assert alive(seen(0, confidence=0.1), seen(1, confidence=0.35), seen(2, confidence=0.6))
    assert not alive(seen(0, confidence=0.1), seen(1, confidence=0.35), seen(2, confidence=0.59))


def test_weak_sightings_between_strong_ones_do_not_hide_them() -> None:
    assert alive(*(seen(n, confidence=0.0 if n % 2 else 0.4) for n in range(5)))


def test_bearings_apart_are_tracks_apart_also_across_north() -> None:
    assert alive(seen(0, 358), seen(1, 1), seen(2, 4))
    assert not alive(seen(0, 356), seen(1, 1), seen(2, 6))
    assert len(alive(*(seen(n + m / 10, 90 * m) for n in range(3) for m in range(4)))) == 4


def test_the_camera_s_own_name_holds_a_track_together() -> None:
    [track] = alive(*(seen(n, 30 * n, track="T") for n in range(3)))
    assert track.azimuth_deg == 60.0
    assert not alive(*(seen(n, 30 * n, track=f"T{n}") for n in range(3)))


def test_twice_counts_once() -> None:
    assert not alive(seen(0), seen(1), seen(1))
    # Another time, sign or name is another sighting.
    assert alive(seen(0), seen(1), seen(1, kind=Sign.FIRE))
    assert alive(seen(0), seen(1), seen(1, track="T"))


def test_of_two_that_say_to_be_the_same_the_surer_counts() -> None:
    for pair in ((0.2, 0.9), (0.9, 0.2)):
        [track] = alive(seen(0), seen(1), *(seen(2, confidence=c) for c in pair))
        assert track.confidence == 0.9


def test_a_masked_bearing_never_counts() -> None:
    tracker = Tracker(msgspec.structs.replace(RULE, masks={"C-1": ((350.0, 50.0),)}))
    assert told(seen(0), seen(1), seen(2), tracker=tracker) == CameraTracks()
    assert tracker.alive(told(seen(0, 60), seen(1, 60), seen(2, 60), tracker=tracker), 0)
    assert tracker.alive(told(*(seen(n, camera="C-2") for n in range(3)), tracker=tracker), 0)


def test_a_confirmed_track_is_kept_by_weaker_sightings_but_not_by_weakest() -> None:
    start = [seen(0), seen(1), seen(2)]
    assert minutes(alive(*start, seen(30, confidence=0.28))[0].last) == 30
    assert minutes(alive(*start, seen(30, confidence=0.27))[0].last) == 2
    # A weak one moves nothing, and opens nothing beside it.
    assert alive(*start, seen(30, 48, confidence=0.27)) == alive(*start)
    assert len(told(*start, seen(30, 48, confidence=0.27)).current) == 1


def test_the_weak_sighting_that_completes_a_track_does_not_prolong_it() -> None:
    [track] = alive(seen(0, confidence=0.9), seen(1, 46, confidence=0.9), seen(2, 48, confidence=0.1))
    assert (minutes(track.confirmed), minutes(track.last), track.azimuth_deg) == (2, 1, 46.0)


def test_a_track_ends_when_it_has_been_quiet() -> None:
    start = [seen(0), seen(1), seen(2)]
    tracker, camera = Tracker(RULE), told(seen(0), seen(1), seen(2))
    [track] = camera.current
    assert minutes(tracker.end(track)) == 122
    assert tracker.alive(camera, tracker.end(track) - 1)
    assert not tracker.alive(camera, tracker.end(track))
    assert minutes(alive(*start, seen(121.9))[0].first) == 0
    # At its end it is over: what comes then is another one, to be confirmed anew.
    assert alive(*start, seen(122)) == []
    assert minutes(alive(*start, seen(122), seen(123), seen(124))[0].first) == 122


def test_back_fill_of_the_past_confirms_nothing() -> None:
    assert alive(seen(60, 200), seen(29.7), seen(29.8), seen(29.9)) == []
    assert alive(seen(60, 200), seen(30), seen(30.1), seen(30.2))


steps = st.tuples(st.integers(0, 80), st.floats(0, 1).map(lambda c: round(c, 2)))


@given(st.lists(steps, max_size=8, unique_by=lambda step: step[0]))
def test_confirmation_is_any_n_sightings_that_fit(steps: list[tuple[int, float]]) -> None:
    """One direction, six seconds a step, no time to end: confirmed at the end of the first three that fit."""
    ordered = sorted(steps)
    fit = [
        group[-1][0]
        for group in itertools.combinations(ordered, 3)
        if group[-1][0] - group[0][0] <= 50 and round(sum(c for _, c in group) * 100) >= 105
    ]
    found = alive(*(seen(step / 10, confidence=c) for step, c in ordered))
    assert [minutes(track.confirmed) for track in found] == ([min(fit) / 10] if fit else [])


@given(
    st.lists(
        st.tuples(
            st.integers(0, 12) | st.integers(125, 135) | st.integers(0, 300),
            st.sampled_from([0.1, 0.27, 0.28, 0.3, 0.9]),
        ),
        max_size=40,
        unique_by=lambda step: step[0],
    )
)
def test_the_life_of_a_track_by_a_slow_reference(steps: list[tuple[int, float]]) -> None:
    """Every minute is looked at by itself, with all that was ever seen."""
    at = dict(steps)
    burning_until, begun = -1, 0
    window: list[tuple[int, float]] = []
    newest = max(at, default=0)
    for minute in range(newest + 1):
        if burning_until >= 0 and minute >= burning_until:
            burning_until, window = -1, []
        if minute not in at:
            continue
        if burning_until >= 0:
            burning_until = minute + 120 if at[minute] >= 0.28 else burning_until
            continue
        window = [(m, c) for m, c in window if m >= minute - 5] + [(minute, at[minute])]
        best = sorted((c for _, c in window), reverse=True)[:3]
        if len(best) == 3 and sum(best) >= 1.05 - 1e-6:
            begun, burning_until = minute, max(m for m, c in window if c >= 0.28) + 120
    found = alive(*(seen(m, confidence=c) for m, c in sorted(steps)))
    expected = [(begun, burning_until)] if burning_until > newest else []
    assert [(minutes(t.confirmed), minutes(Tracker(RULE).end(t))) for t in found] == expected


def shape(camera: CameraTracks) -> list[list[object]]:
    """Tracks without what tells only in which order they came."""
    return [
        [
            *msgspec.to_builtins(msgspec.structs.replace(track, id=0, recent=[])),
            [one.key for one in track.recent],
        ]
        for track in (*camera.current, *camera.settled)
    ]


sightings = st.builds(
    seen,
    minute=st.integers(0, 200).map(lambda n: n / 2),
    azimuth=st.sampled_from([0.0, 2.0, 5.0, 8.0, 100.0, 103.0, 357.0]),
    confidence=st.sampled_from([0.1, 0.28, 0.35, 0.9]),
    track=st.sampled_from([None, None, "A", "B"]),
)


@given(st.lists(sightings, max_size=60), st.data())
def test_what_comes_late_within_the_slack_counts_as_if_it_had_not(
    story: list[Detection], data: st.DataObject
) -> None:
    """Each is delayed by half an hour at most, so none is more than that behind the newest."""
    delays = data.draw(st.lists(st.integers(0, 1800), min_size=len(story), max_size=len(story)))
    arrived = [
        one
        for _, _, one in sorted(
            (one.time + timedelta(seconds=delay), nth, one)
            for nth, (one, delay) in enumerate(zip(story, delays, strict=True))
        )
    ]
    ordered = sorted(story, key=lambda one: one.time)
    assert shape(told(*arrived)) == shape(told(*ordered))


@given(st.lists(sightings, max_size=40), st.integers(0, 40))
def test_tracks_survive_a_restart_anywhere(story: list[Detection], cut: int) -> None:
    camera = told(*story[:cut])
    camera = msgspec.msgpack.decode(msgspec.msgpack.encode(camera), type=CameraTracks)
    for one in story[cut:]:
        Tracker(RULE).take(camera, one)
    assert camera == told(*story)


@given(st.lists(sightings, max_size=60))
def test_tracks_of_one_camera_have_ids_of_their_own(story: list[Detection]) -> None:
    camera = told(*story)
    assert len({track.id for track in camera.current}) == len(camera.current)


def test_a_camera_that_never_stops_is_held_in_bounds() -> None:
    """Ten sightings a second in every direction, for an hour."""
    tracker, camera = Tracker(RULE), CameraTracks()
    for n in range(20_000):
        tracker.take(camera, seen(n / 600, 7.3 * n, 0.9))
        assert len(camera.pending) <= MOST_PENDING
    assert len(camera.current) <= MOST_TRACKS
    assert len(camera.settled) <= MOST_TRACKS
    assert len(msgspec.msgpack.encode(camera)) < 100_000


@pytest.mark.parametrize("confirmed", [True, False])
def test_of_too_many_tracks_the_oldest_is_forgotten_and_an_unconfirmed_one_first(confirmed: bool) -> None:
    first = [seen(0, 0), seen(0.1, 0), seen(0.2, 0)] if confirmed else [seen(0, 0)]
    camera = told(*first, *(seen(1 + n / 100, 20 * (n + 1)) for n in range(16)))
    assert len(camera.current) == MOST_TRACKS
    azimuths = {track.azimuth_deg for track in camera.current}
    assert (0.0 in azimuths) is confirmed
    assert (20.0 in azimuths) is not confirmed
