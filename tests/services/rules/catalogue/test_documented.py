"""docs/rules.md says what the reader does: its examples can be read, and no key is left out."""

import re
from pathlib import Path

import msgspec
import pytest

from services.rules.catalogue import load, read_catalogue
from services.rules.catalogue.shape import (
    CompoundFile,
    ConfirmWritten,
    Event,
    FireFile,
    IndicatorWritten,
    ItemWritten,
    LevelsWritten,
    LevelWritten,
    SilenceFile,
    SoilWritten,
    StationFile,
    When,
)
from services.rules.catalogue.tables import COLUMNS, THRESHOLDS
from tests.services.rules.catalogue.files import HEAD

TEXT = (Path(__file__).parents[4] / "docs/rules.md").read_text("utf-8")
TYPES = (
    StationFile, ItemWritten, IndicatorWritten, Event, LevelsWritten, LevelWritten, ConfirmWritten, SoilWritten,
    CompoundFile, When, SilenceFile, FireFile,
)  # fmt: skip


def test_the_examples_can_be_read() -> None:
    rule, line = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert read_catalogue({"a.toml": rule}).rule("flash_flood")
    compound = 'kind = "compound"\nkinds = ["slope"]\n' + HEAD.format(id="mine") + line
    [csv] = re.findall(r"```csv\n(.*?)```", TEXT, re.DOTALL)
    found = read_catalogue({**load(), "mine.toml": compound, THRESHOLDS: csv})
    assert found.rule("mine")
    assert set(found.thresholds) == {"QT-SC-001", "QT-D-003"}


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.__name__)
def test_every_key_is_explained(type_: type[msgspec.Struct]) -> None:
    marked = " ".join(re.findall(r"`[^`\n]+`|\[[a-z_.]+\]|\*\*`[^*]+`\*\*", TEXT))
    assert set(type_.__struct_fields__) <= set(re.findall(r"[a-z][a-z0-9_]*", marked))


def test_every_shipped_rule_and_every_column_is_explained() -> None:
    assert {f"| `{rule.id}`" for rule in read_catalogue(load()).rules} <= set(
        re.findall(r"^\| `\w+`", TEXT, re.M)
    )
    for table, columns in COLUMNS.items():
        assert f"**{table}**: `{','.join(columns)}`" in TEXT
