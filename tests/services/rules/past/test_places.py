"""Stations of a history in a county: those that are registered, and sites of their own for all others."""

from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.rules.past.places import Place, placed
from tongluo import testing
from tongluo.region import SiteKind, Station
from tongluo.registry import faults_of

COUNTY = testing.county()
RAIN = ("rain",)


def test_a_registered_station_stays_at_its_site_by_its_id_or_its_address() -> None:
    addressed = msgspec.structs.replace(COUNTY.stations["R-2"], address="0012345678")
    county = msgspec.structs.replace(COUNTY, stations={**COUNTY.stations, "R-2": addressed})
    told = placed(county, [Place("R-1", ("rain", "temperature")), Place("0012345678", RAIN)])
    assert told.strangers == ()
    assert told.series("0012345678", "rain").site == "S-2"
    assert told.county.stations["R-1"].metrics == ("rain", "battery", "temperature")
    assert told.county.sites == county.sites


def test_an_unknown_station_is_a_site_of_its_own_far_from_all_others() -> None:
    told = placed(
        None, [Place("雨量站 一", RAIN, timedelta(hours=1)), Place("GB-2", ("displacement", "rain"))]
    )
    assert told.strangers == ("雨量站 一", "GB-2")
    first, second = (told.county.stations[told.ids[name]] for name in told.strangers)
    assert (first.name, first.interval_s, told.county.sites[first.site].kind) == (
        "雨量站 一",
        3600,
        SiteKind.CATCHMENT,
    )
    assert (second.id, second.site, told.county.sites["GB-2"].kind) == ("GB-2", "GB-2", SiteKind.SLOPE)
    assert abs(first.latitude - second.latitude) + abs(first.longitude - second.longitude) >= 1


def test_an_unknown_station_takes_the_place_of_no_site_that_is_called_so() -> None:
    told = placed(COUNTY, [Place("S-1", RAIN), Place("R-1", RAIN)])
    assert told.strangers == ("S-1",)
    assert told.county.sites["S-1"] == COUNTY.sites["S-1"]
    assert told.ids["S-1"] not in COUNTY.sites
    assert told.series("S-1", "rain").site == told.ids["S-1"]


@given(st.lists(st.text(min_size=1, max_size=80), unique=True, max_size=20))
def test_whatever_stations_are_called_their_ids_are_ids_and_differ(names: list[str]) -> None:
    for base in (None, COUNTY):
        told = placed(base, [Place(name, RAIN) for name in names])
        assert len(set(told.ids.values())) == len(names)
        for name in names:
            station = told.county.stations[told.ids[name]]
            msgspec.convert(msgspec.to_builtins(station), Station)
            assert station.site in told.county.sites
    assert not [one for one in faults_of(placed(COUNTY, []).county) if not one.warning]
