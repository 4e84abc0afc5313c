"""Every kind of bad input lands in quarantine with a reason a person understands, and spoils nothing beside it.

Everything here goes both ways, the careful one and the fast one: what the fast one takes, the careful one takes too, and
the same.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest import fast
from services.ingest.intake import Intake
from services.ingest.mqtt import Message
from services.ingest.pipeline import MAX_PAYLOAD_BYTES, Accepted, Context, Limits, read
from services.ingest.places import Places
from services.ingest.rows import Rows
from tongluo import testing, wire
from tongluo.clock import EventClock
from tongluo.quality import Flag
from tongluo.reading import Reading, Refusal
from tongluo.readings import moment
from tongluo.topics import QUARANTINE, READINGS

NOW = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)
PLACES = Places(testing.county())
LIVE = Limits(timedelta(minutes=10), timedelta(days=60))
CONTEXT = Context(PLACES, NOW, LIVE)
REPLAY = Context(PLACES, NOW, Limits(None, None))
GOOD = {"station": "R-1", "metric": "rain", "time": "2026-07-01T10:15:00+08:00", "value": 0.5, "seq": 1823}


def outcomes(
    payload: object, topic: str = "tongluo/v1/G-1/readings", context: Context = CONTEXT
) -> list[Reading | Refusal]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    message = Message(topic, raw, NOW, 1)
    found: list[Reading | Refusal] = []
    for one in read(message, context):
        if isinstance(one, Accepted):
            of = PLACES.series[one.number]
            at = moment(one.time_us)
            found.append(Reading(of.station, of.metric, at, one.value, of.site, of.gateway, 0, one.seq))
        else:
            assert isinstance(one, Refusal)
            assert wire.REFUSAL.decode(wire.REFUSAL.encode(one)) == one
            found.append(one)
    rows = Rows()
    if fast.take(message, context, fast.span(context), rows):
        taken = zip(rows.which, rows.time_us, rows.value, rows.seq, strict=True)
        assert [Accepted(*row) for row in taken] == read(message, context)
    else:
        assert rows == Rows()
    return found


def logged(*payloads: object) -> list[Reading]:
    """What of these messages, each by itself, the log gets."""
    intake = Intake(testing.county, EventClock(NOW), LIVE, timedelta(hours=1), "test")
    found: list[Reading] = []
    for payload in payloads:
        taken = intake.take([Message("tongluo/v1/G-1/readings", json.dumps(payload).encode(), NOW)])
        intake.learn(taken)
        found += [one for entry in taken.entries for one in wire.READINGS.decode(entry.value).each()]
    return found


def refused(payload: object, **given: str) -> Refusal:
    [outcome] = outcomes(payload, **given)
    assert isinstance(outcome, Refusal)
    return outcome


def test_a_reading_is_read() -> None:
    assert outcomes(GOOD) == [
        Reading("R-1", "rain", datetime(2026, 7, 1, 2, 15, tzinfo=UTC), 0.5, "S-1", "G-1", 0, 1823)
    ]


def test_an_array_is_read_in_order() -> None:
    found = outcomes([{**GOOD, "value": n} for n in range(5)])
    assert [reading.value for reading in found if isinstance(reading, Reading)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"value": "0.5"}, "wrong_type", ["value", "数字", "a number", '"0.5"']),
        ({"value": None}, "wrong_type", ["value", "null"]),
        ({"value": True}, "wrong_type", ["value", "true"]),
        ({"value": float("nan")}, "not_finite", ["nan", "not a finite number"]),
        ({"value": float("inf")}, "not_finite", ["inf"]),
        ({"station": 7}, "wrong_type", ["station", "text"]),
        ({"seq": 1.5}, "wrong_type", ["seq", "integer"]),
        ({"time": "yesterday"}, "wrong_time", ["time", "yesterday"]),
        ({"time": "2026-07-01T10:15:00"}, "wrong_time", ["zone"]),
        ({"time": "0001-01-01T00:00:00+08:00"}, "wrong_time", ["time"]),
        ({"time": 1751336100}, "wrong_time", ["zone"]),
        ({"station": "R-99"}, "unknown_station", ["R-99", "register"]),
        ({"station": "R-3"}, "foreign_station", ["R-3", "G-2", "G-1"]),
        ({"metric": "rian"}, "unknown_metric", ["rian", "rain"]),
        ({"metric": "crack"}, "metric_not_registered", ["crack", "R-1"]),
        ({"time": "2027-07-01T10:15:00+08:00"}, "future_time", ["365.0 d", "clock"]),
        ({"time": "2025-07-01T10:15:00+08:00"}, "past_time", ["365.0 d", "clock"]),
        ({"unit": "furlong"}, "unknown_unit", ["furlong", "mm"]),
        ({"unit": "km", "value": 1.7e308}, "not_finite", ["finite"]),
        ({"time": "9999-12-31T23:00:00Z"}, "wrong_time", ["9999"]),
        ({"value": "\ud800"}, "wrong_type", ["value"]),
        ({"station": "R\x00\ufffd"}, "unknown_station", ["register"]),
    ],
)
def test_bad_fields_are_refused_with_their_reason(
    change: dict[str, object], code: str, words: list[str]
) -> None:
    refusal = refused({**GOOD, **change})
    assert refusal.code == code
    assert refusal.gateway == "G-1"
    for word in words:
        assert word in refusal.reason.zh + refusal.reason.en


@pytest.mark.parametrize("field", ["station", "metric", "time", "value"])
def test_a_missing_field_is_named(field: str) -> None:
    refusal = refused({name: value for name, value in GOOD.items() if name != field})
    assert refusal.code == "missing_field"
    assert f"{field} is missing" in refusal.reason.en
    assert f"缺少字段 {field}" in refusal.reason.zh


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "not_json"),
        (b"rain 0.5", "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (b'{"station":"R-1"', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"3", "not_a_reading"),
        (b'"R-1"', "not_a_reading"),
        (b"null", "not_a_reading"),
    ],
)
def test_what_is_not_a_reading_is_refused_with_its_bytes(payload: bytes, code: str) -> None:
    refusal = refused(payload)
    assert refusal.code == code
    assert refusal.payload == payload


def test_one_bad_reading_does_not_spoil_its_neighbours() -> None:
    found = outcomes([GOOD, {**GOOD, "value": "x"}, 7, {**GOOD, "value": 2.0}])
    assert [type(outcome) for outcome in found] == [Reading, Reading, Refusal, Refusal]
    assert json.loads(found[2].payload) == {**GOOD, "value": "x"}  # type: ignore[union-attr]


def test_a_megabyte_is_refused_whole() -> None:
    payload = b" " * 1_000_000
    refusal = refused(payload)
    assert refusal.code == "too_large"
    assert refusal.payload == payload
    assert str(MAX_PAYLOAD_BYTES) in refusal.reason.zh
    assert str(MAX_PAYLOAD_BYTES) in refusal.reason.en


def test_too_many_readings_are_refused() -> None:
    assert refused(b"[" + b",".join([b"{}"] * 10_001) + b"]").code == "too_many_readings"


@pytest.mark.parametrize("topic", ["tongluo/v1/G-1/reading", "tongluo/v1/G-1/senmls", "elsewhere"])
def test_an_unknown_topic_is_told(topic: str) -> None:
    assert refused(GOOD, topic=topic).code == "unknown_topic"


@pytest.mark.parametrize("topic", ["tongluo/v1/a\x00b/readings", "tongluo/v1/" + "g" * 60_000 + "/readings"])
def test_a_hostile_topic_is_made_storable(topic: str) -> None:
    refusal = refused(b"x", topic=topic)
    assert "\x00" not in refusal.gateway + refusal.topic
    assert len(refusal.gateway) <= 200


def test_a_message_full_of_faults_is_one_refusal() -> None:
    payload = json.dumps([{"x": n} for n in range(5000)] + [GOOD]).encode()
    found = outcomes(payload)
    assert [type(outcome) for outcome in found] == [Reading, Refusal]
    assert found[1].payload == payload  # type: ignore[union-attr]
    assert "5000" in found[1].reason.zh  # type: ignore[union-attr]
    assert "5000 faults in one message, the first of them: " in found[1].reason.en  # type: ignore[union-attr]


def test_replay_mode_knows_no_year_9999() -> None:
    [refusal] = outcomes({**GOOD, "time": "9999-12-31T23:00:00Z"}, context=REPLAY)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "wrong_time"


def test_status_is_no_observation() -> None:
    assert outcomes({"online": True}, topic="tongluo/v1/G-1/status") == []


def test_an_implausible_value_is_kept_and_flagged() -> None:
    for value in (-0.5, 1e9):
        [reading] = logged({**GOOD, "value": value})
        assert reading.value == value
        assert reading.flags == Flag.RANGE


def test_what_came_before_is_known() -> None:
    twice = logged(GOOD, GOOD, {**GOOD, "time": "2026-07-01T10:10:00+08:00"})
    assert [one.flags for one in twice] == [0, Flag.DUPLICATE, Flag.ORDER]


def test_what_the_log_did_not_take_is_judged_anew() -> None:
    intake = Intake(testing.county, EventClock(NOW), LIVE, timedelta(hours=1), "test")
    message = Message("tongluo/v1/G-1/readings", json.dumps(GOOD).encode(), NOW)
    assert intake.take([message]).entries == intake.take([message]).entries


def test_an_entry_holds_one_partition_in_order() -> None:
    """Sites of several partitions in one message; every partition's readings stay in the order they came in."""
    intake = Intake(testing.county, EventClock(NOW), LIVE, timedelta(hours=1), "test")
    stations = [("R-1", "G-1"), ("R-2", "G-1"), ("R-3", "G-2")]
    messages = [
        Message(
            f"tongluo/v1/{gateway}/readings",
            json.dumps({**GOOD, "station": station, "value": n}).encode(),
            NOW,
        )
        for n in range(7)
        for station, gateway in stations
    ]
    messages.insert(3, Message("tongluo/v1/G-1/readings", b"x", NOW))
    entries = intake.take(messages).entries
    assert [entry.topic for entry in entries].count(QUARANTINE) == 1
    found: dict[str, list[float]] = {}
    for entry in entries:
        if entry.topic is READINGS:
            for one in wire.READINGS.decode(entry.value).each():
                assert READINGS.partition_of(one.site) == READINGS.partition_of(entry.key)
                found.setdefault(one.station, []).append(one.value)
    assert found == {station: [float(n) for n in range(7)] for station, _ in stations}


@pytest.mark.parametrize(
    ("unit", "value", "expected"), [("cm", 1.0, 10.0), ("mm", 1.0, 1.0), ("in", 1.0, 25.4)]
)
def test_units_are_converted(unit: str, value: float, expected: float) -> None:
    [reading] = outcomes({**GOOD, "unit": unit, "value": value})
    assert isinstance(reading, Reading)
    assert reading.value == pytest.approx(expected)


def test_replay_mode_has_no_wall_to_compare_with() -> None:
    [reading] = outcomes({**GOOD, "time": "2006-09-17T21:00:00+00:00"}, context=REPLAY)
    assert isinstance(reading, Reading)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_pipeline(payload: bytes) -> None:
    for outcome in outcomes(payload):
        assert isinstance(outcome, Refusal)
        assert outcome.reason.zh
        assert outcome.reason.en


json_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=8),  # half characters and NUL among them
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


# The first text Hypothesis ever draws in a checkout waits for its table of characters: slow is no fault here.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*GOOD, "unit", "x"]), json_values))
def test_no_json_breaks_the_pipeline(change: dict[str, object]) -> None:
    [outcome] = outcomes({**GOOD, **change})
    assert outcome is not None
