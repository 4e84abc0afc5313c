"""What truly happened, from a table: `time` or `start` and `end`, `site` (or an area's code), `hazard`, `kind`. Pure."""

import csv
import io
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from tongluo.errors import TongluoError
from tongluo.hazards import HAZARDS
from tongluo.region import County, covers

MOST_EVENTS: Final = 100_000
MOST_FAULTS: Final = 20
_CODE: Final = re.compile(r"[0-9]{6}([0-9]{3}){0,2}")
_Aware = Annotated[datetime, msgspec.Meta(tz=True)]


class TruthError(TongluoError):
    """A table of events that cannot be used; the message lists what is wrong, by line."""


class TrueEvent(msgspec.Struct, frozen=True):
    """Something happened from `start` to `end` at one of `sites`. `place` is what the table calls where.

    `hazard` None: any alert may meet it. `kind` is free text: a debris flow, a flooded road.
    """

    line: int
    start: datetime
    end: datetime
    place: str
    sites: frozenset[str]
    hazard: str | None = None
    kind: str = ""


def read_truth(text: str, source: str, county: County, names: Mapping[str, str]) -> list[TrueEvent]:
    """The events of a CSV table, in order of time.

    A place is a site's id or name, a station's id or what the history calls it (`names`, to ids), or a division's code, which
    means every site in it. Raises TruthError with the faults of the first lines that have any, and how many there are.
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    columns = [name.strip().lower() for name in rows.fieldnames or []]
    rows.fieldnames = columns
    if not ({"time", "start"} & set(columns) and {"site", "area"} & set(columns)):
        raise TruthError(
            f"{source}: needs the columns time (or start, end) and site; it has {', '.join(columns)}"
        )
    where = _places(county, names)
    found: list[TrueEvent] = []
    faults: list[str] = []
    try:
        for row in rows:
            if len(found) + len(faults) >= MOST_EVENTS:
                raise TruthError(f"{source}: more than {MOST_EVENTS} events")
            try:
                found.append(_event(rows.line_num, row, where))
            except ValueError as error:
                faults.append(f"{source}:{rows.line_num}: {error}")
    except csv.Error as error:
        raise TruthError(f"{source}:{rows.line_num + 1}: is not CSV: {error}") from error
    if faults:
        more = f"\n  and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        listed = "\n".join(f"  - {fault}" for fault in faults[:MOST_FAULTS])
        raise TruthError(f"the events cannot be used:\n{listed}{more}")
    return sorted(found, key=lambda event: (event.start, event.end, event.line))


def _event(
    line: int, row: Mapping[str | None, str | list[str] | None], where: Callable[[str], frozenset[str]]
) -> TrueEvent:
    if None in row or None in row.values():
        raise ValueError("has more or fewer columns than the header")
    said = {
        name: value.strip() for name, value in row.items() if isinstance(name, str) and isinstance(value, str)
    }
    start = _time(said.get("start") or said.get("time", ""))
    end = _time(said["end"]) if said.get("end") else start
    if end < start:
        raise ValueError("ends before it starts")
    place = said.get("site") or said.get("area", "")
    hazard = said.get("hazard") or None
    if hazard is not None and hazard not in HAZARDS:
        raise ValueError(f"hazard {hazard[:60]!r} is not known; known are {', '.join(HAZARDS)}")
    return TrueEvent(line, start, end, place, where(place), hazard, said.get("kind", "")[:200])


def _time(words: str) -> datetime:
    try:
        return msgspec.convert(words, _Aware).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        raise ValueError(
            f"time {words[:60]!r} is not a time with its zone, such as 2006-09-17T14:00:00+08:00"
        ) from None


def _places(county: County, names: Mapping[str, str]) -> Callable[[str], frozenset[str]]:
    by_name: dict[str, set[str]] = {}
    for site in county.sites.values():
        by_name.setdefault(site.name, set()).add(site.id)

    def where(place: str) -> frozenset[str]:
        if place in county.sites:
            return frozenset({place})
        station = county.stations.get(names.get(place, place))
        if station is not None:
            return frozenset({station.site})
        if place in by_name:
            if len(by_name[place]) > 1:
                raise ValueError(f"{len(by_name[place])} sites are called {place[:60]!r}: name one by its id")
            return frozenset(by_name[place])
        if _CODE.fullmatch(place):
            inside = frozenset(site.id for site in county.sites.values() if covers(place, site.division))
            if inside:
                return inside
            raise ValueError(f"no site lies in {place}")
        raise ValueError(
            f"site {place[:60]!r} is neither registered nor in the history" if place else "no site"
        )

    return where
