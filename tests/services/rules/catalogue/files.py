"""Texts of catalogues for the tests."""

import pytest

from services.rules.catalogue import read_catalogue
from tongluo.errors import RuleError
from tongluo.region import County, Site, SiteKind, Station, StationKind

HEAD = """\
id = "{id}"
hazard = "{id}"
name = {{ zh = "规则", en = "rule" }}
source = "a test"
"""

RAIN = (
    HEAD.format(id="rain_rule")
    + """\
late = "1h"

[[item]]
id = "rain"
metric = "rain"

[item.indicators]
rain_1h = { sum = "1h" }
rain_3h = { sum = "3h" }

[item.levels]
rain_1h = { orange = { dry = 40.0, normal = 35.0, wet = 30.0 }, red = 60.0 }
rain_3h = { yellow = 50.0, orange = 75.0 }

[item.soil]
k = 0.9
"""
)

POND = (
    HEAD.format(id="pond_rule")
    + """\
[[item]]
id = "depth"
metric = "phreatic_depth"
side = "below"

[item.indicators]
phreatic_depth = "last"

[item.levels.phreatic_depth]
orange = { of = "red", times = 1.1 }
red = { by = "dam_height_m", points = [[30.0, 2.0], [60.0, 4.0]] }

[[item]]
id = "displacement"
metric = "displacement"

[item.indicators]
angle = { slope = "24h", scale = 24.0, divide_by = "rate", angle = true }
"""
)

COMPOUND = (
    'kind = "compound"\n'
    + HEAD.format(id="both")
    + """\
kinds = ["slope"]

[[line]]
level = "red"
[line.when]
all = [
  { rule = "rain_rule", level = "orange" },
  { rule = "pond_rule", level = "orange", related = "upstream" },
]
"""
)

THRESHOLDS = "rule,site,station,soil,indicator,blue,yellow,orange,red\n"
PARAMETERS = "site,station,parameter,value,reviewed_by\n"
RELATIONS = "relation,site,other\n"


def faults(files: dict[str, str], county: County | None = None) -> list[str]:
    """`file:line: field: words` of every fault."""
    with pytest.raises(RuleError) as told:
        read_catalogue(files, county)
    assert all(fault.words.zh and fault.words.en for fault in told.value.faults)
    return [str(fault) for fault in told.value.faults]


def rain_station(key: str = "R-1", site: str = "S-1", **more: object) -> Station:
    return Station(key, key, StationKind.RAIN_GAUGE, site, "G-1", 28.1, 120.2, ("rain",), **more)  # type: ignore[arg-type]


def county() -> County:
    """Two sites, two gauges at the first, a camera at the second."""
    sites = {key: Site(key, key, SiteKind.SLOPE, "331121001", 28.1, 120.2) for key in ("S-1", "S-2")}
    camera = Station("C-1", "C-1", StationKind.FIRE_CAMERA, "S-2", "G-1", 28.1, 120.2, ("battery",))
    stations = {each.id: each for each in (rain_station("R-1"), rain_station("R-2"), camera)}
    return County("331121", "县", "county", "", {}, {}, {}, sites, stations)
