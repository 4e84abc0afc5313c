"""Silence: the same events however often somebody looks, none twice, and a cause that is known from around."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tongluo import liveness, testing
from tongluo.gateway import GatewayState, GatewayStatus, after
from tongluo.liveness import Cause, EventKind, Gap, Heard, Turn
from tongluo.region import County

START = datetime(2026, 7, 1, tzinfo=UTC)
LIMIT = timedelta(minutes=15)
DAY = 24 * 3600


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def minutes(number: float) -> datetime:
    return START + timedelta(minutes=number)


def heard(arrivals: list[int], until: int, judged: int) -> Heard | None:
    """What the recorder has noted at second `until`, less the gaps that are judged."""
    known = [at(second) for second in sorted(arrivals) if second <= until]
    if not known:
        return None
    gaps = [Gap(a, b) for a, b in pairwise(known) if b - a > liveness.RESOLUTION and b > at(judged)]
    return Heard(known[0], known[-1], tuple(gaps))


def watched(arrivals: list[int], looks: list[int], ahead: int = 0) -> list[Turn]:
    """The turns that a timer finds which looks at these seconds. The recorder may be `ahead` seconds of the timer."""
    found: list[Turn] = []
    silent: datetime | None = None
    judged = -1
    for look in looks:
        known = heard(arrivals, look + ahead, judged)
        if known is not None:
            for turn in liveness.turns(known, LIMIT, silent, at(look), None):
                found.append(turn)
                silent = turn.time if turn.kind is EventKind.SILENT else None
        judged = look
    return found


def expected(arrivals: list[int], until: int) -> list[tuple[EventKind, datetime]]:
    """The same by definition: each pause longer than the limit is a silence."""
    found: list[tuple[EventKind, datetime]] = []
    known = sorted(arrivals)
    for began, ended in pairwise([*known, 10 * DAY]):
        due = at(began) + LIMIT
        if due < at(ended):
            if due <= at(until):
                found.append((EventKind.SILENT, due))
            if ended <= until:
                found.append((EventKind.SPEAKING_AGAIN, at(ended)))
    return found


arrival_times = st.lists(st.integers(0, DAY), max_size=60, unique=True)
look_times = st.lists(st.integers(1, DAY - 1), max_size=40, unique=True).map(lambda of: [*sorted(of), DAY])


@given(arrival_times, look_times, st.sampled_from([0, 30, 4000]))
def test_the_events_are_the_same_however_often_somebody_looks(
    arrivals: list[int], looks: list[int], ahead: int
) -> None:
    found = [(turn.kind, turn.time) for turn in watched(arrivals, looks, ahead)]
    assert found == expected(arrivals, DAY)
    assert len(set(found)) == len(found)


@given(arrival_times, look_times)
def test_silence_and_speech_take_turns(arrivals: list[int], looks: list[int]) -> None:
    kinds = [turn.kind for turn in watched(arrivals, looks)]
    assert all(a is not b for a, b in pairwise(kinds))
    assert kinds[:1] in ([], [EventKind.SILENT])


def test_a_station_never_heard_is_not_silent() -> None:
    assert watched([], [DAY]) == []


def test_what_was_not_heard_while_nobody_listened_is_nobodys_silence() -> None:
    away = Heard(minutes(0), minutes(200), (Gap(minutes(0), minutes(200)),))
    assert list(liveness.turns(away, LIMIT, None, minutes(200), watched=minutes(199))) == []
    still = Heard(minutes(0), minutes(0))
    [turn] = liveness.turns(still, LIMIT, None, minutes(300), watched=minutes(199))
    assert turn == Turn(EventKind.SILENT, minutes(214), minutes(0))


def test_a_station_that_speaks_often_is_given_time() -> None:
    station = testing.county().stations["R-1"]
    often = msgspec.structs.replace(station, interval_s=60)
    assert liveness.patience(often, 3) == timedelta(minutes=10)
    assert liveness.patience(station, 3) == timedelta(minutes=15)


def test_a_camera_is_not_expected_to_speak() -> None:
    station = testing.county().stations["R-1"]
    assert liveness.speaks(station)
    assert not liveness.speaks(msgspec.structs.replace(station, metrics=("battery",)))


# -- why


def county() -> County:
    """R-1 and R-2 at G-1, R-3 and R-4 at G-2, each every five minutes."""
    return testing.county(4)


def why(
    last: dict[str, float],
    gateways: list[GatewayState] | None = None,
    battery: float | None = None,
    **given: Heard,
) -> Cause:
    """Why R-1, last heard at minute 0, is silent at minute 15."""
    known = {name: Heard(minutes(-60), minutes(minute)) for name, minute in last.items()}
    states = {state.gateway: state for state in gateways or []}
    around = liveness.scene(county(), {**known, **given}, states)
    return liveness.cause(around, county().stations["R-1"], minutes(15), battery)


ONLINE = GatewayState("G-1", online=True, since=minutes(-60), heard=minutes(-60), battery=12.5)
GONE = GatewayState("G-1", online=False, since=minutes(2), heard=minutes(2), went=minutes(2))


def test_why_is_known_from_around() -> None:
    assert why({"R-1": 0, "R-2": 14, "R-3": 14}) is Cause.STATION_SILENT
    assert why({"R-1": 0, "R-2": 14, "R-3": 14}, battery=10.9) is Cause.STATION_POWER
    assert why({"R-1": 0, "R-2": 1, "R-3": 14}, [GONE]) is Cause.GATEWAY_OFFLINE
    assert why({"R-1": 0, "R-2": 1, "R-3": 14}, [ONLINE]) is Cause.GATEWAY_SILENT
    low = msgspec.structs.replace(ONLINE, battery=11.0)
    assert why({"R-1": 0, "R-2": 1, "R-3": 14}, [low]) is Cause.GATEWAY_POWER
    assert why({"R-1": 0, "R-2": 1, "R-3": 2}) is Cause.COUNTY_SILENT
    assert why({"R-1": 0, "R-3": 14}) is Cause.GATEWAY_SILENT


def test_a_will_is_not_believed_while_its_stations_speak() -> None:
    assert why({"R-1": 0, "R-2": 14, "R-3": 14}, [GONE]) is Cause.STATION_SILENT


def test_why_does_not_change_when_it_is_looked_at_later() -> None:
    """At minute 40 everybody speaks again; what was so at minute 15 is still known."""
    later = {
        "R-1": Heard(minutes(-60), minutes(40), (Gap(minutes(0), minutes(40)),)),
        "R-2": Heard(minutes(-60), minutes(40), (Gap(minutes(1), minutes(40)),)),
    }
    back = GatewayState("G-1", online=True, since=minutes(39), heard=minutes(39), went=minutes(2))
    assert why({"R-3": 40}, **later) is Cause.GATEWAY_SILENT
    assert why({"R-3": 40}, [back], **later) is Cause.GATEWAY_OFFLINE
    assert why({"R-1": 0, "R-2": 40, "R-3": 40}) is Cause.STATION_SILENT


# -- what gateways say of themselves


def said(online: bool, minute: float, **given: object) -> GatewayStatus:
    return GatewayStatus("G-1", online, minutes(minute), **given)  # type: ignore[arg-type]


def told(*statuses: GatewayStatus) -> GatewayState:
    state: GatewayState | None = None
    for status in statuses:
        state = after(state, status)
    assert state is not None
    return state


def test_a_will_that_comes_after_a_newer_birth_is_not_taken() -> None:
    birth = said(True, 10, time=minutes(10))
    assert told(said(True, 0, time=minutes(0)), birth, said(False, 11, time=minutes(0))).online
    assert not told(birth, said(False, 11, time=minutes(10))).online
    assert not told(said(True, 10), said(False, 11)).online


def test_what_the_broker_repeats_is_no_sign_of_life() -> None:
    gone = told(said(True, 0, battery=12.1), said(False, 5))
    assert after(gone, said(False, 60, retained=True)) == gone
    assert gone.battery == 12.1
    assert (gone.since, gone.went) == (minutes(5), minutes(5))
    here = told(said(True, 0))
    assert after(here, said(True, 60, retained=True)) == here
    # What was missed is taken all the same.
    assert not after(here, said(False, 60, retained=True)).online


statuses = st.lists(
    st.tuples(st.booleans(), st.integers(0, 100), st.one_of(st.none(), st.integers(0, 100))), max_size=20
)


@given(statuses)
def test_the_same_status_again_changes_nothing(drawn: list[tuple[bool, int, int | None]]) -> None:
    state: GatewayState | None = None
    for online, minute, own in drawn:
        status = said(online, minute, time=None if own is None else minutes(own))
        state = after(state, status)
        assert after(state, status) == state
