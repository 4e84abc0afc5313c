from datetime import UTC, datetime

import msgspec
import pytest

from tongluo import wire
from tongluo.detection import Detection, Sign
from tongluo.errors import WireError
from tongluo.finding import Level
from tongluo.hazards import Words
from tongluo.liveness import EventKind, StationEvent
from tongluo.quality import Flag
from tongluo.reading import Reading, Refusal
from tongluo.readings import gathered
from tongluo.signal import Sighting, Signal, SiteLevel, Spoke, Tick, Weather

READING = Reading("R-1", "rain", datetime(2026, 7, 1, tzinfo=UTC), 0.5, "S-1", "G-1", int(Flag.RANGE), 7)
OTHER = Reading("R-2", "rain", datetime(2026, 7, 1, 0, 5, 0, 123456, tzinfo=UTC), 0.1 + 0.2, "S-1", "G-1")
REFUSAL = Refusal(
    "G-1",
    "t",
    datetime(2026, 7, 1, tzinfo=UTC),
    "not_json",
    Words("不是 JSON", "not JSON"),
    bytes(range(256)),
)


def test_what_is_written_is_read() -> None:
    readings = gathered([READING, OTHER, READING], by="a")
    assert wire.READINGS.decode(wire.READINGS.encode(readings)) == readings
    assert list(readings.each()) == [READING, OTHER, READING]
    assert len(readings.series) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": [0.5]}, "differ in length"),
        ({"flags": [0]}, "differ in length"),
        ({"which": [0, 2]}, "series"),
        ({"which": [0, -1]}, "series"),
        ({"time_us": [0, 2**62]}, "calendar"),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(change: dict[str, object], words: str) -> None:
    good = msgspec.to_builtins(gathered([OTHER, msgspec.structs.replace(OTHER, station="R-3")]))
    with pytest.raises(WireError, match=words):
        wire.READINGS.decode(msgspec.json.encode({"v": 2, "d": {**good, **change}}))


def test_any_bytes_survive_quarantine() -> None:
    assert wire.REFUSAL.decode(wire.REFUSAL.encode(REFUSAL)) == REFUSAL


@pytest.mark.parametrize(
    ("reason", "words"),
    [("不是 JSON · not JSON", Words("不是 JSON", "not JSON")), ("not JSON", Words("not JSON", "not JSON"))],
)
def test_a_refusal_of_version_1_is_read(reason: str, words: Words) -> None:
    fields = {**msgspec.to_builtins(REFUSAL), "reason": reason}
    old = msgspec.json.encode({"v": 1, "d": fields})
    assert wire.REFUSAL.decode(old) == msgspec.structs.replace(REFUSAL, reason=words)


@pytest.mark.parametrize("data", [b"", b"{", b'{"v":1,"d":{}}', b"[1]", b"\xff"])
def test_foreign_bytes_are_refused(data: bytes) -> None:
    for codec in (wire.READINGS, wire.REFUSAL):
        with pytest.raises(WireError):
            codec.decode(data)


def test_a_newer_version_is_named() -> None:
    with pytest.raises(WireError, match="version 3"):
        wire.READINGS.decode(wire.READINGS.encode(gathered([READING])).replace(b'"v":2', b'"v":3', 1))


def test_a_reading_of_version_1_is_read() -> None:
    old = (
        b'{"v":1,"d":{"station":"R-1","metric":"rain","time":"2026-07-01T00:00:00Z","value":0.5,"site":"S-1",'
        b'"gateway":"G-1","quality":"out_of_range","seq":7}}'
    )
    assert list(wire.READINGS.decode(old).each()) == [READING]


SIGNALS = [
    SiteLevel(
        "rainstorm", "S-1", READING.time, Level.RED, Words("3 小时 101 毫米", "101 mm in 3 h"), drill=True
    ),
    SiteLevel("rainstorm", "S-1", READING.time, None, Words("", "")),
    Sighting(Detection("C-1", Sign.SMOKE, READING.time, 0.5, 10.0, 4.0, "S-1", "G-1")),
    Spoke(
        StationEvent("id", "R-1", "G-1", "S-1", EventKind.SILENT, READING.time, Words("", ""), READING.time)
    ),
    Weather("R-1", "S-1", READING.time, 30.0, 20.0, 5.0, 0.0),
    Tick(READING.time),
]


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: type(signal).__name__)
def test_every_kind_of_signal_is_read_as_it_was_written(signal: Signal) -> None:
    assert wire.SIGNAL.decode(wire.SIGNAL.encode(signal)) == signal


@pytest.mark.parametrize(
    "bad",
    [
        b'{"v":1,"d":{"type":"tick","time":"2026-07-01T00:00:00"}}',
        b'{"v":1,"d":{"type":"tock","time":"2026-07-01T00:00:00Z"}}',
        b'{"v":2,"d":{"type":"tick","time":"2026-07-01T00:00:00Z"}}',
    ],
)
def test_what_is_no_signal_is_refused(bad: bytes) -> None:
    with pytest.raises(WireError, match="Signal"):
        wire.SIGNAL.decode(bad)
