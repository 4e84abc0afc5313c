"""The weather at noon, for fire weather: of stations that measure it, once a day, by what came in time."""

from datetime import UTC, datetime, timedelta

from services.rules.stations.judge import StationJudge
from services.rules.stations.weather import Sky, observe
from tests.services.rules.stations.made import rainstorm
from tongluo import testing
from tongluo.quality import Flag
from tongluo.reading import Reading
from tongluo.readings import gathered
from tongluo.signal import Weather

NOON = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)  # 12:00 in China
W = frozenset({"W-1"})


def reading(metric: str, minutes: float, value: float, flags: int = 0, station: str = "W-1") -> Reading:
    return Reading(station, metric, NOON + timedelta(minutes=minutes), value, "S-1", "G-1", flags)


def day() -> list[Reading]:
    return [
        reading("rain", -1441, 50.0), reading("rain", -1439, 1.0), reading("rain", -60, 0.5),
        reading("temperature", -90, 20.0), reading("temperature", -30, 31.5), reading("humidity", -30, 38.0),
        reading("wind_speed", -10, 4.0), reading("wind_speed", 0, 4.5),
    ]  # fmt: skip


def seen(*readings: Reading) -> list[Weather]:
    skies: dict[str, Sky] = {}
    return [found for one in readings for found in observe(skies, W, gathered([one]))]


def test_the_first_reading_after_noon_tells_the_noons_weather() -> None:
    expected = Weather("W-1", "S-1", NOON, 31.5, 38.0, 4.5, 1.5)
    assert seen(*day(), reading("temperature", 10, 33.0)) == [expected]
    assert list(observe({}, W, gathered([*day(), reading("temperature", 10, 33.0)]))) == [expected]
    assert seen(*day()) == []


def test_each_noon_is_told_once() -> None:
    after = [
        reading("temperature", 10, 33.0),
        reading("temperature", 20, 33.0),
        reading("humidity", -20, 1.0),
    ]
    assert len(seen(*day(), *after)) == 1


def test_a_noon_without_fresh_or_trusted_values_has_no_weather() -> None:
    old = [one for one in day() if one.metric != "humidity"]
    assert seen(*old, reading("humidity", -200, 38.0), reading("temperature", 10, 33.0)) == []
    assert seen(*old, reading("humidity", -20, 38.0, Flag.STUCK), reading("temperature", 10, 33.0)) == []


def test_the_judgement_passes_it_on_and_keeps_it_over_a_restart() -> None:
    county = testing.county()
    station = next(iter(county.stations.values()))
    metrics = ("temperature", "humidity", "wind_speed", "rain")
    county.stations["W-1"] = type(station)(
        **{name: getattr(station, name) for name in station.__struct_fields__}
        | {"id": "W-1", "metrics": metrics}
    )
    judge = StationJudge(rainstorm(), county)
    judge.judge(gathered(day()))
    again = StationJudge.unpack(judge.pack(), rainstorm(), county)
    assert [one.temperature_c for one in again.judge(gathered([reading("rain", 5, 0.0)])).weather] == [31.5]
