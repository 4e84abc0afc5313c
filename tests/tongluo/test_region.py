import pytest

from tongluo.errors import CountyError
from tongluo.region import read_county

DIVISIONS = "code,name,kind,parent\n331121,青田县,county,\n331121101,温溪镇,township,331121\n"
GOOD = """
[county]
code = "331121"
name = "青田县"
name_en = "Qingtian"

[[township]]
code = "331121101"
latitude = 28.2
longitude = 120.4

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
"""


def test_a_county_is_read_whole() -> None:
    county = read_county(GOOD, DIVISIONS)
    assert county.stations["R-1"].interval_s == 300
    township = county.township_of(county.sites["S-1"])
    assert township is not None
    assert township.name == "温溪镇"


def test_every_fault_is_told_at_once() -> None:
    bad = (
        GOOD.replace('site = "S-1"', 'site = "S-9"')
        .replace('gateway = "G-1"', 'gateway = "G-9"')
        .replace("latitude = 28.2\nlongitude = 120.4\nmetrics", "latitude = 98.2\nlongitude = 120.4\nmetrics")
        .replace('kind = "catchment"', 'kind = "lake"')
        + "[[pond]]\nid = 1\n"
    )
    with pytest.raises(CountyError) as told:
        read_county(bad, DIVISIONS)
    words = str(told.value)
    for part in (
        "site S-1",
        "lake",
        "station R-1",
        "98.2" if "98.2" in words else "90",
        "unknown table [pond]",
    ):
        assert part in words


def test_dangling_references_name_both_ends() -> None:
    bad = GOOD.replace('site = "S-1"', 'site = "S-9"').replace('metrics = ["rain"]', 'metrics = ["rian"]')
    with pytest.raises(CountyError) as told:
        read_county(bad, DIVISIONS)
    assert any("R-1" in fault and "S-9" in fault for fault in told.value.faults)
    assert any("rian" in fault and "rain" in fault for fault in told.value.faults)


def test_a_name_twice_is_a_fault() -> None:
    with pytest.raises(CountyError, match="G-1 is there twice"):
        read_county(GOOD + '[[gateway]]\nid = "G-1"\nname = "x"\n', DIVISIONS)


def test_broken_toml_is_one_fault() -> None:
    with pytest.raises(CountyError, match="not TOML"):
        read_county("[county", DIVISIONS)
