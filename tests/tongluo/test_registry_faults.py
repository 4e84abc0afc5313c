"""Every fault of a registry file at once, with its file, its line and its mend, in both languages."""

import io
import zipfile

import pytest

from tongluo.registry import Fault, File, Proposal, propose
from tongluo.testing import county

DIVISIONS = """code,name,kind,parent
331121,青田县,county,
331121101,温溪镇,township,331121
331121101001,沙埠村,village,331121101
331121102,东源镇,township,331121
"""
GOOD = """[county]
code = "331121"
name = "青田县"
name_en = "Qingtian"

[[township]]
code = "331121101"
latitude = 28.2
longitude = 120.4
outline = [
  [28.1, 120.3], [28.3, 120.3],
  [28.3, 120.5],
]

[[gateway]]
id = "G-1"
name = "网关"

[[site]]
id = "S-1"
name = "小流域"
kind = "catchment"
division = "331121101"
latitude = 28.2
longitude = 120.4

[[station]]
id = "R-1"
name = "雨量站"
kind = "rain_gauge"
site = "S-1"
gateway = "G-1"
latitude = 28.2
longitude = 120.4
metrics = ["rain"]

[station.limits.rain]
lowest = 0.0
highest = 200.0

[station.thresholds.rain_3h]
blue = 30.0
yellow = 50.0

[[responder]]
id = "P-1"
name = "陈"
areas = ["331121101001"]
phone = "+8613800000000"
"""


def read(toml: str) -> Proposal:
    return propose(None, [File("county.toml", toml.encode()), File("divisions.csv", DIVISIONS.encode())])


def told(proposal: Proposal, *, warnings: bool = False) -> list[tuple[int | None, str, str]]:
    return [(f.line, f"{f.kind} {f.id}".strip(), f.field) for f in proposal.faults if f.warning == warnings]


def line_of(text: str, part: str, nth: int = 0) -> int:
    """The line on which `part` stands for the nth time."""
    return [number for number, line in enumerate(text.split("\n"), start=1) if part in line][nth]


def test_a_county_is_read_whole() -> None:
    proposal = read(GOOD)
    assert proposal.faults == []
    assert proposal.county is not None
    station = proposal.county.stations["R-1"]
    assert station.interval_s == 300
    assert station.limits["rain"].highest == 200.0
    township = proposal.county.township_of(proposal.county.sites["S-1"])
    assert township is not None
    assert township.name == "温溪镇"


def test_every_fault_is_told_at_once_with_its_line() -> None:
    bad = (
        GOOD.replace('name = "网关"', "name = 7")
        .replace('kind = "catchment"', 'kind = "lake"')
        .replace('division = "331121101"', 'division = "33112"')
        .replace('name = "雨量站"', 'name = "雨量站"\nlattitude = 3')
        .replace("highest = 200.0", 'highest = "much"\nhigher = 1')
        .replace("yellow = 50.0", "purple = 50.0")
        .replace('phone = "+8613800000000"', 'phone = "none"')
        + "\n[[pond]]\nid = 1\n"
    )
    proposal = read(bad)
    assert proposal.county is None
    assert set(told(proposal)) == {
        (line_of(bad, "name = 7"), "gateway G-1", "name"),
        (line_of(bad, "lake"), "site S-1", "kind"),
        (line_of(bad, '"33112"'), "site S-1", "division"),
        (line_of(bad, "lattitude"), "station R-1", "lattitude"),
        (line_of(bad, '"much"'), "station R-1", "limits.rain.highest"),
        (line_of(bad, "higher ="), "station R-1", "limits.rain.higher"),
        (line_of(bad, "purple"), "station R-1", "thresholds.rain_3h.purple"),
        (line_of(bad, "phone"), "responder P-1", "phone"),
        (line_of(bad, "[[pond]]"), "", ""),
    }
    assert all(
        fault.words.zh and fault.words.en and fault.words.zh != fault.words.en for fault in proposal.faults
    )
    assert "is it latitude?" in "".join(map(str, proposal.faults))


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        ('site = "S-1"', 'site = "S-9"', "site", "S-9 is not registered"),
        ('gateway = "G-1"', 'gateway = "G-9"', "gateway", "G-9 is not registered"),
        ('metrics = ["rain"]', 'metrics = ["rian"]', "metrics", "rian"),
        ("[station.limits.rain]", "[station.limits.rian]", "limits.rian", "unknown metric rian"),
        ("[station.thresholds.rain_3h]", "[station.thresholds.rian_3h]", "thresholds.rian_3h", "rian_3h"),
        ("lowest = 0.0", "lowest = 300.0", "limits.rain.lowest", "lowest 300 is not below highest 200"),
        ("yellow = 50.0", "yellow = 30.0", "thresholds.rain_3h.yellow", "yellow 30 must be above blue 30"),
        ('areas = ["331121101001"]', 'areas = ["331124"]', "areas", "331124 is not among the divisions"),
        ('division = "331121101"', 'division = "331121109"', "division", "331121109"),
        ("highest = 200.0", "highest = nan", "limits.rain.highest", "number"),
    ],
)
def test_what_makes_no_sense_is_refused(old: str, new: str, field: str, words: str) -> None:
    assert old in GOOD
    [fault] = [f for f in read(GOOD.replace(old, new)).faults if not f.warning]
    assert (fault.field, fault.line) == (field, line_of(GOOD.replace(old, new), new))
    assert words in fault.words.en


@pytest.mark.parametrize("name", ["velocity", "acceleration", "tangent_angle", "v0_ratio"])
def test_indicators_of_displacement_go_by_names_of_their_own(name: str) -> None:
    moving = GOOD.replace("rain_3h", name).replace('["rain"]', '["rain", "displacement"]')
    assert told(read(moving)) == []
    unmeasured = read(GOOD.replace("rain_3h", name))
    assert [fault.warning for fault in unmeasured.faults] == [True]


def test_a_dry_beach_warns_the_other_way_round() -> None:
    beach = GOOD.replace("rain_3h", "dry_beach").replace('["rain"]', '["rain", "dry_beach"]')
    assert told(read(beach)) == [(line_of(beach, "yellow"), "station R-1", "thresholds.dry_beach.yellow")]
    assert told(read(beach.replace("yellow = 50.0", "yellow = 20.0"))) == []


@pytest.mark.parametrize(
    ("latitude", "longitude", "fault", "warning"),
    [
        (120.4, 28.2, "swapped", ""),  # no latitude at all
        (28.2, 120.4, "", ""),
        (28.9, 120.4, "", "outside"),
        (0.0, 0.0, "", "outside"),
    ],
)
def test_coordinates_are_looked_at(latitude: float, longitude: float, fault: str, warning: str) -> None:
    head, _, tail = GOOD.rpartition("latitude = 28.2\nlongitude = 120.4")
    proposal = read(f"{head}latitude = {latitude}\nlongitude = {longitude}{tail}")
    words = {f.warning: f.words.en for f in proposal.faults}
    assert (fault in words[False]) if fault else (False not in words)
    assert (warning in words[True]) if warning else (True not in words)


def test_swapped_coordinates_are_named_west_of_ninety_degrees_too() -> None:
    west = GOOD.replace("120.", "85.").replace("28.", "43.")
    turned = west.replace("[43.1, 85.3], [43.3, 85.3]", "[43.1, 85.3], [43.4, 85.3]")
    head, _, tail = turned.rpartition("latitude = 43.2\nlongitude = 85.4")
    [fault] = read(f"{head}latitude = 85.4\nlongitude = 43.2{tail}").faults
    assert fault.words.en == "latitude 85.4 and longitude 43.2 look swapped"


def test_nobody_has_anothers_name_or_address() -> None:
    twice = GOOD + '\n[[gateway]]\nid = "G-1"\nname = "x"\n'
    [fault] = read(twice).faults
    assert fault.line == line_of(twice, "[[gateway]]", 1)
    assert fault.words.en == f"is there twice; first at county.toml:{line_of(twice, '[[gateway]]')}"
    station = GOOD[GOOD.index("[[station]]") : GOOD.index("[station.limits")]
    addressed = GOOD.replace('gateway = "G-1"\n', 'gateway = "G-1"\naddress = "0011223344"\n')
    for claimed in ("0011223344", "R-1"):
        other = station.replace('id = "R-1"', f'id = "R-2"\naddress = "{claimed}"')
        [fault] = read(f"{addressed}\n{other}").faults
        assert fault.words.en == f"address {claimed} is that of station R-1 behind the same gateway"
    elsewhere = station.replace('id = "R-1"', 'id = "R-2"\naddress = "0011223344"').replace("G-1", "G-2")
    assert read(f'{addressed}\n{elsewhere}\n[[gateway]]\nid = "G-2"\nname = "x"\n').faults == []


def test_a_station_in_another_township_than_its_site_is_a_warning() -> None:
    moved = GOOD.replace('metrics = ["rain"]', 'metrics = ["rain"]\ndivision = "331121102"')
    proposal = read(moved)
    assert told(proposal) == []
    assert told(proposal, warnings=True) == [(line_of(moved, '"331121102"'), "station R-1", "division")]


def test_lines_are_found_past_what_looks_like_a_table() -> None:
    text = GOOD.replace(
        'name_en = "Qingtian"',
        'name_en = "Qingtian"\nnote = """\\\n[[station]]\n  id = 3 # no comment"""\n# [[station]] "\'\n',
    )
    bad = text.replace('metrics = ["rain"]', 'metrics = ["rain"] # "\ninterval_s = 0')
    [fault] = [f for f in read(bad).faults if not f.warning]
    assert (fault.field, fault.line) == ("interval_s", line_of(bad, "interval_s"))


def test_lines_are_found_past_inline_tables() -> None:
    inline = (
        "limits = { rain = { lowest = 1.0, highest = 2.0 } }\nthresholds = { rain_1h = { blue = 3.0 } }\n"
    )
    head, _, tail = GOOD.partition("\n[station.limits.rain]")
    bad = f"{head}{inline}interval_s = 0\n{tail[tail.index('[[responder]]') :].replace('331121101001', '331129')}"
    assert told(read(bad)) == [
        (line_of(bad, "interval_s"), "station R-1", "interval_s"),
        (line_of(bad, "areas"), "responder P-1", "areas"),
    ]


def test_a_table_says_everything_of_its_entry() -> None:
    first = propose(county(), [File("stations.csv", b"id,interval_s,limits.rain.spike\nR-1,60,5\n")]).county
    assert first is not None
    table = GOOD[GOOD.index("[[station]]") : GOOD.index("[station.limits")]
    again = propose(first, [File("x.toml", table.encode())]).county
    assert again is not None
    assert again.stations["R-1"].interval_s == 300
    assert again.stations["R-1"].limits == {}


def test_broken_files_tell_their_line() -> None:
    for name, text, line in (
        ("a.toml", '[county]\nname = "x\n', 2),
        ("a.geojson", '{"type": "FeatureCollection",\n"features": [\n{"a" 1}]}', 3),
        ("stations.csv", 'id,name\nR-1,"x\n', 2),
    ):
        faults = propose(county(), [File(name, text.encode())]).faults
        assert [(f.file, f.line) for f in faults] == [(name, line)]


def test_geojson_tells_the_line_of_what_is_wrong() -> None:
    text = """{"type": "FeatureCollection", "features": [
  {"type": "Feature", "geometry": {"type": "Point", "coordinates": [120.4, 28.2]},
   "properties": {"type": "site", "id": "S-8", "name": "坡", "kind": "slope", "division": "331121101001"}},
  {"type": "Feature",
   "geometry": {"type": "Point", "coordinates": [28.2, 120.4]},
   "properties": {"id": "R-8", "name": "站", "kind": "rain_gauge", "site": "S-8", "gateway": "G-1",
                  "metrics": "rain;battery",
                  "interval_s": -3, "limits.rain.highest": 80}},
  {"type": "Feature", "geometry": {"type": "LineString", "coordinates": []},
   "properties": {"type": "site", "id": "S-9"}},
  {"type": "Feature", "geometry": null, "properties": {"name": "?"}}
]}"""
    assert told(propose(county(), [File("x.geojson", text.encode())])) == [
        (5, "station R-8", "latitude"),
        (8, "station R-8", "interval_s"),
        (9, "site S-9", "geometry"),
        (11, "", "type"),
    ]


def test_what_cannot_be_read_hides_nothing_else() -> None:
    """A row with a fault in one field is looked at in all its other fields too."""
    rows = ["id,gateway,latitude,interval_s,limits.rain.lowest,limits.rain.highest,metrics"]
    rows += ["R-1,G-9,x,0,9,3,rian;rain", "R-2,G-1,120.4,,,,"]
    faults = propose(county(), [File("stations.csv", "\n".join(rows).encode())]).faults
    assert {(f.line, f.field, f.warning) for f in faults} == {
        (2, "gateway", False),
        (2, "latitude", False),
        (2, "interval_s", False),
        (2, "limits.rain.lowest", False),
        (2, "metrics", False),
        (3, "latitude", False),
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_spreadsheet_is_read_as_it_was_saved(encoding: str, delimiter: str, end: str) -> None:
    header = ["编号", "名称", "类型", "隐患点", "网关", "纬度", "经度", "监测项", "thresholds.rain_3h.orange"]
    cells = ["R-9", "九都雨量站", "rain_gauge", "S-1", "G-1", "28.21", "120.41", '"rain;battery"', "60"]
    text = end.join([delimiter.join(header), delimiter.join(cells), delimiter * (len(header) - 1), ""])
    proposal = propose(county(), [File("导出.csv", text.encode(encoding))])
    assert proposal.faults == []
    assert proposal.county is not None
    station = proposal.county.stations["R-9"]
    assert (station.name, station.metrics, station.latitude) == ("九都雨量站", ("rain", "battery"), 28.21)
    assert [change.what for change in proposal.changes] == ["added"]


def test_columns_that_are_not_there_leave_what_is_registered() -> None:
    old = county()
    [change] = propose(old, [File("stations.csv", b"id,interval_s\nR-1,60\n")]).changes
    assert [(f.field, f.old, f.new) for f in change.fields] == [("interval_s", 300, 60)]
    first = propose(
        old, [File("stations.csv", b"id,limits.rain.highest,limits.rain.spike\nR-1,80,5\n")]
    ).county
    assert first is not None
    cleared = propose(first, [File("stations.csv", b"id,limits.rain.highest\nR-1,\n")]).county
    assert cleared is not None
    assert cleared.stations["R-1"].limits["rain"].highest is None
    assert cleared.stations["R-1"].limits["rain"].spike == 5.0
    gone = propose(cleared, [File("stations.csv", b"id,limits.rain.spike\nR-1,\n")]).county
    assert gone == old


def test_a_new_station_needs_all_its_columns() -> None:
    proposal = propose(county(), [File("stations.csv", b"id,interval_s\nR-1,60\nR-9,60\n")])
    assert {f.field for f in proposal.faults} == {
        "name", "kind", "site", "gateway", "latitude", "longitude", "metrics",
    }  # fmt: skip
    assert {(f.line, f.id) for f in proposal.faults} == {(3, "R-9")}


def test_a_quoted_line_break_does_not_shift_the_lines() -> None:
    text = 'id,name\nG-3,"a\nb"\nG-4,x y\nG 5,y\n'
    faults = propose(county(), [File("gateways.csv", text.encode())]).faults
    assert [(f.line, f.id) for f in faults] == [(2, "G-3"), (5, "G 5")]


def test_replacing_removes_what_is_not_named_but_nothing_that_is_needed() -> None:
    old = county()
    files = [File("gateways.csv", "id,name\nG-1,一号网关\n".encode())]
    assert propose(old, files).changes == []
    refused = propose(old, files, replace=True)
    assert refused.county is None or "R-3" not in refused.county.stations
    stations = (
        "id,name,kind,site,gateway,latitude,longitude,metrics\nR-1,x,rain_gauge,S-1,G-2,28.2,120.4,rain\n"
    )
    faults = propose(old, [*files, File("stations.csv", stations.encode())], replace=True).faults
    assert {(f.id, f.field) for f in faults} == {("R-1", "site"), ("R-1", "gateway")}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.toml", b"", "no entry"),
        ("x.csv", b"a,b\n1,2\n", "cannot tell what it lists"),
        ("x.csv", b"\xff\x80\xff", "neither UTF-8 nor GB18030"),
        ("x.csv", b"id,name\0\n", "NUL"),
        ("x.xlsx", zipped({"xl/workbook.xml": b""}), "Excel workbook"),
        ("x.zip", zipped({"a.csv": b"0" * 65 * 1024 * 1024}), "more than 64 MiB"),
        ("x.zip", zipped({f"{n}.csv": b"" for n in range(51)}), "more than 50 files"),
        ("x.zip", zipped({"a.csv": b"id,name\n"})[:-9], "archive cannot be read"),
        ("x.json", b"[" * 100_000, "not JSON"),
        ("x.toml", b"a = " + b"[" * 100_000, "not TOML"),
        ("x.csv", b"id,name\n" + b"G,x\n" * 100_001, "more than 100000 rows"),
        ("gateways.csv", b"id,name,id\nG-1,x,G-2\n", "column id is there twice"),
        ("gateways.csv", b"id,name\nG-1,x,y\n", "a cell more than the header"),
        ("stations.csv", b"id,limits,limits.rain.spike\nR-1,3,4\n", "contradicts"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_in_words(name: str, content: bytes, words: str) -> None:
    proposal = propose(county(), [File(name, content)])
    assert proposal.county is None
    assert any(words in fault.words.en for fault in proposal.faults), [str(f) for f in proposal.faults[:3]]
    assert len(proposal.faults) <= 1001


def test_terminal_codes_of_a_file_do_not_reach_the_terminal() -> None:
    [fault] = propose(county(), [File("gateways.csv", b"id,name\nG-1,\x1b[2Jx\n")]).faults
    assert str(fault).isprintable()


def test_a_fault_says_where() -> None:
    fault = Fault(
        words=read("[county").faults[0].words, file="a.csv", line=3, kind="site", id="S-1", field="kind"
    )
    assert str(fault).startswith("a.csv:3: site S-1: kind: not TOML")
