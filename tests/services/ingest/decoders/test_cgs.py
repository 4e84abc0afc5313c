"""The geohazard platform's payload in each of its coats, and whatever else is sent there."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.decoders import cgs
from services.ingest.decoders.parts import MAX_READINGS
from services.ingest.observation import Observation, Refused
from tests.services.ingest.decoders import golden
from tongluo.reading import METRICS

NOW = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)


def decoded(payload: bytes) -> list[Observation | Refused]:
    return list(cgs.decode(payload, NOW))


@pytest.mark.parametrize("message", golden.messages("cgs"), ids=lambda path: path.name)
def test_golden_messages(message: Path) -> None:
    assert golden.summary(decoded(golden.payload(message))) == golden.expected(message)


def test_what_is_handed_on_says_the_same_by_itself_and_later() -> None:
    found = decoded(golden.payload(golden.FOLDER / "cgs" / "backfill.json"))
    again = [item for one in found for item in cgs.decode(one.raw, NOW + timedelta(days=1))]
    assert golden.summary(again) == golden.summary(found)


def test_no_two_sensors_of_a_device_share_an_identity() -> None:
    """A reading is (station, metric, time) and the first stays: two cracks must not be one station's crack."""
    stamp = "2026-06-30T18:15:00Z"
    sensors = {f"{kind}_{n}": {stamp: {field: 1}} for kind, field in cgs.FIELDS for n in (1, 2)}
    for kind, field in cgs.FIELDS:
        for n in (1, 2):
            sensors[f"{kind}_{n}"][stamp][field] = 1
    found = [item for item in decoded(json.dumps({"7": sensors}).encode()) if isinstance(item, Observation)]
    assert len(found) == 2 * sum(taken is not None for taken in cgs.FIELDS.values())
    assert len({(item.station, item.metric) for item in found}) == len(found)


def test_every_field_leads_to_a_metric_of_the_contract() -> None:
    assert {taken.metric for taken in cgs.FIELDS.values() if taken is not None} <= set(METRICS)


def test_a_county_may_have_a_table_of_its_own() -> None:
    fields = {("L9_XX", "depth"): cgs.Taken("water_level", "m")}
    payload = b'{"7":{"L9_XX_1":{"2026-06-30T18:15:00Z":{"depth":2}}}}'
    assert golden.summary(list(cgs.decode(payload, NOW, fields))) == [
        ["7", "water_level", "2026-06-30T18:15:00+00:00", 2.0, "m"]
    ]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "not_json"),
        (b"\x10", "not_json"),
        (b"\x02\x00\x02{}!", "wrong_length"),
        (b"[1]", "not_a_payload"),
        (b'{"7":' * 400 + b"1" + b"}" * 400, "not_a_payload"),
        (b"[" * 100_000, "not_json"),
        (b'{"7":{"L1_LF_1":' + b"9" * 400 + b"}}", "wrong_type"),
        (b'{"7":{"L1_LF_1":true}}', "wrong_type"),
        (b'{"7":{"L1_LF_1":"1e5"}}', "wrong_type"),
        (b'{"7":{"L1_LF_1":{"9999999999999999999Z":1}}}', "wrong_time"),
        (b'{"7":{"L1_LF_1":{"0001-01-01T00:00:00+08:00":1}}}', "wrong_time"),
        ('{"7":{"L1_LF_①":1}}'.encode(), "unknown_sensor"),
        (json.dumps({"7": {f"L1_LF_{n}": 1 for n in range(MAX_READINGS + 1)}}).encode(), "too_many_readings"),
        (json.dumps({"7": {f"x{n}": {} for n in range(MAX_READINGS + 1)}}).encode(), "too_many_readings"),
        (json.dumps({str(n): {} for n in range(3)} | {"x": {"a": {}}}).encode(), "unknown_sensor"),
    ],
)
def test_what_is_refused_and_why(payload: bytes, code: str) -> None:
    [refused] = decoded(payload)
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert refused.reason.zh
    assert refused.reason.en


def check(found: list[Observation | Refused]) -> None:
    for item in found:
        if isinstance(item, Refused):
            assert item.code
            assert item.reason.zh
            assert item.reason.en
        else:
            assert abs(item.value) < float("inf")
            assert item.time.tzinfo is UTC


@given(st.binary(max_size=200))
def test_no_bytes_break_it(payload: bytes) -> None:
    for variant in (payload, b"\x10{" + payload, b"\x02" + len(payload).to_bytes(2, "big") + payload):
        check(decoded(variant))


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = leaves | st.lists(leaves, max_size=2) | st.dictionaries(st.text(max_size=3), leaves, max_size=2)
stamps = st.sampled_from(["2026-06-30T18:15:00Z", "1782843300000", "2026", "0" * 13]) | st.text(max_size=4)
names = st.sampled_from(["value", "gpsTotalX", "angle"]) | st.text(max_size=3)
sensors = st.sampled_from(["L1_LF_1", "L1_GP_2", "S1_ZT_1"]) | st.text(max_size=8)
payloads = st.dictionaries(
    st.text(max_size=4),
    values
    | st.dictionaries(
        sensors,
        values | st.dictionaries(stamps, values | st.dictionaries(names, values, max_size=3), max_size=3),
        max_size=3,
    ),
    max_size=3,
)


@settings(deadline=None)
@given(payloads)
def test_no_json_breaks_it(payload: dict[str, Any]) -> None:
    check(decoded(json.dumps(payload).encode()))
