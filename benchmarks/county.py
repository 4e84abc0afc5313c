"""A synthetic county of rain gauges: as many stations as a benchmark asks for, each guarding a site of its own."""

from pathlib import Path

from tongluo.region import County, Division, DivisionKind, Gateway, Site, SiteKind, Station, StationKind

GAUGES_PER_GATEWAY = 20
ROOT = "tongluo/v1"


def station_of(number: int) -> str:
    return f"R-{number}"


def site_of(number: int) -> str:
    return f"S-{number}"


def gateway_of(number: int) -> str:
    """The gateway that speaks for a gauge; gauges are numbered from 1, twenty to a gateway."""
    return f"G-{(number - 1) // GAUGES_PER_GATEWAY + 1}"


def topic_of(number: int, root: str = ROOT) -> str:
    """Where the gauge's gateway publishes; a peer on the same broker listens under a root of its own."""
    return f"{root}/{gateway_of(number)}/readings"


def county(gauges: int) -> County:
    """Gauges R-1, R-2, ... at sites S-1, S-2, ... of one village."""
    township = Division("331121101", "温溪镇", DivisionKind.TOWNSHIP, "331121")
    village = Division("331121101001", "沙埠村", DivisionKind.VILLAGE, township.code)
    numbers = range(1, gauges + 1)
    gateways = dict.fromkeys(gateway_of(number) for number in numbers)
    return County(
        code="331121",
        name="青田县",
        name_en="Qingtian",
        note="invented",
        divisions={
            "331121": Division("331121", "青田县", DivisionKind.COUNTY, ""),
            township.code: township,
            village.code: village,
        },
        places={},
        gateways={id_: Gateway(id_, f"{id_} 号网关") for id_ in gateways},
        sites={site_of(number): _site(number, village.code) for number in numbers},
        stations={station_of(number): _gauge(number) for number in numbers},
    )


def write_county(folder: Path, gauges: int) -> None:
    """The county as the folder that `TONGLUO_COUNTY` names."""
    described = county(gauges)
    folder.mkdir()
    (folder / "county.toml").write_text(_toml(described))
    rows = [f"{d.code},{d.name},{d.kind},{d.parent}" for d in described.divisions.values()]
    (folder / "divisions.csv").write_text("\n".join(["code,name,kind,parent", *rows]) + "\n")


def _site(number: int, division: str) -> Site:
    latitude = 28.1 + number / 100_000
    return Site(site_of(number), f"{number}号小流域", SiteKind.CATCHMENT, division, latitude, 120.4)


def _gauge(number: int) -> Station:
    return Station(
        station_of(number),
        f"{number}号雨量站",
        StationKind.RAIN_GAUGE,
        site_of(number),
        gateway_of(number),
        28.1 + number / 100_000,
        120.4,
        ("rain",),
    )


def _toml(described: County) -> str:
    parts = [
        f'[county]\ncode = "{described.code}"\nname = "{described.name}"\nname_en = "{described.name_en}"'
    ]
    parts += [f'[[gateway]]\nid = "{g.id}"\nname = "{g.name}"' for g in described.gateways.values()]
    parts += [
        f'[[site]]\nid = "{s.id}"\nname = "{s.name}"\nkind = "{s.kind}"\ndivision = "{s.division}"\n'
        f"latitude = {s.latitude:.5f}\nlongitude = {s.longitude}"
        for s in described.sites.values()
    ]
    parts += [
        f'[[station]]\nid = "{s.id}"\nname = "{s.name}"\nkind = "{s.kind}"\nsite = "{s.site}"\n'
        f'gateway = "{s.gateway}"\nlatitude = {s.latitude:.5f}\nlongitude = {s.longitude}\nmetrics = ["rain"]'
        for s in described.stations.values()
    ]
    return "\n\n".join(parts) + "\n"
