"""What holds at a station: the precedence of registry, tables and rule; soil states; curves; shares."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.catalogue import Catalogue, Reach, parameter, reaches, read_catalogue
from services.rules.catalogue.resolve import interpolated
from tests.services.rules.catalogue.files import PARAMETERS, POND, RAIN, THRESHOLDS, rain_station
from tongluo.finding import Level, Side
from tongluo.region import Station

FILES = {"rain.toml": RAIN, "pond.toml": POND}


def catalogue(thresholds: str = "", parameters: str = "", files: dict[str, str] = FILES) -> Catalogue:
    return read_catalogue(
        {**files, "thresholds.csv": THRESHOLDS + thresholds, "parameters.csv": PARAMETERS + parameters}
    )


def holding(found: Catalogue, station: Station, rule: str = "rain_rule") -> dict[tuple[str, Level], Reach]:
    [one] = [each for each in found.station_rules if each.id == rule]
    return {
        (reach.indicator, reach.level): reach
        for item in one.items
        for reach in reaches(found, one, item, station)
    }


def test_the_rules_own_lines_hold_where_nothing_else_is_said() -> None:
    found = holding(catalogue(), rain_station())
    assert {key: reach.by_soil for key, reach in found.items()} == {
        ("rain_1h", Level.ORANGE): (40.0, 35.0, 30.0),
        ("rain_1h", Level.RED): (60.0, 60.0, 60.0),
        ("rain_3h", Level.YELLOW): (50.0, 50.0, 50.0),
        ("rain_3h", Level.ORANGE): (75.0, 75.0, 75.0),
    }


def test_registry_before_station_row_before_site_row_before_rule() -> None:
    site = "rain_rule,S-1,,,rain_3h,,,76,\n"
    station = "rain_rule,,R-1,,rain_3h,,,77,\n"
    registered = rain_station(thresholds={"rain_3h": {Level.ORANGE: 78.0}})

    def orange(rows: str, of: Station) -> float:
        return holding(catalogue(rows), of)["rain_3h", Level.ORANGE].by_soil[0]

    assert orange("", rain_station()) == 75.0
    assert orange(site, rain_station()) == 76.0
    assert orange(station + site, rain_station()) == 77.0
    assert orange(station + site, registered) == 78.0
    assert orange(station + site, rain_station("R-2")) == 76.0
    assert orange(station + site, rain_station("R-3", site="S-2")) == 75.0


def test_each_level_is_looked_up_for_itself() -> None:
    station = rain_station(thresholds={"rain_3h": {Level.ORANGE: 70.0}})
    found = holding(catalogue("rain_rule,S-1,,,rain_3h,,60,65,\n"), station)
    assert found["rain_3h", Level.YELLOW].by_soil == (60.0, 60.0, 60.0)
    assert found["rain_3h", Level.ORANGE].by_soil == (70.0, 70.0, 70.0)


def test_a_level_that_only_a_table_gives_counts_too() -> None:
    found = holding(catalogue("rain_rule,S-1,,,rain_3h,,,,120\n"), rain_station())
    assert found["rain_3h", Level.RED].by_soil == (120.0, 120.0, 120.0)
    station = rain_station(thresholds={"rain_1h": {Level.BLUE: 20.0}})
    assert holding(catalogue(), station)["rain_1h", Level.BLUE].by_soil == (20.0, 20.0, 20.0)


def test_a_row_for_a_state_of_the_ground_goes_before_one_for_all_of_the_same_place_only() -> None:
    rows = "rain_rule,S-1,,wet,rain_1h,,,31,\nrain_rule,S-1,,,rain_1h,,,33,\n"
    assert holding(catalogue(rows), rain_station())["rain_1h", Level.ORANGE].by_soil == (33.0, 33.0, 31.0)
    rows += "rain_rule,,R-1,,rain_1h,,,34,\n"
    assert holding(catalogue(rows), rain_station())["rain_1h", Level.ORANGE].by_soil == (34.0, 34.0, 34.0)
    alone = "rain_rule,S-1,,wet,rain_3h,,,,110\n"
    dry, normal, wet = holding(catalogue(alone), rain_station())["rain_3h", Level.RED].by_soil
    assert math.isnan(dry)
    assert math.isnan(normal)
    assert wet == 110.0


def test_rows_of_another_rule_do_not_hold() -> None:
    other = RAIN.replace("rain_rule", "other")
    found = catalogue("other,S-1,,,rain_3h,,,76,\n", files={"a.toml": RAIN, "b.toml": other})
    assert holding(found, rain_station())["rain_3h", Level.ORANGE].by_soil[0] == 75.0
    assert holding(found, rain_station(), "other")["rain_3h", Level.ORANGE].by_soil[0] == 76.0


def test_a_parameter_of_the_station_goes_before_its_sites() -> None:
    found = catalogue(parameters="S-1,,rate,2.5,x\n,R-1,rate,3.5,x\n,R-2,dam_height_m,40,x\n")
    assert parameter(found, rain_station("R-1"), "rate") == 3.5
    assert parameter(found, rain_station("R-2"), "rate") == 2.5
    assert parameter(found, rain_station("R-1", site="S-2"), "rate") == 3.5
    assert parameter(found, rain_station("R-1"), "dam_height_m") is None


def test_a_curve_follows_the_parameter_and_a_share_follows_its_level() -> None:
    def depth(height: str, rows: str = "") -> dict[Level, float]:
        parameters = f"S-1,,dam_height_m,{height},x\n" if height else ""
        found = holding(catalogue(rows, parameters), rain_station(), "pond_rule")
        return {level: reach.by_soil[0] for (_, level), reach in found.items()}

    assert depth("45") == {Level.ORANGE: pytest.approx(3.3), Level.RED: 3.0}
    assert depth("10")[Level.RED] == 2.0
    assert depth("500")[Level.RED] == 4.0
    assert depth("") == {}
    assert depth("", "pond_rule,S-1,,,phreatic_depth,,,,5\n") == {
        Level.ORANGE: pytest.approx(5.5),
        Level.RED: 5.0,
    }
    assert depth("", "pond_rule,S-1,,,phreatic_depth,,,7,5\n")[Level.ORANGE] == 7.0


@pytest.mark.parametrize(
    ("side", "reach", "ratio", "by", "release"),
    [
        (Side.ABOVE, 50.0, 0.8, None, 40.0),
        (Side.BELOW, 2.0, 1.1, None, 2.2),
        (Side.ABOVE, -10.0, 0.8, None, -12.0),
        (Side.BELOW, -10.0, 1.1, None, -9.0),
        (Side.ABOVE, 512.3, 0.8, 0.1, 512.2),
        (Side.BELOW, 2.0, 1.1, 0.5, 2.5),
    ],
)
def test_release_lies_on_the_safe_side(
    side: Side, reach: float, ratio: float, by: float | None, release: float
) -> None:
    assert Reach(Level.RED, "x", side, (reach,) * 3, ratio, by).release(reach) == release


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, unique_by=lambda p: p[0]),
    st.floats(-2e6, 2e6),
)
def test_a_curve_stays_between_its_neighbouring_points(curve: list[tuple[float, float]], at: float) -> None:
    points = sorted(curve)
    value = interpolated(points, at)
    ends = [y for x, y in points if x <= at][-1:] + [y for x, y in points if x > at][:1]
    assert min(ends) - 1e-6 <= value <= max(ends) + 1e-6
    assert all(interpolated(points, x) == pytest.approx(y) for x, y in points)
