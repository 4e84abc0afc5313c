"""The county that comes with the simulator is whole, and drawn so that a map of it has no holes."""

from collections import Counter
from pathlib import Path

import pytest

from sensors.simulator.profile import built_in, load_profile
from tongluo.errors import CountyError
from tongluo.region import County, DivisionKind, SiteKind, StationKind


def test_qingtian_has_the_instruments_it_is_known_for(qingtian: County) -> None:
    kinds = Counter(station.kind for station in qingtian.stations.values())
    assert kinds[StationKind.RAIN_GAUGE] == 17
    assert kinds[StationKind.DISPLACEMENT_POINT] == 21
    assert kinds[StationKind.FIRE_CAMERA] == 8
    ponds = [site.name for site in qingtian.sites.values() if site.kind is SiteKind.TAILINGS_POND]
    assert ponds == ["东泰2号尾矿库", "阴岸坑尾矿库", "泰正尾矿库", "天工尾矿库"]
    sections = Counter(s.site for s in qingtian.stations.values() if s.kind is StationKind.POND_SECTION)
    assert set(sections.values()) == {2, 3}
    assert len(sections) == 4


def test_every_township_has_its_place(qingtian: County) -> None:
    townships = {code for code, each in qingtian.divisions.items() if each.kind is DivisionKind.TOWNSHIP}
    assert len(townships) == 32
    assert set(qingtian.places) == townships
    assert (qingtian.code, qingtian.name, qingtian.name_en) == ("331121", "青田县", "Qingtian")
    assert "非测绘成果" in qingtian.note


def test_every_site_lies_in_a_real_village_and_is_named_after_it_or_a_pond(qingtian: County) -> None:
    for site in qingtian.sites.values():
        village = qingtian.divisions[site.division]
        assert village.kind is DivisionKind.VILLAGE
        township = qingtian.township_of(site)
        assert township is not None
        if site.kind is not SiteKind.TAILINGS_POND:
            assert site.name.startswith(township.name + village.name.removesuffix("村委会"))


def test_every_station_speaks_through_its_own_townships_gateway(qingtian: County) -> None:
    for station in qingtian.stations.values():
        township = qingtian.township_of(qingtian.sites[station.site])
        assert township is not None
        assert station.gateway == f"QT-GW-{township.code[6:]}"
        assert qingtian.gateways[station.gateway].name == f"{township.name}采集网关"
    assert {station.gateway for station in qingtian.stations.values()} == set(qingtian.gateways)


def test_neighbouring_townships_share_their_border_exactly(qingtian: County) -> None:
    """Each edge belongs to two townships or, on the county's border, to one, and the border is one closed ring."""
    edges: Counter[frozenset[tuple[float, float]]] = Counter()
    for place in qingtian.places.values():
        ring = place.outline
        edges.update(frozenset(pair) for pair in zip(ring, ring[1:] + ring[:1], strict=True))
    assert set(edges.values()) == {1, 2}
    border = [edge for edge, owners in edges.items() if owners == 1]
    assert set(Counter(point for edge in border for point in edge).values()) == {2}


def test_every_township_and_station_lies_inside_the_right_outline(qingtian: County) -> None:
    for place in qingtian.places.values():
        assert inside(place.latitude, place.longitude, place.outline), place.code
    for station in qingtian.stations.values():
        outline = qingtian.places[qingtian.sites[station.site].division[:9]].outline
        assert inside(station.latitude, station.longitude, outline), station.id


def test_a_folder_can_be_played_as_well(tmp_path: Path, qingtian: County) -> None:
    (tmp_path / "county.toml").write_text('[county]\ncode = "331121"\nname = "甲"\nname_en = "A"\n', "utf-8")
    (tmp_path / "divisions.csv").write_text("code,name,kind,parent\n", "utf-8")
    assert load_profile(str(tmp_path)).name == "甲"


def test_an_unknown_county_is_refused_with_the_names_of_those_there_are() -> None:
    assert "qingtian" in built_in()
    with pytest.raises(CountyError, match=r"built in are: .*qingtian"):
        load_profile("atlantis")


def inside(latitude: float, longitude: float, ring: tuple[tuple[float, float], ...]) -> bool:
    """Even-odd rule."""
    crossings = 0
    for (lat_a, lon_a), (lat_b, lon_b) in zip(ring, ring[1:] + ring[:1], strict=True):
        if (lat_a > latitude) != (lat_b > latitude):
            at = lon_a + (latitude - lat_a) / (lat_b - lat_a) * (lon_b - lon_a)
            crossings += at > longitude
    return crossings % 2 == 1
