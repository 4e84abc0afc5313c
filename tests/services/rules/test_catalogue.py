import importlib.resources
from pathlib import Path

import pytest

from services.rules.catalogue import load, read
from tongluo.duration import parse
from tongluo.errors import RuleError
from tongluo.finding import Level

TEXT = (importlib.resources.files("services.rules.catalogue") / "rainstorm.toml").read_text("utf-8")


def test_the_catalogue_holds_the_published_levels() -> None:
    [rule] = load()
    assert [(c.level, c.window, c.reach_mm) for c in rule.criteria] == [
        (Level.BLUE, "12h", 50.0),
        (Level.YELLOW, "6h", 50.0),
        (Level.ORANGE, "3h", 50.0),
        (Level.RED, "3h", 100.0),
    ]
    assert list(rule.windows) == ["1h", "3h", "6h", "12h", "24h"]


def test_the_version_follows_what_the_rule_says() -> None:
    assert read(TEXT, "a").version == read(TEXT + "# a comment\n", "b").version
    assert read(TEXT, "a").version != read(TEXT.replace("50.0", "51.0", 1), "a").version


def test_every_fault_is_told_at_once() -> None:
    bad = (
        TEXT.replace('id = "rainstorm"', 'id = "Rain Storm"')
        .replace("ratio = 0.8", "ratio = 1.8")
        .replace('level = "red"', 'level = "purple"')
        .replace("[late]\n", "[later]\n")
    )
    with pytest.raises(RuleError) as told:
        read(bad, "rainstorm.toml")
    words = str(told.value)
    for part in ("rainstorm.toml", "id:", "release:", "criterion:", "'late' is missing", "'later'"):
        assert part in words


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('after = "1h"', 'after = "one hour"', "one hour"),
        ('window = "12h"', 'window = "9h"', "'9h' is not among windows.shown"),
        ('metric = "rain"', 'metric = "rian"', "rian"),
        ("reach_mm = 50.0", "reach_mm = -1.0", "reach_mm"),
    ],
)
def test_contradictions_are_found(old: str, new: str, words: str) -> None:
    with pytest.raises(RuleError, match=words):
        read(TEXT.replace(old, new), "r.toml")


def test_durations() -> None:
    assert [parse(words).total_seconds() for words in ("30s", "15m", "3h", "1d")] == [30, 900, 10_800, 86_400]
    for words in ("", "3", "h", "3 h", "-1h", "1.5h"):
        with pytest.raises(ValueError, match="duration"):
            parse(words)


def test_a_folder_is_checked_whole(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(TEXT)
    (tmp_path / "b.toml").write_text(TEXT.replace("reach_mm = 100.0", "reach_mm = inf"))
    (tmp_path / "c.toml").write_text(TEXT.replace("100.0", "110.0"))
    with pytest.raises(RuleError) as told:
        load(tmp_path)
    words = str(told.value)
    assert "b.toml: criterion red" in words
    assert "id 'rainstorm' is in two rule files" in words
    with pytest.raises(RuleError, match="cannot be read"):
        load(tmp_path / "none")
