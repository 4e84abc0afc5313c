"""`tongluo rules replay`: from files and from the store, the same every time, old rules against new, as JSON and a page."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from services.__main__ import parser
from services.rules.catalogue import load
from services.rules_command.replay import laid_over, replay
from services.settings import Settings, read_settings
from tongluo import testing
from tongluo.errors import SettingsError, TongluoError
from tongluo.finding import Level
from tongluo.region import SiteKind
from tongluo.registry.export import to_toml

START = datetime(2026, 7, 1, tzinfo=UTC)
DAY = timedelta(days=1)
Run = Callable[..., Any]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(None, data=tmp_path / "none")


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Two gauges, two days by the hour; R-1 has a storm of 60 mm in three hours, R-2 one of 48 mm and a wild value."""
    rows = []
    for hour in range(48):
        time = (START + timedelta(hours=hour)).isoformat()
        rows.append(f"{time},R-1,rain,{20 if 10 <= hour < 13 else 0},x\n")
        rows.append(f"{time},R-2,rain,{16 if 10 <= hour < 13 else 5000 if hour == 30 else 0},x\n")
    shuffled(rows, 1)
    path = tmp_path / "history.csv"
    path.write_text("time,station,metric,value,remark\n" + "".join(rows))
    return path


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "county.toml"
    path.write_text(to_toml(testing.county()))
    return path


async def run(settings: Settings, *words: object) -> int:
    return await replay(parser().parse_args(["rules", "replay", *map(str, words)]), settings)


async def changes(
    capsys: pytest.CaptureFixture[str], settings: Settings, *words: object
) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert await run(settings, *words, "--json") == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def shuffled(rows: list[str], seed: int) -> None:
    Random(seed).shuffle(rows)  # noqa: S311 - nothing secret


def shuffle_rows(history: Path) -> None:
    header, *rows = history.read_text().splitlines(keepends=True)
    shuffled(rows, 2)
    history.write_text(header + "".join(rows))


def lower_at_r_2(registry: Path) -> None:
    text = registry.read_text()
    assert 'id = "R-2"' in text
    registry.write_text(
        text.replace('id = "R-2"', 'id = "R-2"\nthresholds = { rain_3h = { orange = 40.0 } }')
    )


def lower(folder: Path, reach: float) -> Path:
    """The rainstorm rule with another orange line."""
    text = load(None)["rainstorm.toml"]
    assert "orange = 50.0" in text
    path = folder / "mine.toml"
    path.write_text(text.replace("orange = 50.0", f"orange = {reach}"))
    return path


async def test_one_json_object_a_level_change_with_what_it_was_judged_by(
    capsys: pytest.CaptureFixture[str], settings: Settings, history: Path
) -> None:
    found = [one for one in await changes(capsys, settings, history) if one["rule"] == "rainstorm"]
    first = found[0]
    assert (first["time"], first["site"], first["station"]) == ("2026-07-01T12:00:00+00:00", "R-1", "R-1")
    assert (first["before"], first["after"]) == (None, "orange")
    assert first["indicators"]["rain_3h"] == 60.0
    assert first["alert"] == "rainstorm-R-1-20260701T120000Z"
    assert first["state"] == "raised"
    assert [one["before"] for one in found[1:]] == [one["after"] for one in found[:-1]]
    assert {one["site"] for one in found} == {"R-1"}
    assert "forecast" not in first


async def test_the_same_history_in_any_order_and_twice_gives_the_same_to_the_byte(
    capsys: pytest.CaptureFixture[str], settings: Settings, history: Path
) -> None:
    expected = await changes(capsys, settings, history)
    assert await changes(capsys, settings, history) == expected
    shuffle_rows(history)
    assert await changes(capsys, settings, history) == expected


async def test_a_registry_gives_sites_and_thresholds(
    capsys: pytest.CaptureFixture[str], settings: Settings, history: Path, registry: Path
) -> None:
    found = await changes(capsys, settings, history, "--registry", registry)
    assert {(one["site"], one["station"]) for one in found if one["rule"] == "rainstorm"} == {("S-1", "R-1")}
    lower_at_r_2(registry)
    found = await changes(capsys, settings, history, "--registry", registry)
    assert {one["site"] for one in found if one["rule"] == "rainstorm"} == {"S-1", "S-2"}


async def test_what_lies_before_the_period_is_judged_and_not_told(
    capsys: pytest.CaptureFixture[str], settings: Settings, history: Path
) -> None:
    every = await changes(capsys, settings, history)
    later = [one for one in every if one["time"] > "2026-07-01T13"]
    told = await changes(capsys, settings, history, "--from", "2026-07-01T13:00:01Z", "--to", "2026-07-03")
    assert told == later
    assert later[0]["before"] is not None


async def test_a_day_is_the_countys_and_counts_whole(
    capsys: pytest.CaptureFixture[str], settings: Settings, history: Path
) -> None:
    every = await changes(capsys, settings, history)
    day = [one for one in every if one["time"] <= "2026-07-01T16:00:00"]
    assert day
    assert len(day) < len(every)
    assert await changes(capsys, settings, history, "--from", "2026-07-01", "--to", "2026-07-01") == day
    assert await changes(capsys, settings, history, "--from", "2026-07-02") == every[len(day) :]


async def test_old_rules_against_new_with_skill_and_a_page(
    capsys: pytest.CaptureFixture[str], settings: Settings, history: Path, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text(
        "start,end,site,hazard\n"
        "2026-07-01T13:00:00Z,2026-07-01T14:00:00Z,R-1,rainstorm\n"
        "2026-07-01T13:00:00Z,2026-07-01T14:00:00Z,R-2,rainstorm\n"
    )
    page = tmp_path / "report.html"
    rule = lower(tmp_path, 40.0)
    assert await run(settings, history, "--rules", rule, "--events", truth, "--report", page) == 0
    out = capsys.readouterr().out
    [new] = [
        line.split() for line in out.splitlines() if line.startswith("orange or above") and " new " in line
    ]
    [old] = [
        line.split() for line in out.splitlines() if line.startswith("orange or above") and " old " in line
    ]
    assert new[3:7] == ["new", "2", "0", "0"]
    assert old[3:7] == ["old", "1", "1", "0"]
    assert " by the old rules" in out
    whole = page.read_text()
    _Closed().feed(whole)
    assert "http" not in whole.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in whole
    assert "命中" in whole
    assert whole.count("<svg") >= 4


async def test_what_stands_in_a_history_is_not_markup(settings: Settings, tmp_path: Path) -> None:
    path, page = tmp_path / "h.csv", tmp_path / "r.html"
    rows = "".join(
        f"{(START + timedelta(hours=hour)).isoformat()},<script>alert(1)</script>,rain,{30 * (hour == 5)}\n"
        for hour in range(9)
    )
    rows += "".join(f"{(START + timedelta(hours=hour)).isoformat()},<b>,rain,20\n" for hour in range(9))
    path.write_text("time,station,metric,value\n" + rows)
    assert await run(settings, path, "--report", page) == 0
    whole = page.read_text()
    assert "<script" not in whole
    assert "<b>,rain" not in whole
    assert "&lt;b&gt;" in whole
    _Closed().feed(whole)


async def test_a_wrong_rule_file_is_told_by_line(
    capsys: pytest.CaptureFixture[str], settings: Settings, history: Path, tmp_path: Path
) -> None:
    path = tmp_path / "rainstorm.toml"
    path.write_text(load(None)["rainstorm.toml"].replace("sum =", "summe ="))
    assert await run(settings, history, "--rules", path) == 1
    err = capsys.readouterr().err
    assert err.count("rainstorm.toml:") >= 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "yesterday"], "--from"),
        (["--from", "2026-07-02", "--to", "2026-07-01"], "before --to"),
        (["--level", "pink"], "--level"),
        (["--lead-max", "soon"], "--lead-max"),
        (["--events", "/nowhere/truth.csv"], "--events"),
        (["--registry", "/nowhere.toml"], "/nowhere.toml"),
        (["--to", "1999-01-01"], "no value"),
    ],
)
async def test_what_cannot_be_done_is_said(
    settings: Settings, history: Path, words: list[str], said: str
) -> None:
    with pytest.raises(TongluoError, match=said):
        await run(settings, history, *words)


async def test_without_files_an_installation_is_needed(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="name a CSV or Parquet FILE"):
        await run(settings)


def test_a_file_takes_the_place_of_its_rule_whatever_it_is_called(tmp_path: Path) -> None:
    path = lower(tmp_path, 40.0)
    found = laid_over(load(None), path)
    assert "rainstorm.toml" not in found
    assert "orange = 40.0" in found["mine.toml"]
    assert found.keys() - {"mine.toml"} == load(None).keys() - {"rainstorm.toml"}


class _Closed(HTMLParser):
    """Every element that is opened is closed, in order."""

    _VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self._open, tag
        assert self._open.pop() == tag


async def test_a_creeping_slope_is_given_its_time_of_failure(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 1/v straight in time to the moment it fails; by thresholds that the registry gives."""
    county, fails = testing.county(1), START + timedelta(days=40)
    thresholds = {"velocity": {Level.YELLOW: 4.0, Level.RED: 30.0}}
    station = msgspec.structs.replace(
        county.stations["R-1"], metrics=("displacement",), thresholds=thresholds, interval_s=21600
    )
    slope = msgspec.structs.replace(county.sites["S-1"], kind=SiteKind.SLOPE)
    county = msgspec.structs.replace(county, sites={"S-1": slope}, stations={"R-1": station})
    (tmp_path / "county.toml").write_text(to_toml(county))
    moments = [START + timedelta(hours=6 * nth) for nth in range(159)]
    rows = [
        f"{time.isoformat()},R-1,displacement,{50 * math.log(40 / ((fails - time) / DAY)):.4f}\n"
        for time in moments
    ]
    (tmp_path / "creep.csv").write_text("time,station,metric,value\n" + "".join(rows))
    page = tmp_path / "report.html"
    words = (tmp_path / "creep.csv", "--registry", tmp_path / "county.toml")
    told = [one for one in await changes(capsys, settings, *words) if one["rule"] == "landslide"]
    assert [one["after"] for one in told] == ["yellow", "red"]
    for one in told:
        assert abs(datetime.fromisoformat(one["forecast"]["time"]) - fails) < timedelta(minutes=1)
    assert await run(settings, *words, "--report", page) == 0
    assert "Failure is forecast for 2026-08-10 08:00" in page.read_text()
