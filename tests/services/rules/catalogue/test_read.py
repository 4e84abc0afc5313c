"""Reading a catalogue: what is well becomes rules; what is not is told, all at once, with file and line."""

import math
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rules.catalogue import load, read_catalogue
from services.rules.catalogue.model import Function, Soil, Where
from tests.services.rules.catalogue.files import (
    COMPOUND,
    HEAD,
    PARAMETERS,
    POND,
    RAIN,
    RELATIONS,
    THRESHOLDS,
    county,
    faults,
)
from tongluo.errors import RuleError
from tongluo.finding import Level, Side

FILES = {"rain.toml": RAIN, "pond.toml": POND, "both.toml": COMPOUND}


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.split("\n"), 1) if part in line)


def test_a_station_rule_is_read_whole() -> None:
    rule = read_catalogue({"rain.toml": RAIN}).station_rules[0]
    [item] = rule.items
    assert rule.late_allowed == timedelta(hours=1)
    assert [(one.name, one.function, one.span, one.unit) for one in item.indicators] == [
        ("rain_1h", Function.SUM, timedelta(hours=1), "mm"),
        ("rain_3h", Function.SUM, timedelta(hours=3), "mm"),
    ]
    assert item.indicators[1].words.zh == "3 小时雨量"
    assert [(line.indicator, line.level, line.reach) for line in item.lines if line.reach is not None] == [
        ("rain_1h", Level.RED, 60.0),
        ("rain_3h", Level.YELLOW, 50.0),
        ("rain_3h", Level.ORANGE, 75.0),
    ]
    assert len(item.lines) == 8  # every level of every indicator can be given by a table
    [by_soil] = [line.by_soil for line in item.lines if line.by_soil is not None]
    assert by_soil == {Soil.DRY: 40.0, Soil.NORMAL: 35.0, Soil.WET: 30.0}
    assert item.soil is not None
    assert item.soil.day_starts == timedelta(hours=8)


def test_a_compound_rule_is_read_whole() -> None:
    [rule] = read_catalogue(FILES).compound
    when = rule.lines[0].when
    assert when.least == len(when.of) == 2
    assert [(each.rule, each.where, each.relation) for each in when.of] == [  # type: ignore[union-attr]
        ("rain_rule", Where.HERE, ""),
        ("pond_rule", Where.RELATED, "upstream"),
    ]


def test_side_and_release_come_from_the_item_unless_the_indicator_says_otherwise() -> None:
    pond = POND.replace('side = "below"', 'side = "below"\nrelease_by = 0.2')
    lines = read_catalogue({"p.toml": pond}).station_rules[0].items[0].lines
    assert {(line.side, line.release_by) for line in lines} == {(Side.BELOW, 0.2)}
    own = pond.replace("orange = { of", "release_ratio = 1.5\norange = { of")
    lines = read_catalogue({"p.toml": own}).station_rules[0].items[0].lines
    assert {(line.release_ratio, line.release_by) for line in lines} == {(1.5, None)}


def test_versions_follow_what_is_said_not_how_it_is_written() -> None:
    plain = read_catalogue({"rain.toml": RAIN})
    swapped = RAIN.replace(
        "orange = { dry = 40.0, normal = 35.0, wet = 30.0 }, red = 60.0",
        "red = 60, orange = { wet = 30, normal = 35, dry = 40 }",
    )
    rewritten = read_catalogue({"other.toml": "# a comment\n" + swapped})
    assert rewritten.version == plain.version
    assert rewritten.station_rules[0].version == plain.station_rules[0].version
    changed = read_catalogue({"rain.toml": RAIN.replace("75.0", "76.0")})
    assert changed.version != plain.version
    assert changed.station_rules[0].version != plain.station_rules[0].version
    assert (
        read_catalogue(FILES).version
        == read_catalogue({"x.toml": COMPOUND, "y.toml": RAIN, "z.toml": POND}).version
    )


def test_the_order_of_rows_says_nothing() -> None:
    rows = [
        "rain_rule,S-1,,,rain_3h,,,,90",
        "rain_rule,S-1,,wet,rain_1h,,,28,",
        "rain_rule,S-2,,,rain_3h,,,,95",
    ]
    one, other = (
        read_catalogue({"rain.toml": RAIN, "thresholds.csv": THRESHOLDS + "\n".join(order)})
        for order in (rows, rows[::-1])
    )
    assert one.version == other.version != read_catalogue({"rain.toml": RAIN}).version
    assert one.station_rules[0].version == read_catalogue({"rain.toml": RAIN}).station_rules[0].version


def test_a_file_of_a_windows_editor_is_read_and_located() -> None:
    windows = "\ufeff" + RAIN.replace("\n", "\r\n")
    assert read_catalogue({"rain.toml": windows}).version == read_catalogue({"rain.toml": RAIN}).version
    [told] = faults({"rain.toml": windows.replace("k = 0.9", "k = 9")})
    assert told.startswith(f"rain.toml:{line_of(RAIN, 'k = 0.9')}: ")


def test_every_fault_of_all_files_is_told_at_once() -> None:
    rain = RAIN.replace('late = "1h"', 'latte = "1h"').replace("yellow = 50.0", "yellow = 80.0")
    pond = POND.replace('metric = "phreatic_depth"', 'metric = "phreatic_dept"')
    told = faults(
        {
            "a.toml": rain,
            "b.toml": pond,
            "c.toml": "id = [\n",
            "thresholds.csv": THRESHOLDS + "rain_rule,S-1,,,rain_9h,,,,90\n,S-1,,,rain_1h,,,,x\n",
        }
    )
    assert [words.rpartition(": ")[0] for words in told] == [
        f"a.toml:{line_of(rain, 'latte')}: latte",
        f"a.toml:{line_of(rain, 'yellow')}: item[1].levels.rain_3h.orange",
        f"b.toml:{line_of(pond, 'phreatic_dept')}: item[1].metric",
        "c.toml:2: not TOML",
        "thresholds.csv:2: indicator",
        "thresholds.csv:3: rule",
        "thresholds.csv:3: red",
    ]


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        ('id = "rain_rule"', 'id = "Rain Rule"', "id", "lower-case letters"),
        ("source", "sorce", "sorce", "is it source?"),
        ('source = "a test"\n', "", "source", "is missing"),
        ('metric = "rain"', 'metric = "rian"', "item[1].metric", "is it rain?"),
        ('late = "1h"', 'late = "one hour"', "late", "such as 30s, 15m, 3h or 1d"),
        ('late = "1h"', 'late = "900000d"', "late", "at most 366 days"),
        ('late = "1h"', 'votes = "most"', "votes", "one of highest, k_of_n, gb39496"),
        ('late = "1h"', 'votes = "k_of_n"', "votes", "needs how many stations"),
        ('late = "1h"', "k_of_n = { red = 2 }", "k_of_n", "counts only with"),
        ('late = "1h"', 'kind = "station"', "kind", "is it stations?"),
        ('rain_1h = { sum = "1h" }', 'rain_1h = { sum = "0s" }', "item[1].indicators.rain_1h.sum", "above 0"),
        ('rain_1h = { sum = "1h" }', "rain_1h = {}", "item[1].indicators.rain_1h", "exactly one of"),
        ('rain_1h = { sum = "1h" }', 'rain_1h = { sum = "1h", max = "1h" }', "item[1].indicators.rain_1h", "exactly"),
        ('rain_1h = { sum = "1h" }', 'rain_1h = { sum = "1h", angle = true }', "item[1].indicators.rain_1h.angle", "divide_by"),
        ('rain_1h = { sum = "1h" }', 'rain_1h = { sum = "1h", scale = 2 }', "item[1].indicators.rain_1h", "say the unit"),
        ('rain_1h = { sum = "1h" }', "rain_1h = { weights = { rain_4h = 1 } }", "item[1].indicators.rain_1h.weights.rain_4h", "rain_3h?"),
        ("rain_3h = { y", "rain_4h = { y", "item[1].levels.rain_4h", "is it rain_3h?"),
        ("orange = 75.0", "organe = 75.0", "item[1].levels.rain_3h.organe", "is it orange?"),
        ("orange = 75.0", "orange = nan", "item[1].levels.rain_3h.orange", "number"),
        ("orange = 75.0", "orange = 1e12", "item[1].levels.rain_3h.orange", "number"),
        ("orange = 75.0", "orange = true", "item[1].levels.rain_3h.orange", "must be a number"),
        ("orange = 75.0", "orange = 50.0", "item[1].levels.rain_3h.orange", "must be above yellow 50"),
        ("orange = 75.0", 'orange = { of = "orange", times = 2 }', "item[1].levels.rain_3h.orange.of", "another level"),
        ("orange = 75.0", 'orange = { of = "yellow", times = 0.5 }', "item[1].levels.rain_3h.orange", "must be above"),
        ("orange = 75.0", "orange = 75.0, release_ratio = 1.2", "item[1].levels.rain_3h.release_ratio", "safe side"),
        ("orange = 75.0", "orange = 75.0, release_ratio = 0.9, release_by = 1", "item[1].levels.rain_3h.release_by", "say one"),
        ("wet = 30.0", "wet = 36.0", "item[1].levels.rain_1h.orange", "the wetter the ground"),
        (", wet = 30.0", "", "item[1].levels.rain_1h.orange", "needs dry, normal and wet"),
        ("red = 60.0", "red = 39.0", "item[1].levels.rain_1h.red", "must be above orange 40"),
        ("[item.soil]\nk = 0.9\n", "", "item[1].levels.rain_1h.orange", "no [item.soil]"),
        ("k = 0.9", "k = 1.5", "item[1].soil.k", "at most 1"),
        ("k = 0.9", "wet_from = 0.2", "item[1].soil.wet_from", "above normal_from"),
        ("k = 0.9", 'day_starts = "25h"', "item[1].soil.day_starts", "less than a day"),
        ('metric = "rain"', 'metric = "rain"\nconfirm = { n = 4, m = 3 }', "item[1].confirm.n", "not be above m"),
        ('metric = "rain"', 'metric = "rain"\nforecast = true', "item[1].forecast", "displacement only"),
        ('zh = "规则"', 'zh = "规\\u0000则"', "name.zh", "cannot be shown"),
    ],
)  # fmt: skip
def test_a_wrong_entry_is_told_at_its_line(old: str, new: str, field: str, words: str) -> None:
    assert old in RAIN
    text = RAIN.replace(old, new)
    [told] = faults({"rain.toml": text})
    where, _, said = told.partition(f": {field}: ")
    assert words in said, told
    line = int(where.removeprefix("rain.toml:"))
    named = text.split("\n")[line - 1]
    assert line == 1 or field.rpartition(".")[2] in named or field.split(".")[-2] in named


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        ('rule = "rain_rule"', 'rule = "rain_ruel"', "line[1].when.all[1].rule", "is it rain_rule?"),
        ('rule = "rain_rule"', 'rule = "both"', "line[1].when.all[1].rule", "both → both"),
        ('level = "orange" }', 'level = "purple" }', "line[1].when.all[1].level", "one of blue, yellow"),
        ('level = "orange" }', 'level = "orange", count = 2 }', "line[1].when.all[1].count", "goes with"),
        ('related = "upstream"', 'related = "upstream", near_km = 3', "line[1].when.all[2].related", "say one of"),
        ("all = [", "least = 2\nall = [", "line[1].when.least", "go together"),
        ("all = [", "least = 3\nof = [", "line[1].when.least", "only 2 conditions"),
        ("all = [", 'rule = "rain_rule"\nlevel = "red"\nall = [', "line[1].when", "needs one condition"),
        ('kinds = ["slope"]', 'kinds = ["slop"]', "kinds[1]", "must be one of catchment, slope"),
        ('kinds = ["slope"]', "kinds = []", "kinds", "which sites"),
        ("kinds = [", 'sites = ["S-9"]\nkinds = [', "sites[1]", "site S-9 is not registered"),
        ('related = "upstream"', 'sites = ["S-9"]', "line[1].when.all[2].sites[1]", "is not registered"),
    ],
)  # fmt: skip
def test_a_wrong_compound_rule_is_told_at_its_line(old: str, new: str, field: str, words: str) -> None:
    assert old in COMPOUND
    text = COMPOUND.replace(old, new)
    [told] = faults({**FILES, "both.toml": text}, county())
    assert f": {field}: " in told
    assert words in told


def test_rules_that_listen_to_each_other_in_a_circle_are_told_where_they_do() -> None:
    second = COMPOUND.replace('"both"', '"other"').replace('"rain_rule"', '"both"')
    first = COMPOUND.replace('"rain_rule"', '"other"')
    told = faults({**FILES, "both.toml": first, "other.toml": second})
    assert [each.partition(":")[0] for each in told] == ["both.toml", "other.toml"]
    assert "both → other → both" in told[0]


def test_two_rules_share_neither_id_nor_hazard_unless_one_only_votes() -> None:
    again = RAIN.replace("rain_rule", "again")
    assert read_catalogue({"a.toml": RAIN, "b.toml": again})
    told = faults({"a.toml": RAIN, "b.toml": RAIN})
    assert [each.split(": ")[:2] for each in told] == [["b.toml:1", "id"], ["b.toml:2", "hazard"]]
    same_hazard = again.replace('hazard = "again"', 'hazard = "rain_rule"')
    assert len(faults({"a.toml": RAIN, "b.toml": same_hazard})) == 1
    assert read_catalogue({"a.toml": RAIN, "b.toml": "tell = false\n" + same_hazard})


def test_there_is_one_fire_and_one_silence_rule() -> None:
    fire = 'kind = "fire"\n' + HEAD.format(id="fire")
    silence = 'kind = "silence"\n' + HEAD.format(id="silence") + 'grave = ["fire"]\nalone = "none"\n'
    catalogue = read_catalogue({"f.toml": fire, "s.toml": silence})
    assert catalogue.silence is not None
    assert catalogue.silence.alone is None
    [told] = faults({"f.toml": fire, "g.toml": fire.replace('"fire"', '"fire2"').replace("fire2", "fire", 1)})
    assert "g.toml:1: kind: fire is in f.toml already" in told
    [told] = faults({"f.toml": fire + '[masks]\n"C-9" = [[1, 2]]\n'}, county())
    assert "f.toml:7: masks.C-9: camera C-9 is not registered" in told
    [told] = faults({"f.toml": fire + "weather_down = 30\n"})
    assert "weather_down" in told


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        ("rain_ruel,S-1,,,rain_3h,,,,90", "rule", "is it rain_rule?"),
        ("both,S-1,,,rain_3h,,,,90", "rule", "takes no thresholds"),
        ("rain_rule,S-1,,,rain_2h,,,,90", "indicator", "is it"),
        ("rain_rule,S-9,,,rain_3h,,,,90", "site", "is not registered"),
        ("rain_rule,,R-9,,rain_3h,,,,90", "station", "is not registered"),
        ("rain_rule,S-2,R-1,,rain_3h,,,,90", "site", "station R-1 is of S-1"),
        ("rain_rule,,,,rain_3h,,,,90", "site", "needs a site or a station"),
        ("rain_rule,S-1,,damp,rain_3h,,,,90", "soil", "unknown state"),
        ("pond_rule,S-1,,wet,phreatic_depth,,,,1.5", "soil", "no [item.soil]"),
        ("rain_rule,S-1,,,rain_3h,,,,ninety", "red", "is not a number"),
        ("rain_rule,S-1,,,rain_3h,,,,inf", "red", "finite"),
        ("rain_rule,S-1,,,rain_3h,,,,", "blue", "gives no threshold"),
        ("rain_rule,S-1,,,rain_3h,,,60,50", "red", "red 50 must be above orange 60"),
        ("rain_rule,S-1,,,rain_3h,,,,75", "red", "red 75 must be above orange 75"),
        ("rain_rule,S-1,,,rain_3h,,,,70", "red", "red 70 must be above orange 75"),
        ("rain_rule,S-1,,wet,rain_1h,,,,20", "red", "red 20 must be above orange 30"),
        ("pond_rule,S-1,,,phreatic_depth,,1.0,2.0,1.5", "orange", "orange 2 must be below yellow 1"),
    ],
)
def test_a_wrong_threshold_is_told_at_its_cell(row: str, column: str, words: str) -> None:
    [told] = faults({**FILES, "thresholds.csv": f"{THRESHOLDS}{row}\n"}, county())
    assert f"thresholds.csv:2: {column}: " in told
    assert words in told


def test_a_row_must_rise_over_what_lies_below_it() -> None:
    rows = "rain_rule,S-1,,,rain_3h,,,100,\nrain_rule,,R-1,,rain_3h,,,,90\n"
    [told] = faults({**FILES, "thresholds.csv": THRESHOLDS + rows}, county())
    assert "thresholds.csv:3: red: red 90 must be above orange 100" in told
    assert read_catalogue({**FILES, "thresholds.csv": THRESHOLDS + rows.replace("R-1", "C-1")}, county())


def test_a_row_is_not_told_what_another_has_wrong() -> None:
    rows = "rain_rule,S-1,,wet,rain_1h,,,,20\nrain_rule,S-1,,,rain_1h,5,,,\n"
    [told] = faults({**FILES, "thresholds.csv": THRESHOLDS + rows}, county())
    assert "thresholds.csv:2: red: " in told


def test_lists_are_bounded() -> None:
    [told] = faults({"rain.toml": RAIN.partition("[[item]]")[0] + "item = []\n"})
    assert "item: has 0 entries, not 1 to 50" in told
    items = "".join(
        f"[[item]]\nid = 'i{n}'\nmetric = 'rain'\nindicators = {{ r{n} = 'last' }}\n" for n in range(51)
    )
    [told] = faults({"rain.toml": RAIN.partition("[[item]]")[0] + items})
    assert "item: has 51 entries" in told


def test_rows_twice_are_told_with_the_first() -> None:
    rows = "rain_rule,S-1,R-1,,rain_3h,,,,90\n\nrain_rule,,R-1,,rain_3h,,60,,\n"
    [told] = faults({**FILES, "thresholds.csv": THRESHOLDS + rows})
    assert told == "thresholds.csv:4: says again what line 2 says"
    [told] = faults({**FILES, "parameters.csv": PARAMETERS + "S-1,,rate,1,\nS-1,,rate,2,\n"})
    assert "parameters.csv:3" in told
    [told] = faults({**FILES, "relations.csv": RELATIONS + "upstream,S-1,S-2\nupstream,S-1,S-2\n"})
    assert "relations.csv:3" in told


@pytest.mark.parametrize(
    ("file", "row", "column", "words"),
    [
        ("parameters.csv", "S-1,,rate,0,", "value", "must be above 0"),
        ("parameters.csv", "S-1,,rat,1,", "parameter", "is it rate?"),
        ("parameters.csv", "S-1,,rate,,", "value", "must not be empty"),
        ("parameters.csv", "S-9,,rate,1,", "site", "not registered"),
        ("relations.csv", "upstraem,S-1,S-2", "relation", "is it upstream?"),
        ("relations.csv", "upstream,S-1,S-1", "other", "another site"),
        ("relations.csv", "upstream,S-1,S-9", "other", "not registered"),
    ],
)
def test_a_wrong_row_is_told_at_its_cell(file: str, row: str, column: str, words: str) -> None:
    head = {"parameters.csv": PARAMETERS, "relations.csv": RELATIONS}[file]
    [told] = faults({**FILES, file: f"{head}{row}\n"}, county())
    assert f"{file}:2: {column}: " in told
    assert words in told


def test_tables_are_read_as_spreadsheets_write_them() -> None:
    text = "\ufeff" + (THRESHOLDS + "rain_rule,S-1,,,rain_3h,,,,90\n").replace(",", ";").replace("\n", "\r\n")
    [row] = read_catalogue({**FILES, "thresholds.csv": text}).thresholds["S-1"]
    assert row.reach == {Level.RED: 90.0}
    assert "column soil is missing" in faults({**FILES, "thresholds.csv": "rule,site,station,indicator\n"})[0]
    assert "is there twice" in faults({**FILES, "relations.csv": "relation,site,other,site\n"})[0]
    assert "is it site?" in faults({**FILES, "relations.csv": "relation,site,other,sites\n"})[0]
    assert "more than the header" in faults({**FILES, "relations.csv": RELATIONS + "a,b,c,d\n"})[0]
    assert "not CSV" in faults({**FILES, "relations.csv": RELATIONS + 'a,"b\n'})[0]


def test_files_are_bounded() -> None:
    assert "larger than 1 MiB" in faults({"a.toml": "#" * (1024 * 1024 + 1)})[0]
    many = {f"r{n}.toml": RAIN.replace("rain_rule", f"r{n}") for n in range(65)}
    assert "more than 64 files" in faults(many)[0]
    assert "no rule file" in faults({})[0]
    assert "is it thresholds.csv?" in faults({"r.toml": RAIN, "threshold.csv": ""})[0]
    assert "many parts" in faults({"a.toml": RAIN + ".".join("a" * 100_000) + " = 1"})[0]
    assert "not TOML" in faults({"a.toml": "a = " + "[" * 100_000})[0]


def test_a_file_that_cannot_be_read_hides_no_rule_of_others() -> None:
    [told] = faults({**FILES, "rain.toml": RAIN + "["})
    assert told.startswith(f"rain.toml:{RAIN.count(chr(10)) + 1}: not TOML")


def test_a_folder_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "rain.toml").write_text(RAIN, "utf-8")
    (tmp_path / "parameters.csv").write_bytes("site,station,parameter,value,备注\n".encode("gb18030"))
    (tmp_path / "README.md").write_text("not ours")
    texts = load(tmp_path)
    assert sorted(texts) == ["parameters.csv", "rain.toml"]
    assert read_catalogue(texts).version
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RuleError, match=r"b\.toml: is not UTF-8"):
        load(tmp_path)
    with pytest.raises(RuleError, match="cannot be read"):
        load(tmp_path / "none")


SHIPPED = load()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_is_done_to_a_file_only_faults_come_of_it(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SHIPPED)))
    lines = SHIPPED[name].split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        n = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "double", "value", "cut", "word"])):
            case "drop":
                lines.pop(n)
                lines = lines or [""]
            case "double":
                lines.insert(n, lines[n])
            case "value":
                key, equals, _ = lines[n].partition("=")
                values = [
                    "nan",
                    "-1",
                    '"x"',
                    "{}",
                    "[]",
                    "[[1,2]]",
                    "true",
                    "1e400",
                    '"9999999d"',
                    "{ of = 1 }",
                ]
                lines[n] = key + equals + data.draw(st.sampled_from(values))
            case "cut":
                lines[n] = lines[n][: data.draw(st.integers(0, len(lines[n])))]
            case "word":
                lines[n] = lines[n].replace(data.draw(st.sampled_from(["red", "rain", "0", '"', "="])), "z")
    try:
        read_catalogue({**SHIPPED, name: "\n".join(lines)})
    except RuleError as error:
        for fault in error.faults:
            assert fault.file == "" or 1 <= (fault.line or 0) <= len(lines) + 1 or fault.file != name


def test_nothing_is_read_that_is_not_a_number() -> None:
    for rule in read_catalogue(SHIPPED).station_rules:
        for item in rule.items:
            assert all(line.reach is None or math.isfinite(line.reach) for line in item.lines)
