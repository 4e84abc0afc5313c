"""What the duty room asks: the store's readings judged by two sets of rules, in a process of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.__main__ import parser
from services.console.replays import ReplayWish
from services.rules.catalogue import load
from services.rules_command.replay import replay
from services.rules_command.skill import ReplayFailed, skill_report
from services.settings import read_settings
from tests.conftest import until
from tongluo import testing
from tongluo.reading import Reading
from tongluo.store.engine import open_store
from tongluo.store.partitions import ensure
from tongluo.store.readings import by_copy

START = datetime(2026, 7, 1, tzinfo=UTC)
RULES = {"rainstorm.toml": load(None)["rainstorm.toml"]}
LOWER = {"rainstorm.toml": RULES["rainstorm.toml"].replace("orange = 50.0", "orange = 40.0")}
TRUTH = "time,site\n2026-07-01T14:00:00Z,S-1\n2026-07-01T14:00:00Z,S-2\n"
COUNTY = testing.county()


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    """A store with a storm of 60 mm at R-1 and one of 48 mm at R-2."""
    readings = [
        Reading(station, "rain", START + timedelta(hours=hour), peak if 10 <= hour < 13 else 0.0, site, "G-1")
        for hour in range(48)
        for station, site, peak in (("R-1", "S-1", 20.0), ("R-2", "S-2", 16.0))
    ]
    async with open_store(dsn) as opened:
        async with opened.begin() as connection:
            await ensure(connection, opened, [one.time for one in readings])
            await by_copy(connection, readings, START)
        yield opened


def wish(progress: list[float], **given: object) -> ReplayWish:
    made = {
        "files": LOWER,
        "in_force": RULES,
        "begin": START,
        "end": START + timedelta(days=3),
        "events_csv": TRUTH,
        "who": "officer",
        "progress": progress.append,
    }
    return ReplayWish(**{**made, **given})  # type: ignore[arg-type]


async def test_a_report_says_what_both_sets_of_rules_would_have_done(engine: AsyncEngine) -> None:
    progress: list[float] = []
    report = await skill_report(wish(progress), engine, COUNTY, "Asia/Shanghai")
    said = report.json
    assert said["readings"] == 96
    assert (said["old"]["alerts"], said["new"]["alerts"]) == (1, 2)
    assert (said["old"]["skill"]["hits"], said["new"]["skill"]["hits"]) == (1, 2)
    assert said["new"]["skill"]["leads_s"] == [7200.0, 10800.0]
    assert [(one["site"], one["old"] is None, one["hit"]) for one in said["alerts"]] == [
        ("S-1", False, True),
        ("S-2", True, True),
    ]
    assert report.html.startswith("<!doctype html>")
    assert progress[-1] == pytest.approx(1.0)
    assert progress == sorted(progress)
    again = await skill_report(wish([]), engine, COUNTY, "Asia/Shanghai")
    assert msgspec.json.encode(again.json) == msgspec.json.encode(said)
    assert again.html == report.html


async def test_the_command_judges_the_store_as_it_would_a_file(
    engine: AsyncEngine, dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = read_settings(None, data=tmp_path, store=dsn)
    assert await replay(parser().parse_args(["rules", "replay", "--json"]), given) == 0
    stored = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    file = tmp_path / "history.csv"
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT time, station, metric, value, flags FROM reading"))
        lines = [
            ",".join([row.time.isoformat(), row.station, row.metric, str(row.value), str(row.flags)])
            for row in rows
        ]
    write(file, lines)
    assert await replay(parser().parse_args(["rules", "replay", "--json", str(file)]), given) == 0
    assert stored
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == stored


def write(file: Path, lines: list[str]) -> None:
    file.write_text("time,station,metric,value,flags\n" + "\n".join(lines) + "\n")


async def test_what_cannot_be_judged_is_said_in_words(engine: AsyncEngine) -> None:
    with pytest.raises(ReplayFailed, match="no reading of that time"):
        await skill_report(
            wish([], begin=START - timedelta(days=3000), end=START - timedelta(days=2999)),
            engine,
            COUNTY,
            "UTC",
        )
    with pytest.raises(ReplayFailed, match="events:2"):
        await skill_report(wish([], events_csv="time,site\nsoon,S-1\n"), engine, COUNTY, "UTC")


async def test_whoever_cancels_leaves_no_process_behind(engine: AsyncEngine) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    task = asyncio.ensure_future(skill_report(wish([]), engine, COUNTY, "UTC"))

    def workers() -> list[int]:
        return [c.pid for c in psutil.Process().children(recursive=True) if c.pid not in before]

    await until(lambda: bool(workers()))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert workers() == []
