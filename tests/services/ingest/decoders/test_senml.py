"""SenML in JSON and CBOR: what a pack says is what becomes a reading, and nothing that is sent breaks the decoder."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.decoders import cbor, senml
from services.ingest.decoders.parts import MAX_READINGS
from services.ingest.mqtt import Message
from services.ingest.observation import Observation, Refused
from services.ingest.pipeline import Accepted, Context, Limits, read
from services.ingest.places import Places
from tests.services.ingest.decoders import golden
from tongluo import testing

NOW = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)


def decoded(payload: bytes) -> list[Observation | Refused]:
    return list(senml.decode(payload, NOW))


@pytest.mark.parametrize("message", golden.messages("senml"), ids=lambda path: path.name)
def test_golden_messages(message: Path) -> None:
    assert golden.summary(decoded(golden.payload(message))) == golden.expected(message)


def test_what_is_handed_on_says_the_same_by_itself_and_later() -> None:
    """The bytes kept with a reading are a pack of their own: sent again after a mend, they mean the same."""
    for name in ("pack.json", "relative.json"):
        found = decoded(golden.payload(golden.FOLDER / "senml" / name))
        later = NOW + timedelta(days=1)
        again = [item for one in found for item in senml.decode(one.raw, later)]
        assert golden.summary(again) == golden.summary(found)


def test_units_of_the_rfc_become_the_metrics_own() -> None:
    places = Places(testing.county())
    context = Context(places, NOW, Limits(None, None))
    payload = b'[{"bn":"R-1/","bt":1782843300,"n":"rain","u":"m","v":0.0005},{"n":"battery","u":"V","v":12}]'
    found = read(Message("tongluo/v1/G-1/senml", payload, NOW, 1), context)
    assert [
        (places.series[item.number].metric, item.value) for item in found if isinstance(item, Accepted)
    ] == [
        ("rain", pytest.approx(0.5)),
        ("battery", 12.0),
    ]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "not_senml"),
        (b"{}", "not_senml"),
        (b"[" * 100_000, "not_senml"),
        (b'[{"n":"R-1/rain","v":1e400}]', "not_senml"),
        (b'[{"n":"R-1/rain","v":' + b"9" * 5000 + b"}]", "not_senml"),
        (b'[{"n":"R-1/rain","v":' + b"9" * 400 + b"}]", "not_finite"),
        (b'[{"bver":11,"n":"R-1/rain","v":1}]', "wrong_base"),
        (b'[{"bv":1.7e308,"n":"R-1/rain","v":1.7e308}]', "not_finite"),
        (b'[{"n":"R-1/rain","v":true}]', "wrong_type"),
        (b'[{"n":"R-1/rain","v":null}]', "wrong_type"),
        (b'[{"n":"rain","v":1}]', "wrong_name"),
        (b'[{"n":"a/b/rain","v":1}]', "wrong_name"),
        (b'[{"n":"/rain","v":1}]', "wrong_name"),
        (b"[{}]", "missing_field"),
        (b"[" + b",".join([b"{}"] * (MAX_READINGS + 1)) + b"]", "too_many_readings"),
        (b"\x99\x27\x11" + b"\xa0" * (MAX_READINGS + 1), "too_many_readings"),
        (b"\x80\x00", "not_cbor"),  # bytes after the item
        (b"\x82\xa0", "not_cbor"),  # ends early
        (b"\x9b" + b"\xff" * 8, "not_cbor"),  # an array of 2**64 - 1 records
        (b"\x81" * 100_000 + b"\x00", "not_cbor"),  # deep
        (b"\x81\xbf\x00\x00\xff", "not_cbor"),  # a map without its length
        (b"\x81\xa2\x02\x01\x02\x01", "not_cbor"),  # a field twice
        (b"\x81\xd8\x23\x61\x28", "not_cbor"),  # tag 35: a regular expression
        (b"\x81\xb9\xff\xff" + b"\x00" * 131_070, "not_cbor"),  # a map of 65,535 fields
    ],
)
def test_what_is_refused_and_why(payload: bytes, code: str) -> None:
    [refused] = decoded(payload)
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert refused.reason.zh
    assert refused.reason.en


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"\x81\xd8\x23\x61\x28", "has a tag"),
        (b"\x81\xb9\xff\xff" + b"\x00" * 131_070, "65535 fields"),
        (b"\x81" * 100 + b"\x00", "nested deeper"),
        (b"\x9b" + b"\xff" * 8, "ends early"),
        (b"\x80\x00", "follow"),
        (b"\x9f" + b"\xa0" * 200_000 + b"\xff", "over 200000 items"),
    ],
)
def test_cbor_is_refused_before_it_is_built(payload: bytes, words: str) -> None:
    """By the walk, in its own words: the library would first make what the message asks for."""
    with pytest.raises(cbor.CborFaultError, match=words):
        cbor.load(payload)


def test_true_is_not_label_one() -> None:
    """To Python True is 1; to CBOR it is a field nobody knows."""
    [found] = decoded(cbor2.dumps([{0: "R-1/rain", 2: 5, True: "km"}]))
    assert isinstance(found, Observation)
    assert found.unit is None


def test_a_base_that_cannot_be_read_ends_the_pack() -> None:
    """Without it, the record after it would get the time of its arrival instead of last year's."""
    found = decoded(b'[{"bn":"R-1/","bt":"1700000000","n":"rain","v":1},{"n":"rain","v":2}]')
    assert golden.summary(found) == [["refused", "wrong_base"]]
    assert golden.summary(decoded(b'[{"bnew_":1,"n":"R-1/rain","v":1},{"n":"R-1/rain","v":2}]')) == [
        ["refused", "must_understand"]
    ]


def test_a_record_may_only_set_the_base() -> None:
    found = decoded(b'[{"bn":"R-1/","bt":1782843300},{"n":"rain","v":2}]')
    assert golden.summary(found) == [["R-1", "rain", "2026-06-30T18:15:00+00:00", 2.0, None]]


seconds = st.integers(2**28, 2**31).map(float)
small = st.floats(-1e6, 1e6)
readings = st.fixed_dictionaries(
    {"n": st.sampled_from(["R-1/rain", "R-2/battery", "A:b.c_d/tilt"]), "t": seconds, "v": small},
    optional={"u": st.sampled_from(["mm", "V", "%RH"])},
)


def based(records: list[dict[str, Any]], bt: float, bv: float) -> list[dict[str, Any]]:
    """The same readings, said relative to a base."""
    return [
        {**record, "t": record["t"] - bt, "v": record["v"] - bv}
        | ({"bn": "", "bt": bt, "bv": bv} if number == 0 else {})
        for number, record in enumerate(records)
    ]


LABELS = {name: label for label, name in senml._LABELS.items()}


def as_cbor(records: list[dict[str, Any]]) -> bytes:
    return cbor2.dumps([{LABELS[name]: value for name, value in record.items()} for record in records])


@given(st.lists(readings, max_size=6), st.integers(0, 2**20), st.integers(-100, 100))
def test_json_and_cbor_say_the_same(records: list[dict[str, Any]], bt: int, bv: int) -> None:
    wanted = [
        (*record["n"].split("/"), record["t"], pytest.approx(record["v"], abs=1e-6), record.get("u"))
        for record in records
    ]
    for variant in (records, based(records, bt, bv)):
        for payload in (json.dumps(variant).encode(), as_cbor(variant)):
            found = decoded(payload)
            assert [
                (item.station, item.metric, item.time.timestamp(), item.value, item.unit)
                for item in found
                if isinstance(item, Observation)
            ] == wanted
            assert len(found) == len(records)


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
    for variant in (payload, b"\x81" + payload, b"\x81\xa2\x02" + payload, b"[" + payload):
        check(decoded(variant))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
labels = st.sampled_from([*LABELS, "x", "x_"])


@settings(deadline=None)
@given(st.lists(anything | st.dictionaries(labels, anything, max_size=6), max_size=4))
def test_no_records_break_it(records: list[Any]) -> None:
    check(decoded(json.dumps(records, default=repr).encode()))
    check(
        decoded(
            cbor2.dumps(
                [
                    {LABELS.get(k, k): v for k, v in item.items()} if isinstance(item, dict) else item
                    for item in records
                ]
            )
        )
    )


@given(st.binary(max_size=100))
def test_cbor_is_read_or_told(data: bytes) -> None:
    """The walk and the library agree: what the walk lets through, the library reads or refuses in its own words."""
    try:
        found = cbor.load(data)
    except cbor.CborFaultError:
        return
    assert repr(found) == repr(cbor2.loads(data))
