"""`tongluo rules`: what it prints and its exit codes."""

import json
from pathlib import Path

import pytest

from services import rules_command
from services.__main__ import parser
from services.rules.catalogue import load
from services.settings import Settings
from tests.services.rules.catalogue.files import RAIN, THRESHOLDS
from tongluo.errors import MissingPartError, RuleError, SettingsError

QINGTIAN = Path(__file__).parents[2] / "sensors/simulator/profiles/qingtian"


async def run(tmp_path: Path, *words: object, **given: object) -> int:
    settings = Settings(data=tmp_path / "none", **given)  # type: ignore[arg-type]
    return await rules_command.run(parser().parse_args(["rules", *map(str, words)]), settings)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped catalogue."""
    found = tmp_path / "rules"
    found.mkdir()
    for name, text in load().items():
        (found / name).write_text(text, "utf-8")
    return found


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text("utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), "utf-8")


async def test_check_is_content_with_what_is_shipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(tmp_path, "check") == 0
    printed = capsys.readouterr().out
    assert "no fault: 9 rules" in printed
    assert "no county is known" in printed


async def test_check_prints_every_fault_with_its_line_in_both_languages(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(folder, "rainstorm.toml", 'metric = "rain"', 'metric = "rian"')
    edit(folder, "silence.toml", '"landslide",', '"landslid",')
    (folder / "thresholds.csv").write_text(THRESHOLDS + "tailings,QT-TP-999,,,dry_beach,,,,40\n", "utf-8")
    assert await run(tmp_path, "check", folder, county=QINGTIAN) == 1
    printed = capsys.readouterr().out
    assert "rainstorm.toml:13: item[1].metric: unknown metric; is it rain? · " in printed
    assert (
        "silence.toml:11: grave[4]: there is no rule landslid; is it landslide? · 没有规则 landslid"
        in printed
    )
    assert "thresholds.csv:2: site: site QT-TP-999 is not registered" in printed
    assert "3 to mend" in printed


async def test_check_notes_what_is_not_watched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(tmp_path, "check", "shipped", county=QINGTIAN) == 0
    assert "without parameter dam_height_m, phreatic_depth is not judged" in capsys.readouterr().out


async def test_show_lists_rules_and_shows_what_holds_at_stations(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(tmp_path, "show") == 0
    assert "landslide_compound" in capsys.readouterr().out
    (folder / "thresholds.csv").write_text(THRESHOLDS + "flash_flood,QT-SC-002,,wet,rain_1h,,,55,\n", "utf-8")
    assert await run(tmp_path, "show", "flash_flood", county=QINGTIAN, rules=folder) == 0
    printed = capsys.readouterr().out
    assert "60/60/55" in printed
    assert await run(tmp_path, "show", "forest_fire") == 0
    assert "overlap_deg" in capsys.readouterr().out
    with pytest.raises(SettingsError, match="there is no rule rain"):
        await run(tmp_path, "show", "rain")


async def test_diff_says_it_in_sentences_and_as_json(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(tmp_path, "diff", "shipped", folder) == 0
    assert "no difference" in capsys.readouterr().out
    edit(folder, "rainstorm.toml", "red = 100.0", "red = 110.0")
    (folder / "mine.toml").write_text(RAIN, "utf-8")
    assert await run(tmp_path, "diff", "shipped", folder) == 0
    printed = capsys.readouterr().out
    assert "~ rainstorm: rain.rain_3h.red changed from 100 to 110 · rainstorm：" in printed
    assert "+ rule rain_rule added" in printed
    assert await run(tmp_path, "diff", "shipped", folder, "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(each["what"], each["of"]) for each in told} == {("added", "rain_rule"), ("changed", "rainstorm")}
    edit(folder, "rainstorm.toml", "red = 110.0", "red = 10.0")
    assert await run(tmp_path, "diff", "shipped", folder) == 1
    assert "rainstorm.toml:29: " in capsys.readouterr().out


async def test_the_schema_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(tmp_path, "schema") == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["title"] == "Tongluo rule file"
    assert await run(tmp_path, "schema", "--out", tmp_path / "s.json") == 0
    assert (tmp_path / "s.json").read_text("utf-8") == printed
    with pytest.raises(MissingPartError, match="choose another place"):
        await run(tmp_path, "schema", "--out", tmp_path / "none" / "s.json")


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(tmp_path, "check", tmp_path / "nowhere") == 1
    assert "cannot be read" in capsys.readouterr().out
    with pytest.raises(RuleError):
        await run(tmp_path, "show", rules=tmp_path / "nowhere")
