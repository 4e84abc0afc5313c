"""A restart goes on where the last run ended."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sensors.simulator.memory import Memory
from sensors.simulator.run import Plan, weather
from sensors.simulator.scenarios import Calm, ScenarioName
from sensors.simulator.storm import Storm
from tests.sensors.rainbook import told
from tongluo.errors import SettingsError
from tongluo.region import County

T0 = datetime(2026, 7, 1, 2, 3, 17, tzinfo=UTC)


def test_the_newest_time_and_number_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    Memory(path).note_sent("QT-GW-101", T0, 7)
    mark = Memory(path).mark("QT-GW-101")
    assert mark is not None
    assert (mark.newest, mark.seq) == (T0, 7)
    assert [entry.name for entry in tmp_path.iterdir()] == ["memory.json"]


def test_only_the_gap_is_told_after_a_short_break_and_all_of_it_dry(tmp_path: Path, qingtian: County) -> None:
    memory = Memory(tmp_path / "memory.json")
    memory.note_storm(T0 - timedelta(hours=2))
    memory.note_sent("QT-GW-201", T0 - timedelta(hours=1), 7)
    after = memory.record_after("QT-GW-201", T0)
    assert after == T0 - timedelta(hours=1)
    chosen = weather(Plan(qingtian, "127.0.0.1", 1), T0, memory)
    assert isinstance(chosen, Storm)
    assert not any(s.value for s in told(qingtian, chosen, T0, after=after, live_s=0) if s.metric == "rain")


def test_after_a_break_of_hours_the_whole_story_is_told_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "memory.json")
    assert memory.fresh(T0)
    memory.note_sent("QT-GW-201", T0 - timedelta(hours=7), 7)
    assert memory.fresh(T0)
    memory.note_sent("QT-GW-201", T0 - timedelta(hours=5), 8)
    assert not memory.fresh(T0)


def test_when_every_part_has_had_its_storm_it_stays_dry_until_the_first_is_over(qingtian: County) -> None:
    memory, plan = Memory(), Plan(qingtian, "127.0.0.1", 1)
    kinds = [type(weather(plan, T0 + timedelta(minutes=10 * run), memory)) for run in range(4)]
    assert kinds == [Storm, Storm, Storm, Calm]
    assert isinstance(weather(plan, T0 + timedelta(hours=3, minutes=1), memory), Storm)


def test_calm_is_calm_and_no_storm_is_noted(qingtian: County) -> None:
    memory = Memory()
    assert isinstance(weather(Plan(qingtian, "h", 1, ScenarioName.CALM), T0, memory), Calm)
    assert memory.runs == 0


@pytest.mark.parametrize("content", ["", "[]", '{"gateways": 3}'])
def test_a_file_that_is_not_a_memory_is_refused_with_the_mend(tmp_path: Path, content: str) -> None:
    path = tmp_path / "memory.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match="delete the file to begin anew"):
        Memory(path)


def test_a_place_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can be written"):
        Memory(tmp_path / "no such folder" / "memory.json")
