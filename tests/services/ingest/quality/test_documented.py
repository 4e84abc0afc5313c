"""docs/quality.md says what the code does."""

import re
from pathlib import Path

from services.ingest.quality.limits import DEFAULTS
from services.ingest.quality.steps import DRY_MM, LEAST_NEIGHBOURS, STEPS
from tongluo.quality import Flag, quality

PAGE = (Path(__file__).parents[4] / "docs" / "quality.md").read_text("utf-8")


def test_every_flag_has_its_row_and_grade() -> None:
    rows = re.findall(r"^\| `([A-Z]+)` \| (\d+) \|.*\| (\w+) \|$", PAGE, re.MULTILINE)
    assert [(name, int(bit), grade) for name, bit, grade in rows] == [
        (flag.name, flag.value, quality(flag).value) for flag in Flag
    ]
    assert len(STEPS) == len(Flag)


def test_every_default_is_told() -> None:
    table = PAGE.partition("| metric |")[2]
    for metric, limits in DEFAULTS.items():
        short = metric.removeprefix("displacement") if metric.startswith("displacement_") else metric
        [row] = [
            line for line in table.splitlines() if f"`{short}`" in line.partition("|")[2].partition("|")[0]
        ]
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[2] == _shown(limits.per_minute), metric
        assert cells[3] == _shown(limits.spike), metric
    assert f"{LEAST_NEIGHBOURS} gauges" in PAGE.replace("three gauges", "3 gauges")
    assert f"{DRY_MM:g} mm" in PAGE


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
