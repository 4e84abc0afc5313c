"""What the benchmarks put on the program, and how they would notice that some of it was lost."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks import handover
from benchmarks.backlog import entries, reading, readings_between
from benchmarks.county import write_county
from benchmarks.load import EVERY, Plan, messages
from services.ingest import pipeline
from services.ingest.intake import Intake
from services.ingest.mqtt import Message
from services.rules.catalogue import load, read_catalogue
from services.rules.stations.judge import StationJudge
from tests.backends import Backend
from tongluo import wire
from tongluo.clock import EventClock
from tongluo.county_folder import read_folder
from tongluo.reading import Reading
from tongluo.readings import gathered
from tongluo.topics import READINGS

START = datetime(2026, 7, 1, tzinfo=UTC)


def taken(plan: Plan, folder: Path) -> list[Reading]:
    """What ingest makes of a plan's messages."""
    write_county(folder / "county", plan.stations)
    county = read_folder(folder / "county")
    intake = Intake(lambda: county, EventClock(START), pipeline.Limits(None, None), None, "test")
    entries = intake.take([Message(topic, payload, START) for topic, payload in messages(plan)]).entries
    assert {entry.topic for entry in entries} == {READINGS}
    return [reading for entry in entries for reading in wire.READINGS.decode(entry.value).each()]


def faults(plan: Plan, readings: list[Reading]) -> list[str]:
    found: list[str] = []
    for name in plan.named():
        values = [reading.value for reading in readings if reading.station == name]
        found += plan.differs(name, len(values), sum(values))
    return found


@pytest.mark.parametrize("per_message", [1, 20])
def test_a_plan_is_taken_whole_and_each_loss_is_noticed(tmp_path: Path, per_message: int) -> None:
    plan = Plan("", 0, 45, 7, START, per_message)
    readings = taken(plan, tmp_path)
    assert len(readings) == plan.readings == 315
    assert faults(plan, readings) == []
    assert len(faults(plan, readings[1:])) == 1
    assert len(faults(plan, [*readings, readings[0]])) == 1


def test_no_gauge_speaks_twice_for_one_moment_and_plans_follow_each_other(tmp_path: Path) -> None:
    plan = Plan("", 0, 45, 7, START, 20)
    readings = taken(plan, tmp_path)
    assert len({(reading.station, reading.time) for reading in readings}) == len(readings)
    assert max(reading.time for reading in readings) + EVERY == plan.ends


def test_the_state_handed_over_is_what_judging_makes() -> None:
    catalogue = read_catalogue(load())
    written = StationJudge.unpack(handover.state([4, 5, 6]), catalogue, None)
    judge = StationJudge(catalogue, None)
    for step in range(handover.STEPS):
        for number in (4, 5, 6):
            judge.judge(gathered([reading(number, START, step)]))
    assert written.pack() == judge.pack()


@pytest.mark.parametrize("stations", [45, 200])
async def test_a_backlog_is_batched_and_counted_in_readings(backend: Backend, stations: int) -> None:
    async with backend.open() as log:
        before = await log.ends(READINGS)
        backlog = list(entries(stations, 31, START))
        assert len(backlog) < stations * 31 / 5
        await log.append(backlog)
        half = {partition: (end + 1) // 2 for partition, end in (await log.ends(READINGS)).items()}
        first = await readings_between(log, before, half)
        assert first + await readings_between(log, half, await log.ends(READINGS)) == stations * 31
        assert 0 < first < stations * 31
