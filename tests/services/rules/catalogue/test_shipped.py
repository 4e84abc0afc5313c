"""What the shipped catalogue says: the published numbers, and nothing that a county would have to find out the hard way."""

from datetime import timedelta

import pytest

from services.counties import chosen
from services.rules.catalogue import load, reaches, read_catalogue
from services.rules.catalogue.model import Condition, Function, Item, StationRule, Votes
from services.settings import Settings
from tongluo.finding import Level, Side
from tongluo.hazards import HAZARDS

CATALOGUE = read_catalogue(load())


def item(rule: str, name: str) -> Item:
    found = CATALOGUE.rule(rule)
    assert isinstance(found, StationRule)
    return next(each for each in found.items if each.id == name)


def lines(rule: str, name: str) -> list[tuple[str, str, float]]:
    return [
        (line.indicator, line.level.value, line.reach)
        for line in item(rule, name).lines
        if line.reach is not None
    ]


def test_every_hazard_has_a_rule_that_tells_it() -> None:
    assert {rule.hazard for rule in CATALOGUE.rules} == set(HAZARDS)
    assert all(rule.source for rule in CATALOGUE.rules)


def test_it_stands_before_the_demonstrations_county() -> None:
    assert read_catalogue(load(), chosen(Settings())).version == CATALOGUE.version


def test_rainstorm_is_order_16() -> None:
    assert lines("rainstorm", "rain") == [
        ("rain_3h", "orange", 50.0),
        ("rain_3h", "red", 100.0),
        ("rain_6h", "yellow", 50.0),
        ("rain_12h", "blue", 50.0),
    ]
    found = item("rainstorm", "rain")
    assert {line.release_ratio for line in found.lines} == {0.8}
    assert found.release_after == timedelta(hours=1)
    assert [one.span // timedelta(hours=1) for one in found.indicators] == [1, 3, 6, 12, 24]


def test_flash_flood_has_four_levels_in_four_windows() -> None:
    table = {
        "1h": (35, 45, 60, 80),
        "3h": (55, 75, 100, 120),
        "6h": (70, 95, 120, 150),
        "24h": (100, 130, 160, 200),
    }
    assert lines("flash_flood", "rain") == [
        (f"rain_{span}", level.value, float(mm))
        for span, row in table.items()
        for level, mm in zip(Level, row, strict=True)
    ]


def test_p3_and_p15_are_weighted_sums() -> None:
    """P3 + 0.67 P15 with P15 the 15 days before the last three: 0.33 S(72 h) + 0.67 S(432 h) (USGS thresh)."""
    indicators = {one.name: one for one in item("landslide_rain", "cumulative").indicators}
    weighted = indicators["rain_p3_p15"].weights or {}
    last, before = 40.0, 100.0  # mm of the last 3 days, and of the 15 days before them
    sums = {"rain_3d": last, "rain_18d": last + before}
    assert sum(weight * sums[name] for name, weight in weighted.items()) == pytest.approx(
        last + 0.67 * before
    )
    assert [indicators[name].span // timedelta(hours=1) for name in weighted] == [72, 432]
    assert lines("landslide_rain", "cumulative") == [("rain_p3_p15", "yellow", 88.9)]
    assert pytest.approx(3.5 * 25.4) == 88.9


def test_the_event_threshold_is_caines() -> None:
    [event] = item("landslide_rain", "event").indicators
    assert event.function is Function.EVENT
    assert event.curve is not None
    for hours, mm_h in ((1, 14.82), (24, 4.29), (72, 2.80)):
        assert event.curve.c + event.curve.a * hours**-event.curve.b == pytest.approx(mm_h, abs=0.005)


def test_the_tangent_angle_is_of_daily_rates() -> None:
    displacement = item("landslide", "displacement")
    [angle] = [one for one in displacement.indicators if one.angle]
    assert (angle.function, angle.scale, angle.divide_by) == (Function.SLOPE, 24.0, "uniform_rate_mm_d")
    assert displacement.forecast
    assert (displacement.confirm.n, displacement.confirm.m) == (3, 5)
    assert lines("landslide", "displacement") == [
        ("tangent_angle", "yellow", 45.0),
        ("tangent_angle", "orange", 80.0),
        ("tangent_angle", "red", 85.0),
        ("v0_ratio", "yellow", 1.0),
        ("v0_ratio", "orange", 5.0),
        ("v0_ratio", "red", 10.0),
    ]


def test_tailings_judge_by_dam() -> None:
    rule = CATALOGUE.rule("tailings")
    assert isinstance(rule, StationRule)
    assert rule.votes is Votes.GB39496
    county = chosen(Settings())
    station = next(s for s in county.stations.values() if "phreatic_depth" in s.metrics)
    table = f"site,station,parameter,value\n{station.site},,dam_height_m,80\n{station.site},,dam_grade,3\n"
    found = read_catalogue({**load(), "parameters.csv": table}, county)
    held = {
        (each.indicator, each.level): (each.by_soil[0], each.side)
        for one in rule.items
        for each in reaches(found, rule, one, station)
    }
    assert held["phreatic_depth", Level.RED] == (5.0, Side.BELOW)
    assert held["phreatic_depth", Level.ORANGE] == (pytest.approx(5.5), Side.BELOW)
    assert held["dry_beach", Level.RED] == (70.0, Side.BELOW)
    assert held["freeboard", Level.RED] == (0.7, Side.BELOW)


def test_levels_of_neighbours_make_a_compound_one() -> None:
    compound = {rule.id: rule for rule in CATALOGUE.compound}
    least, of = (
        compound["landslide_compound"].lines[2].when.least,
        compound["landslide_compound"].lines[2].when.of,
    )
    assert (least, len(of)) == (2, 3)
    upstream = compound["flash_flood_upstream"].lines[0].when.of[0]
    assert isinstance(upstream, Condition)
    assert upstream.relation == "upstream"
