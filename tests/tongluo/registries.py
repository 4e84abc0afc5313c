"""Registries for tests: whole ones that hypothesis makes up."""

from hypothesis import strategies as st

from tongluo.finding import Level
from tongluo.quality import Limits
from tongluo.reading import METRICS
from tongluo.region import (
    County,
    Division,
    DivisionKind,
    Gateway,
    Place,
    Responder,
    Site,
    SiteKind,
    Station,
    StationKind,
)

COUNTY, TOWNSHIP, VILLAGE = "331121", "331121101", "331121101001"
CODES = [COUNTY, TOWNSHIP, VILLAGE]
# What a spreadsheet, TOML and JSON each write in a way of their own.
_letters = "青田县雨Zz09é\N{WATER WAVE} ,;；、\"'\\#=[]{}|"
names = st.text(_letters, min_size=1, max_size=12).map(str.strip).filter(bool)
ids = st.text("ABCabc019_-", min_size=1, max_size=8)
numbers = st.floats(-1e6, 1e6, allow_nan=False)
positive = st.floats(1e-3, 1e6, allow_nan=False)
latitudes, longitudes = st.floats(28.0, 28.4), st.floats(120.2, 120.6)
addresses = st.none() | st.text("".join(map(chr, range(0x21, 0x7F))), min_size=1, max_size=12)

limits = st.builds(
    Limits,
    lowest=st.none() | st.floats(-1e6, -1.0),
    highest=st.none() | st.floats(0.0, 1e6),
    per_minute=st.none() | positive,
    stuck_after_s=st.none() | positive,
    spike=st.none() | positive,
    neighbours=st.none() | positive,
    warn_below=st.none() | numbers,
).filter(lambda made: made != Limits())


@st.composite
def thresholds(draw: st.DrawFn) -> dict[Level, float]:
    levels = draw(st.lists(st.sampled_from(Level), unique=True, min_size=1).map(sorted))
    values = draw(st.lists(positive, unique=True, min_size=len(levels), max_size=len(levels)).map(sorted))
    return dict(zip(levels, values, strict=True))


@st.composite
def stations(draw: st.DrawFn, key: str, sites: list[str], gateways: list[str]) -> Station:
    metrics = tuple(draw(st.lists(st.sampled_from(sorted(METRICS)), unique=True, max_size=3)))
    return Station(
        key,
        draw(names),
        draw(st.sampled_from(StationKind)),
        draw(st.sampled_from(sites)),
        draw(st.sampled_from(gateways)),
        draw(latitudes),
        draw(longitudes),
        metrics,
        draw(st.integers(1, 100_000)),
        draw(st.sampled_from(["", TOWNSHIP, VILLAGE])),
        draw(addresses.map(lambda address: None if address is None else f"{key}!{address}")),
        {metric: draw(limits) for metric in metrics},
        {"rain_3h": draw(thresholds())} if draw(st.booleans()) else {},
        draw(st.none() | numbers),
        tuple(draw(st.lists(st.sampled_from(["20", "22", "1A"]), unique=True))),
    )


@st.composite
def counties(draw: st.DrawFn) -> County:
    """A registry without faults."""
    gateways = draw(st.lists(ids, unique=True, max_size=3))
    sites = draw(st.lists(ids, unique=True, max_size=3))
    gauges = draw(st.lists(ids, unique=True, max_size=4)) if gateways and sites else []
    responders = draw(st.lists(ids, unique=True, max_size=2))
    ring = draw(
        st.sampled_from([(), ((28.000000001, 120.2), (28.4, 120.20000000003), (28.4, 120.6), (28.0, 120.6))])
    )
    return County(
        COUNTY,
        draw(names),
        draw(names),
        draw(st.just("") | names),
        {
            COUNTY: Division(COUNTY, draw(names), DivisionKind.COUNTY),
            TOWNSHIP: Division(TOWNSHIP, draw(names), DivisionKind.TOWNSHIP, COUNTY),
            VILLAGE: Division(VILLAGE, draw(names), DivisionKind.VILLAGE, TOWNSHIP),
        },
        {TOWNSHIP: Place(TOWNSHIP, draw(latitudes), draw(longitudes), ring)} if draw(st.booleans()) else {},
        {
            key: Gateway(
                key, draw(names), draw(addresses.map(lambda a, k=key: None if a is None else f"{k}!{a}"))
            )
            for key in gateways
        },
        {
            key: Site(
                key, draw(names), draw(st.sampled_from(SiteKind)), VILLAGE, draw(latitudes), draw(longitudes)
            )
            for key in sites
        },
        {key: draw(stations(key, sites, gateways)) for key in gauges},
        {
            key: Responder(
                key,
                draw(names),
                tuple(draw(st.lists(st.sampled_from(CODES), unique=True))),
                draw(st.just("") | names),
                draw(st.none() | st.from_regex(r"\+?[0-9]{5,20}", fullmatch=True)),
            )
            for key in responders
        },
    )
