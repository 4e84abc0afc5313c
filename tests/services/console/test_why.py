"""Why an alert has its level: the sums are those that were judged, to the thousandth, and the line is where it was."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console.judgement import Sample, crossing, rolling_sums
from services.notify.desk import Desk
from tests.conftest import opened_log
from tests.services.console.rooms import Duty, duty
from tongluo import testing, wire
from tongluo.clock import EventClock
from tongluo.finding import Criterion, Evidence, Finding, Fix, Level, Measure, Side, Vote
from tongluo.hazards import Words
from tongluo.log.port import Entry
from tongluo.quality import Flag
from tongluo.reading import Reading
from tongluo.store import partitions
from tongluo.store.engine import open_store
from tongluo.store.readings import by_arrays
from tongluo.supervise import Supervisor
from tongluo.topics import FINDINGS

NOON = datetime(2026, 7, 1, 4, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WORDS = Words("词", "words")


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    async with open_store(dsn) as opened:
        yield opened


@pytest.fixture
async def here(engine: AsyncEngine) -> AsyncIterator[Duty]:
    async with duty(engine, EventClock(NOON + timedelta(hours=2))) as opened:
        yield opened


async def record(engine: AsyncEngine, readings: list[Reading]) -> None:
    async with engine.begin() as connection:
        await partitions.ensure(connection, engine, [reading.time for reading in readings])
        await by_arrays(connection, readings, NOON)


def rain(minute: int, mm: float, flags: int = 0) -> Reading:
    return Reading("R-1", "rain", NOON + minute * MINUTE, mm, "S-1", "G-1", flags)


async def find(dsn: str, engine: AsyncEngine, *findings: Finding) -> None:
    """Through the desk, as the rules' findings go."""
    async with opened_log(dsn) as log:
        supervisor = Supervisor()
        supervisor.add("desk", Desk(log, engine, testing.county).run)
        async with supervisor.running():
            await log.append(
                [Entry(FINDINGS, one.site, wire.FINDING.encode(one), one.time) for one in findings]
            )
            await supervisor.pulses["desk"].counted("findings", len(findings))


def found(minute: int, mm: float, level: Level | None, reach: float = 50.0, **given: Any) -> Finding:
    time = NOON + minute * MINUTE
    evidence = testing.evidence(time, mm, level, reach, **given)
    return Finding("rainstorm", "rainstorm", "S-1", time, level, evidence)


async def why(here: Duty, alert: str, **params: Any) -> dict[str, Any]:
    return dict((await here.api.get(f"/alerts/{alert}/why", params=params)).raise_for_status().json())


RAINSTORM = "rainstorm-S-1-20260701T040000Z"


async def test_rain_is_shown_with_the_sum_that_decided(dsn: str, here: Duty) -> None:
    engine = here.room.engine
    # Tenths do not add up in floating point: 31 of 1.7 are 52.7.
    steady = [rain(minute, 1.7) for minute in range(-150, 1, 5)]
    lies = [rain(-31, 80.0, int(Flag.RANGE))]
    before = [rain(-181, 9.9), rain(-180, 3.3), rain(-400, 5.0)]
    after = [rain(30, 0.0), rain(119, 4.0), rain(125, 6.0)]
    await record(engine, [*before, *steady, *lies, *after])
    await find(dsn, engine, found(0, 52.7, Level.ORANGE))
    seen = await why(here, RAINSTORM)
    assert (seen["alert"], seen["report"], seen["level"], seen["station"]) == (RAINSTORM, 1, "orange", "R-1")
    assert (seen["reach"], seen["release"], seen["side"]) == (50.0, 40.0, "above")
    assert seen["figure"]["zh"] == "3小时雨量 52.7 毫米"
    series, sums = seen["series"], seen["indicator"]
    assert (series["metric"], series["unit"], series["from"], series["to"], series["capped"]) == (
        "rain", "mm", (NOON - timedelta(hours=3)).isoformat(), (NOON + timedelta(hours=2)).isoformat(), False,
    )  # fmt: skip
    # What lies before the window is in its first sums and not in the drawing; what is to come is in neither.
    assert len(series["points"]) == len([*steady, *lies]) + 2
    assert [one["flags"] for one in series["points"] if one["quality"] != "good"] == [["range"]]
    by_time = {one["time"]: one["value"] for one in sums["points"]}
    assert len(by_time) == len(steady) + 2
    assert by_time[(NOON - 150 * MINUTE).isoformat()] == 14.9  # with 3.3 and 9.9 before the drawing
    assert by_time[NOON.isoformat()] == 52.7
    assert by_time[(NOON + 119 * MINUTE).isoformat()] == 26.1
    assert (sums["indicator"], sums["unit"], sums["window_s"], sums["agrees"]) == (
        "rain_3h",
        "mm",
        10_800.0,
        True,
    )
    assert seen["window"] == {"from": (NOON - timedelta(hours=3)).isoformat(), "to": NOON.isoformat()}
    # With what fell before, the 22nd makes 50.6 of it.
    assert seen["crossed"] == (NOON - 45 * MINUTE).isoformat()


async def test_sums_that_are_not_what_was_judged_say_so(dsn: str, here: Duty) -> None:
    await record(here.room.engine, [rain(0, 52.7), rain(-20, 0.001)])
    await find(dsn, here.room.engine, found(0, 52.7, Level.ORANGE))
    assert (await why(here, RAINSTORM))["indicator"]["agrees"] is False


async def test_the_last_judgement_with_a_level_is_shown_unless_another_is_asked_for(
    dsn: str, here: Duty
) -> None:
    await record(here.room.engine, [rain(0, 52.0), rain(20, 60.0), rain(300, 0.0)])
    courses = [found(0, 52.0, Level.ORANGE), found(20, 112.0, Level.RED, 100.0), found(90, 0.0, None)]
    await find(dsn, here.room.engine, *courses)
    seen = await why(here, RAINSTORM)
    assert (seen["report"], seen["level"], seen["reach"]) == (2, "red", 100.0)
    assert seen["crossed"] == (NOON + 20 * MINUTE).isoformat()
    # A cleared alert is drawn until it was cleared.
    assert seen["series"]["to"] == (NOON + 90 * MINUTE).isoformat()
    first = await why(here, RAINSTORM, report=1)
    assert (first["report"], first["level"], first["reach"]) == (1, "orange", 50.0)
    last = await why(here, RAINSTORM, report=3)
    assert (last["level"], last["reach"], last["indicator"], last["crossed"]) == (None, None, None, None)
    assert (await here.api.get(f"/alerts/{RAINSTORM}/why", params={"report": 4})).status_code == 404
    assert (await here.api.get("/alerts/none/why")).status_code == 404


async def test_a_value_that_is_low_is_its_own_line(dsn: str, here: Duty) -> None:
    engine = here.room.engine
    heights = [(-600, 60.0), (-120, 39.0), (-60, 41.0), (-10, 39.5), (0, 38.0), (60, 37.0)]
    await record(
        engine, [Reading("R-1", "dry_beach", NOON + m * MINUTE, value, "S-1", "G-1") for m, value in heights]
    )
    beach = Measure("dry_beach", Words("干滩长度", "dry beach"), 38.0, "m")
    line = Criterion(Level.RED, "dry_beach", 40.0, 48.0, Side.BELOW)
    evidence = Evidence(
        "tailings", "v", "R-1", NOON, WORDS, WORDS, metric="dry_beach", measures=(beach,), criterion=line
    )
    await find(dsn, engine, Finding("tailings", "tailings", "S-1", NOON, Level.RED, evidence))
    seen = await why(here, "tailings-S-1-20260701T040000Z")
    assert (seen["indicator"], seen["window"], seen["side"]) == (None, None, "below")
    assert [one["value"] for one in seen["series"]["points"]] == [value for _, value in heights]
    assert seen["crossed"] == (NOON - 10 * MINUTE).isoformat()


async def test_a_fire_shows_its_cameras_and_a_compound_rule_its_votes(dsn: str, here: Duty) -> None:
    fix = Fix(28.2, 120.4, 300.0, 80.0, 45.0, ("R-2", "gone"))
    votes = (Vote("S-2", Level.RED, doubtful=True), Vote("S-3", None))
    fire = Evidence("forest_fire", "v", "S-1", NOON, WORDS, WORDS, fix=fix)
    compound = Evidence("landslide_compound", "v", "S-2", NOON, WORDS, WORDS, votes=votes)
    await find(
        dsn,
        here.room.engine,
        Finding("forest_fire", "forest_fire", "S-1", NOON, Level.RED, fire),
        Finding("landslide_compound", "landslide_compound", "S-2", NOON, Level.RED, compound, drill=True),
    )
    seen = await why(here, "forest_fire-S-1-20260701T040000Z")
    assert (seen["series"], seen["indicator"], seen["crossed"]) == (None, None, None)
    assert seen["fix"]["major_m"] == 300.0
    assert [(one["id"], one["name"], one["latitude"]) for one in seen["cameras"]] == [
        ("R-2", "2号雨量站", pytest.approx(28.202)), ("gone", "gone", None),
    ]  # fmt: skip
    seen = await why(here, "drill-landslide_compound-S-2-20260701T040000Z")
    assert (seen["drill"], seen["cameras"]) == (True, [])
    assert seen["votes"] == list(msgspec.to_builtins(votes))


async def test_of_very_many_readings_the_first_are_shown(dsn: str, here: Duty) -> None:
    await record(
        here.room.engine,
        [
            Reading("R-1", "rain", NOON + timedelta(seconds=n), 0.0, "S-1", "G-1")
            for n in range(-17_000, 5000)
        ],
    )
    await find(dsn, here.room.engine, found(0, 0.0, Level.ORANGE))
    series = (await why(here, RAINSTORM))["series"]
    assert series["capped"]
    assert len(series["points"]) <= 20_000
    assert any(one["time"] == NOON.isoformat() for one in series["points"])


samples = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 10_000)), max_size=40, unique_by=lambda one: one[0]
)


@given(samples, st.integers(1, 200))
def test_a_rolling_sum_is_what_adding_up_gives(told: list[tuple[int, int]], minutes: int) -> None:
    told.sort()
    amounts: list[Sample] = [(NOON + minute * MINUTE, units / 1000) for minute, units in told]
    sums = rolling_sums(amounts, minutes * MINUTE)
    for time, total in sums:
        window = [mm for at, mm in amounts if time - minutes * MINUTE < at <= time]
        exact = sum(round(mm * 1000) for mm in window)
        assert Fraction(total).limit_denominator(1000) == Fraction(exact, 1000)


@given(samples, st.integers(0, 10), st.sampled_from(Side), st.integers(0, 500))
def test_a_crossing_is_a_step_over_the_line_and_the_last_one(
    told: list[tuple[int, int]], reach: int, side: Side, judged: int
) -> None:
    told.sort()
    curve: list[Sample] = [(NOON + minute * MINUTE, units / 1000) for minute, units in told]
    line = Criterion(Level.RED, "x", float(reach), float(reach), side)
    at = NOON + judged * MINUTE

    def beyond(value: float) -> bool:
        return value >= reach if side is Side.ABOVE else value <= reach

    seen = [(time, beyond(value)) for time, value in curve if time <= at]
    steps = [after[0] for before, after in pairwise(seen) if after[1] and not before[1]]
    assert crossing(curve, line, at) == (steps[-1] if steps else None)
