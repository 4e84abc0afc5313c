"""Differences between catalogues, and what a catalogue leaves unwatched."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.catalogue import read_catalogue
from services.rules.catalogue.diff import What, changes, span_words
from services.rules.catalogue.gaps import gaps
from tests.services.rules.catalogue.files import (
    COMPOUND,
    PARAMETERS,
    POND,
    RAIN,
    RELATIONS,
    THRESHOLDS,
    county,
)
from tongluo import duration
from tongluo.finding import Level
from tongluo.region import County

FILES = {"rain.toml": RAIN, "pond.toml": POND, "both.toml": COMPOUND}


def between(old: dict[str, str], new: dict[str, str]) -> list[tuple[str, str, str, str, str]]:
    found = changes(read_catalogue(old), read_catalogue(new))
    assert all(change.words.zh and change.words.en for change in found)
    return [(change.what.value, change.of, change.path, change.old, change.new) for change in found]


def changed(old: str, new: str, file: str = "rain.toml") -> list[tuple[str, str, str, str, str]]:
    assert old in FILES[file]
    return between(FILES, {**FILES, file: FILES[file].replace(old, new)})


def test_what_says_the_same_does_not_differ() -> None:
    assert between(FILES, FILES) == []
    assert changed("source", "# a comment\nsource") == []


@pytest.mark.parametrize(
    ("old", "new", "path", "was", "is_"),
    [
        ("orange = 75.0", "orange = 80", "rain.rain_3h.orange", "75", "80"),
        (
            "wet = 30.0",
            "wet = 29.5",
            "rain.rain_1h.orange",
            "dry 40/normal 35/wet 30",
            "dry 40/normal 35/wet 29.5",
        ),
        ('late = "1h"', 'late = "90m"', "late_allowed", "1h", "90m"),
        ('sum = "3h"', 'sum = "4h"', "rain.rain_3h.span", "3h", "4h"),
        ("k = 0.9", "k = 0.85", "rain.soil.k", "0.9", "0.85"),
    ],
)
def test_a_change_is_said_once_from_and_to(old: str, new: str, path: str, was: str, is_: str) -> None:
    found = [each for each in changed(old, new) if "words" not in each[2]]
    assert found == [("changed", "rain_rule", path, was, is_)]


def test_a_release_that_changed_is_said_once_for_each_indicator() -> None:
    found = changed('metric = "rain"', 'metric = "rain"\nrelease_ratio = 0.7')
    assert found == [
        ("changed", "rain_rule", f"rain.{name}.release", "x 0.8", "x 0.7") for name in ("rain_1h", "rain_3h")
    ]


def test_added_and_removed_are_said() -> None:
    assert changed(", red = 60.0", "") == [("removed", "rain_rule", "rain.rain_1h.red", "60", "")]
    assert changed("orange = 75.0", "orange = 75.0, red = 99") == [
        ("added", "rain_rule", "rain.rain_3h.red", "", "99")
    ]
    other = {**FILES, "more.toml": RAIN.replace("rain_rule", "more")}
    assert between(FILES, other) == [("added", "more", "", "", "")]
    assert between(other, FILES) == [("removed", "more", "", "", "")]


def test_tables_are_compared_cell_by_cell() -> None:
    old = {
        **FILES,
        "thresholds.csv": THRESHOLDS + "rain_rule,S-1,,,rain_3h,,,80,90\n",
        "relations.csv": RELATIONS + "upstream,S-1,S-2\n",
    }
    new = {
        **FILES,
        "thresholds.csv": THRESHOLDS + "rain_rule,S-1,,,rain_3h,,,80,95\n",
        "parameters.csv": PARAMETERS + "S-1,,rate,2,x\n",
    }
    assert between(old, new) == [
        ("changed", "thresholds.csv", "rain_rule S-1 rain_3h red", "90", "95"),
        ("added", "parameters.csv", "S-1 rate", "", "2"),
        ("removed", "relations.csv", "upstream S-1 S-2", "yes", ""),
    ]


def test_a_sentence_says_it_in_both_languages() -> None:
    [change] = changes(
        read_catalogue(FILES), read_catalogue({**FILES, "rain.toml": RAIN.replace("75.0", "80.0")})
    )
    assert change.what is What.CHANGED
    assert change.words.en == "rain_rule: rain.rain_3h.orange changed from 75 to 80"
    assert change.words.zh == "rain_rule：rain.rain_3h.orange 由 75 改为 80"


@given(st.integers(0, 999_999))
def test_a_duration_reads_back(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert duration.parse(span_words(span)) == span


def told(files: dict[str, str], of: County) -> list[tuple[str, str]]:
    return [(gap.station, gap.words.en) for gap in gaps(read_catalogue(files, of), of)]


def with_station(**more: object) -> County:
    """The county of the tests, its gauge R-1 changed."""
    import msgspec

    found = county()
    station = msgspec.structs.replace(found.stations["R-1"], **more)
    return msgspec.structs.replace(found, stations={"R-1": station})


def test_a_station_that_is_not_watched_is_told() -> None:
    assert told(FILES, county()) == []
    pond = with_station(metrics=("phreatic_depth",))
    assert told(FILES, pond) == [
        ("R-1", "rule pond_rule: without parameter dam_height_m, phreatic_depth is not judged"),
        ("R-1", "no threshold for phreatic_depth"),
    ]
    assert told({**FILES, "parameters.csv": PARAMETERS + "S-1,,dam_height_m,50,\n"}, pond) == []
    given_ = with_station(metrics=("phreatic_depth",), thresholds={"phreatic_depth": {Level.RED: 3.0}})
    assert ("R-1", "no threshold for phreatic_depth") not in told(FILES, given_)


def test_a_registered_threshold_no_rule_takes_is_told() -> None:
    found = told(FILES, with_station(thresholds={"rain_9h": {Level.RED: 3.0}}))
    assert found == [("R-1", "no rule takes its registered threshold rain_9h")]


def test_a_rule_of_other_kinds_of_sites_watches_nothing_here() -> None:
    elsewhere = RAIN.replace('late = "1h"', 'kinds = ["tailings_pond"]')
    assert told({"rain.toml": elsewhere}, with_station()) == [("R-1", "no threshold for rain")]
