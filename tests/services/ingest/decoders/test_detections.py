"""Camera detections: a fire is told with or without its picture, and a picture is what its bytes are."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.decoders import detections
from services.ingest.mqtt import Message
from services.ingest.observation import Refused, Sighting
from services.ingest.pipeline import MAX_PAYLOAD_BYTES, Context, Detected, Limits, read
from services.ingest.places import Places
from tests.services.ingest.decoders import golden
from tongluo import testing
from tongluo.detection import MAX_SNAPSHOT_BYTES, Detection, ImageType, Sign, SnapshotRef
from tongluo.reading import Refusal
from tongluo.region import Station, StationKind

NOW = datetime(2026, 7, 1, 2, 30, tzinfo=UTC)
GOOD = {
    "camera": "C-1", "time": "2026-07-01T10:15:00+08:00", "kind": "smoke", "confidence": 0.87, "azimuth": 213.4, "cone": 4.0,
}  # fmt: skip
JPEG, PNG, WEBP = b"\xff\xd8\xff\xe0rest", b"\x89PNG\r\n\x1a\nrest", b"RIFF\x0a\x00\x00\x00WEBPrest"


def with_camera() -> Context:
    county = testing.county()
    camera = Station("C-1", "一号瞭望", StationKind.FIRE_CAMERA, "S-1", "G-1", 28.2, 120.4, ())
    county = msgspec.structs.replace(county, stations=county.stations | {"C-1": camera})
    return Context(Places(county), NOW, Limits(timedelta(minutes=10), timedelta(days=60)))


CONTEXT = with_camera()


def decoded(sent: Any) -> list[Sighting | Refused]:
    payload = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    return list(detections.decode(payload, NOW))


def picture(data: bytes, **claims: str) -> dict[str, Any]:
    return {**GOOD, "snapshot": {**claims, "data": base64.b64encode(data).decode()}}


def summary(found: list[Sighting | Refused]) -> list[list[Any]]:
    return [
        ["refused", item.code]
        if isinstance(item, Refused)
        else [
            item.station, item.time.isoformat(), item.kind, item.confidence, item.azimuth_deg, item.cone_deg, item.track,
            item.snapshot and f"{item.snapshot.type.name.lower()}:{item.snapshot.digest}",
        ]
        for item in found
    ]  # fmt: skip


@pytest.mark.parametrize("message", golden.messages("detections"), ids=lambda path: path.name)
def test_golden_messages(message: Path) -> None:
    assert summary(decoded(golden.payload(message))) == golden.expected(message)


@pytest.mark.parametrize(("data", "kind"), [(JPEG, "JPEG"), (PNG, "PNG"), (WEBP, "WEBP")])
def test_a_picture_is_named_by_its_bytes_alone(data: bytes, kind: str) -> None:
    [seen] = decoded(picture(data, mime="application/x-sh", name="/etc/passwd"))
    assert isinstance(seen, Sighting)
    assert seen.snapshot is not None
    assert seen.snapshot.type is ImageType[kind]
    assert seen.snapshot.digest == hashlib.sha256(data).hexdigest()
    assert seen.snapshot.data == data


def test_the_largest_picture_fits_a_message_and_one_byte_more_is_refused() -> None:
    largest = picture(JPEG.ljust(MAX_SNAPSHOT_BYTES, b"x"))
    assert len(json.dumps(largest)) < MAX_PAYLOAD_BYTES
    [seen] = decoded(largest)
    assert isinstance(seen, Sighting)
    found = decoded(picture(JPEG.ljust(MAX_SNAPSHOT_BYTES + 3, b"x")))
    assert [item.code for item in found if isinstance(item, Refused)] == ["snapshot_too_large"]


@pytest.mark.parametrize(
    ("snapshot", "code"),
    [
        ("x", "wrong_snapshot"),
        ({}, "wrong_snapshot"),
        ({"data": 7}, "wrong_snapshot"),
        ({"data": "€"}, "wrong_snapshot"),
        ({"data": "/9j/4A"}, "wrong_snapshot"),
        ({"data": "/9j/ 4A=="}, "wrong_snapshot"),
        ({"data": ""}, "unknown_image"),
        ({"data": base64.b64encode(b"GIF89a").decode()}, "unknown_image"),
        ({"data": base64.b64encode(b"RIFF\0\0\0\0WAVE").decode()}, "unknown_image"),
    ],
)
def test_a_bad_picture_does_not_silence_a_fire(snapshot: Any, code: str) -> None:
    seen, refused = decoded({**GOOD, "snapshot": snapshot})
    assert isinstance(seen, Sighting)
    assert seen.snapshot is None
    assert isinstance(refused, Refused)
    assert refused.code == code


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"camera": 7}, "wrong_type", "camera"),
        ({"time": "2026-07-01T10:15:00"}, "wrong_time", "zone"),
        ({"time": "0001-01-01T00:00:00+08:00"}, "wrong_time", "time"),
        ({"kind": "fog"}, "wrong_type", "smoke, fire or heat"),
        ({"confidence": 1.01}, "wrong_type", "confidence"),
        ({"confidence": "0.9"}, "wrong_type", "confidence"),
        ({"azimuth": 360}, "wrong_type", "azimuth"),
        ({"azimuth": -1}, "wrong_type", "azimuth"),
        ({"cone": 0}, "wrong_type", "cone"),
        ({"track": "../../x"}, "wrong_type", "track"),
        ({"track": "x" * 65}, "wrong_type", "track"),
    ],
)
def test_bad_fields_are_refused_with_their_reason(change: dict[str, Any], code: str, words: str) -> None:
    [refused] = decoded({**GOOD, **change})
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert words in refused.reason.en
    assert refused.reason.zh


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(field: str) -> None:
    [refused] = decoded({name: value for name, value in GOOD.items() if name != field})
    assert isinstance(refused, Refused)
    assert refused.code == "missing_field"
    assert f"{field} is missing" in refused.reason.en


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"", "not_json"), (b"[]", "not_a_detection"), (b"7", "not_a_detection"), (b"[" * 100_000, "not_json")],
)
def test_what_is_no_detection(payload: bytes, code: str) -> None:
    assert summary(decoded(payload)) == [["refused", code]]


def through(sent: Any, gateway: str = "G-1") -> list[Any]:
    return list(read(Message(f"tongluo/v1/{gateway}/detections", json.dumps(sent).encode(), NOW, 1), CONTEXT))


def test_a_detection_of_a_registered_camera() -> None:
    [found] = through({**picture(PNG), "track": "t-1"})
    assert isinstance(found, Detected)
    assert found.snapshot is not None
    reference = SnapshotRef(hashlib.sha256(PNG).hexdigest(), ImageType.PNG, len(PNG))
    assert found.detection == Detection(
        "C-1", Sign.SMOKE, NOW - timedelta(minutes=15), 0.87, 213.4, 4.0, "S-1", "G-1", "t-1", reference
    )
    assert msgspec.json.decode(msgspec.json.encode(found.detection), type=Detection) == found.detection


@pytest.mark.parametrize(
    ("change", "gateway", "code"),
    [
        ({"camera": "C-9"}, "G-1", "unknown_station"),
        ({}, "G-2", "foreign_station"),
        ({"camera": "R-1"}, "G-1", "not_a_camera"),
        ({"time": "2027-07-01T10:15:00+08:00"}, "G-1", "future_time"),
    ],
)
def test_a_detection_that_cannot_be_placed(change: dict[str, Any], gateway: str, code: str) -> None:
    [refusal] = through({**GOOD, **change}, gateway)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def check(found: list[Sighting | Refused]) -> None:
    assert 1 <= len(found) <= 2
    for item in found:
        if isinstance(item, Refused):
            assert item.reason.zh
            assert item.reason.en
        else:
            assert 0 <= item.confidence <= 1
            assert 0 <= item.azimuth_deg < 360
            assert item.time.tzinfo is UTC


@given(st.binary(max_size=200))
def test_no_bytes_break_it(payload: bytes) -> None:
    check(decoded(payload))


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = leaves | st.lists(leaves, max_size=2) | st.dictionaries(st.sampled_from(["data", "mime"]), leaves)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*GOOD, "track", "snapshot", "x"]), anything, max_size=4))
def test_no_json_breaks_it(change: dict[str, Any]) -> None:
    check(decoded({**GOOD, **change}))
