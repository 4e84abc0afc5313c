"""Silences of the past are those that live judgement would have told of the same hearing."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.past.silences import Presence, silences
from tongluo import liveness, testing
from tongluo.liveness import Cause, EventKind, Gap, Heard
from tongluo.readings import microseconds, moment

START = datetime(2026, 7, 1, tzinfo=UTC)
COUNTY = testing.county()
UNTIL = START + timedelta(hours=9)


def presence(minutes: list[int]) -> Presence:
    """Heard at these minutes after START."""
    times = np.array([microseconds(START + timedelta(minutes=one)) for one in sorted(set(minutes))], np.int64)
    long = np.flatnonzero(np.diff(times) > liveness.RESOLUTION // timedelta(microseconds=1))
    return Presence(int(times[0]), int(times[-1]), times[long], times[long + 1])


def test_a_gauge_alone_a_gateway_and_the_county() -> None:
    always = list(range(0, 540, 5))
    alone = {"R-1": presence([0, 5, 300, 535]), "R-2": presence(always), "R-3": presence(always)}
    found = silences(COUNTY, alone, 3, UNTIL)
    assert [(one.station, one.kind, one.cause) for one in found][:2] == [
        ("R-1", EventKind.SILENT, Cause.STATION_SILENT),
        ("R-1", EventKind.SPEAKING_AGAIN, None),
    ]
    assert found[0].time == START + timedelta(minutes=20)
    gateway = {"R-1": presence([0, 5]), "R-2": presence([0, 5]), "R-3": presence(always)}
    assert {one.cause for one in silences(COUNTY, gateway, 3, UNTIL)} == {Cause.GATEWAY_SILENT}
    county = {name: presence([0, 5]) for name in ("R-1", "R-2", "R-3")}
    assert {one.cause for one in silences(COUNTY, county, 3, UNTIL)} == {Cause.COUNTY_SILENT}


@settings(deadline=None, max_examples=60)
@given(
    st.fixed_dictionaries(
        {name: st.lists(st.integers(0, 500), min_size=1, max_size=25) for name in ("R-1", "R-2", "R-3")}
    )
)
def test_the_same_as_judged_live_of_the_same_hearing(minutes: dict[str, list[int]]) -> None:
    heard = {name: presence(of) for name, of in minutes.items()}
    live = {
        name: Heard(
            moment(one.first),
            moment(one.last),
            tuple(Gap(moment(int(a)), moment(int(b))) for a, b in zip(one.began, one.ended, strict=True)),
        )
        for name, one in heard.items()
    }
    around = liveness.scene(COUNTY, live, {})
    expected = []
    for name in heard:
        station = COUNTY.stations[name]
        for turn in liveness.turns(live[name], liveness.patience(station, 3), None, UNTIL, None):
            why = (
                liveness.cause(_as_of(around, turn.time), station, turn.time, None)
                if turn.kind is EventKind.SILENT
                else None
            )
            expected.append(liveness.event(station, turn, why))
    found = silences(COUNTY, heard, 3, UNTIL)
    assert sorted(found, key=lambda one: one.id) == sorted(expected, key=lambda one: one.id)
    assert [one.time for one in found] == sorted(one.time for one in found)


def _as_of(around: liveness.Scene, time: datetime) -> liveness.Scene:
    """Without the stations that had never been heard by then, and with what was newest then."""
    stations = {
        gateway: [known for known in of if known[1].first <= time] for gateway, of in around.stations.items()
    }
    stations = {gateway: of for gateway, of in stations.items() if of}
    newest = {gateway: max(known.before(time) for _, known in of) for gateway, of in stations.items()}
    return msgspec.structs.replace(around, stations=stations, newest=newest)
