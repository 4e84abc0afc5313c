"""Small catalogues and storms for the tests of replays."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from services.rules.catalogue import Catalogue, load, read_catalogue
from tongluo import testing
from tongluo.reading import Reading
from tongluo.readings import Readings, gathered
from tongluo.region import County

START = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

#: What it takes to see that neighbours are heard: two gauges at orange make a county-wide yellow two hours later.
TOGETHER = """
kind = "compound"
id = "together"
hazard = "flash_flood"
name = { zh = "多点暴雨", en = "Storm all over" }
source = "test"
kinds = ["catchment"]
release_after = "1h"

[[line]]
level = "yellow"
when = { rule = "rainstorm", level = "orange", near_km = 50.0, count = 2, hold = "2h" }
"""


def rules(*more: str, silence: bool = False) -> dict[str, str]:
    """The shipped rainstorm rule, and others."""
    shipped = load(None)
    files = {"rainstorm.toml": shipped["rainstorm.toml"]}
    if silence:
        said = shipped["silence.toml"].splitlines()
        files["silence.toml"] = "\n".join(
            'grave = ["rainstorm"]' if line.startswith("grave =") else line for line in said
        )
    return files | {f"more{nth}.toml": text for nth, text in enumerate(more)}


def catalogue(*more: str, county: County | None = None, silence: bool = False) -> Catalogue:
    return read_catalogue(rules(*more, silence=silence), county or testing.county())


def rain(
    station: int, amounts: Sequence[float], start: datetime = START, step: timedelta = HOUR
) -> list[Reading]:
    """Rain of gauge R-n, one value each step from `start` on."""
    gateway = "G-1" if station <= 2 else "G-2"
    return [
        Reading(f"R-{station}", "rain", start + nth * step, amount, f"S-{station}", gateway)
        for nth, amount in enumerate(amounts)
    ]


def storm(station: int, peak: float, dry: int = 30) -> list[Reading]:
    """Five dry hours, three wet ones with `peak` mm each, and dry hours after."""
    return rain(station, [0.0] * 5 + [peak] * 3 + [0.0] * dry)


def in_order(*gauges: Iterable[Reading]) -> list[Reading]:
    """Together in order of time and station, as a history gives them."""
    return sorted((one for gauge in gauges for one in gauge), key=lambda one: (one.time, one.station))


def batches(readings: Sequence[Reading], *sizes: int) -> Iterator[Readings]:
    """Cut into batches of these sizes, over and over."""
    at, nth = 0, 0
    while at < len(readings):
        size = sizes[nth % len(sizes)]
        yield gathered(readings[at : at + size])
        at, nth = at + size, nth + 1
