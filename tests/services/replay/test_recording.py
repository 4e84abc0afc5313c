from datetime import UTC, datetime

import pytest

from services.replay.command import shifted, speed_of
from services.replay.recording import RecordingError, Sample, read


def lines(*text: str) -> list[str]:
    return [line + "\n" for line in text]


def test_one_station_and_its_missing_values() -> None:
    found = read(
        lines(
            "time,rain_mm",
            "2006-01-01T01:00:00+01:00,0.5",
            "2006-01-01T00:00:00+01:00,",
            "2006-01-01T00:00:00Z,1",
        ),
        "f.csv",
        "R-1",
        "rain",
    )
    # Both of the given times are midnight UTC: sorted, and both kept for the pipeline to judge.
    assert [sample.value for sample in found.samples] == [0.5, 1.0]
    assert found.missing == 1


def test_several_stations_are_merged_in_order_of_time() -> None:
    found = read(
        lines(
            "station,time,value",
            "B,2006-01-01T02:00:00Z,2",
            "A,2006-01-01T01:00:00Z,1",
            "A,2006-01-01T03:00:00Z,3",
        ),
        "f.csv",
        None,
        "rain",
    )
    assert [(sample.station, sample.value) for sample in found.samples] == [
        ("A", 1.0),
        ("B", 2.0),
        ("A", 3.0),
    ]
    assert found.stations == ("A", "B")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (("when,value", "x,1"), "no column `time`"),
        (("time,a,b", "x,1,2"), "which column"),
        (("time,value",), "holds no value"),
        (("time,value", "2006-01-01T00:00:00,1"), "line 2: time"),
        (("time,value", "2006-01-01T00:00:00Z,wet", "yesterday,1"), "line 3"),
        (("time,value", "2006-01-01T00:00:00Z,nan"), "not finite"),
        (("", ""), "no column `time`"),
    ],
)
def test_faults_are_told_by_line(text: tuple[str, ...], words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        read(lines(*text), "f.csv", "R-1", "rain")


def test_a_file_without_stations_needs_one_named() -> None:
    with pytest.raises(RecordingError, match="--station"):
        read(lines("time,value", "2006-01-01T00:00:00Z,1"), "f.csv", None, "rain")


def test_a_series_is_moved_to_now() -> None:
    samples = tuple(Sample(datetime(2006, 1, 1, hour, tzinfo=UTC), "R-1", 1.0) for hour in (0, 5))
    now = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert shifted(samples, now, from_now_on=False)[-1].time == now
    assert shifted(samples, now, from_now_on=True)[0].time == now
    assert shifted(samples, now, from_now_on=True)[1].time - now == samples[1].time - samples[0].time


def test_speeds() -> None:
    assert speed_of("max") is None
    assert speed_of("3600") == 3600
    for words in ("0", "-1", "fast", "nan"):
        with pytest.raises(ValueError, match=r".*"):
            speed_of(words)
