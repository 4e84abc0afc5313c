from datetime import UTC, datetime

import msgspec
import pytest

from tongluo import testing, wire
from tongluo.detection import Detection, Sign
from tongluo.errors import WireError
from tongluo.finding import Criterion, Finding, Level
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


def v1(**changed: object) -> bytes:
    evidence = {
        "rule": "rainstorm", "rule_version": "0123456789ab", "station": "R-1", "time": "2026-07-01T04:05:00Z",
        "indicators_mm": {"24h": 70.0, "1h": 20.0, "3h": 52.1},
        "criterion": {"level": "orange", "window": "3h", "reach_mm": 50.0},
    }  # fmt: skip
    finding = {
        "rule": "rainstorm", "hazard": "rainstorm", "site": "S-1", "time": "2026-07-01T04:05:00Z", "level": "orange",
    }  # fmt: skip
    return msgspec.json.encode({"v": 1, "d": {**finding, "evidence": {**evidence, **changed}}})


def test_a_finding_of_version_1_is_read() -> None:
    found = wire.FINDING.decode(v1())
    evidence = found.evidence
    assert (found.level, found.drill, evidence.metric) == (Level.ORANGE, False, "rain")
    assert evidence.figure == Words("3小时雨量 52.1 毫米", "52.1 mm of rain in 3 h")
    assert evidence.sentence == Words(
        "R-1：3小时雨量 52.1 毫米，橙色线 50 毫米", "R-1: 52.1 mm of rain in 3 h; orange from 50 mm"
    )
    assert evidence.criterion == Criterion(Level.ORANGE, "rain_3h", 50.0, 40.0)
    assert [(one.indicator, one.value, one.unit, one.window_s) for one in evidence.measures] == [
        ("rain_1h", 20.0, "mm", 3600.0), ("rain_3h", 52.1, "mm", 10_800.0), ("rain_24h", 70.0, "mm", 86_400.0),
    ]  # fmt: skip
    assert wire.FINDING.decode(wire.FINDING.encode(found)) == found


def test_a_finding_of_version_1_without_a_line_shows_its_longest_window() -> None:
    evidence = wire.FINDING.decode(v1(criterion=None)).evidence
    assert evidence.criterion is None
    assert evidence.figure.zh == "24小时雨量 70.0 毫米"
    assert wire.FINDING.decode(v1(criterion=None, indicators_mm={})).evidence.figure == Words("", "")


@pytest.mark.parametrize("window", ["3", "h", "3x", "-3h", "٣h", ""])
def test_a_finding_of_version_1_with_a_window_that_is_none_is_refused(window: str) -> None:
    with pytest.raises(WireError, match="not a Finding"):
        wire.FINDING.decode(v1(indicators_mm={window: 1.0}))


def test_a_finding_says_what_was_found_and_leaves_out_the_rest() -> None:
    found = Finding(
        "r", "rainstorm", "S-1", READING.time, Level.RED, testing.evidence(READING.time), drill=True
    )
    written = wire.FINDING.encode(found)
    assert wire.FINDING.decode(written) == found
    assert msgspec.json.decode(written)["v"] == 2
    assert b"forecast" not in written
