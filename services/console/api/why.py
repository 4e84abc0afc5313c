"""Why an alert has its level: what was judged, as curves with their lines, as the page draws them."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.judgement import crossing, rolling_sums
from services.console.problems import Problem
from services.console.room import Entered, InRoom, Room
from tongluo import quality
from tongluo.finding import Evidence, Measure
from tongluo.reading import METRICS
from tongluo.store import series as store
from tongluo.store.series import Span
from tongluo.wire import iso

router = APIRouter(prefix="/alerts", tags=["alerts"])

MOST_POINTS: Final = 20_000
#: Shown before a judgement that looked at newest values alone.
UNLESS_SAID: Final = timedelta(days=1)
#: Readings are kept for so long at most; nothing looks back further.
LONGEST: Final = timedelta(days=730)

# The report asked for, else the newest that has a level: of a cleared alert, the last judgement that still held.
_REPORT: Final = text(
    "SELECT r.no, r.time, r.level_to, r.evidence, a.hazard, a.site, a.level, a.updated, a.drill FROM report r "
    "JOIN alert a ON a.id = r.alert WHERE a.id = :alert AND (r.no = :no OR CAST(:no AS int) IS NULL) "
    "ORDER BY (r.level_to IS NOT NULL) DESC, r.no DESC LIMIT 1"
)


@router.get("/{alert_id}/why")
async def why(
    alert_id: str,
    room: InRoom,
    account: Entered,
    report: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> dict[str, Any]:
    """The evidence of the newest judgement with a level (or of `report`), with what it takes to draw it.

    `series` are the readings of its metric at its station, from the longest window before the judgement until now (until
    it was cleared); `indicator`, of rain, the rolling sum that decided, at each good reading, in exact thousandths of
    a millimetre: `agrees` says whether the stored readings give what was judged. `window` is what the sum looked at,
    `crossed` when the line was last crossed before the judgement. Where `indicator` is null, the series is the line.
    """
    async with room.engine.connect() as connection:
        row = (await connection.execute(_REPORT, {"alert": alert_id, "no": report})).mappings().first()
        if row is None:
            raise Problem(
                404, f"there is no alert {alert_id}" + (f" with a report {report}" if report else "")
            )
        evidence = msgspec.convert(row["evidence"], Evidence)
        drawn = await _drawn(connection, room, row, evidence)
    criterion = evidence.criterion
    return {
        **row["evidence"],
        "alert": alert_id,
        "report": row["no"],
        "hazard": row["hazard"],
        "level": row["level_to"],
        "drill": row["drill"],
        "reach": criterion.reach if criterion is not None else None,
        "release": criterion.release if criterion is not None else None,
        "side": criterion.side if criterion is not None else None,
        **drawn,
        "cameras": _cameras(room, evidence),
    }


async def _drawn(
    connection: AsyncConnection, room: Room, row: RowMapping, evidence: Evidence
) -> dict[str, Any]:
    """Series, indicator, window and crossing; nothing of a judgement that no station's metric decided."""
    if evidence.metric not in METRICS:
        return {"series": None, "indicator": None, "window": None, "crossed": None}
    decided = _decided(evidence)
    window = _window(decided)
    begin = evidence.time - max((_window(one) for one in evidence.measures), default=timedelta())
    if begin == evidence.time:
        begin = evidence.time - UNLESS_SAID
    end = row["updated"] if row["level"] is None else max(room.clock.now(), evidence.time)
    # The first sums that are shown need what fell before.
    span = Span(evidence.station, evidence.metric, begin - window, end)
    rows = await store.raw(connection, span, MOST_POINTS)
    shown = [one for one in rows if one["time"] > begin]
    good = [(one["time"], one["value"]) for one in rows if one["quality"] == "good"]
    summed = decided is not None and _is_rain_sum(room, evidence, decided)
    curve = rolling_sums(good, window) if summed else good
    return {
        "series": {
            "station": evidence.station,
            "metric": evidence.metric,
            "unit": METRICS[evidence.metric].unit,
            "from": iso(begin),
            "to": iso(end),
            "capped": len(rows) == MOST_POINTS,
            "points": [
                {**one, "time": iso(one["time"]), "flags": quality.names(one["flags"])} for one in shown
            ],
        },
        "indicator": _indicator(decided, curve, begin, evidence.time)
        if summed and decided is not None
        else None,
        "window": {"from": iso(evidence.time - window), "to": iso(evidence.time)} if window else None,
        "crossed": iso(crossing(curve, evidence.criterion, evidence.time))
        if evidence.criterion is not None and (summed or _is_newest_value(decided))
        else None,
    }


def _indicator(
    decided: Measure, sums: list[tuple[datetime, float]], begin: datetime, judged: datetime
) -> dict[str, Any]:
    at_judgement = next((value for time, value in reversed(sums) if time <= judged), None)
    return {
        "name": msgspec.to_builtins(decided.name),
        "indicator": decided.indicator,
        "unit": decided.unit,
        "window_s": decided.window_s,
        "points": [{"time": iso(time), "value": value} for time, value in sums if time > begin],
        "agrees": at_judgement is not None and abs(at_judgement - decided.value) < 0.0005,
    }


def _decided(evidence: Evidence) -> Measure | None:
    return evidence.measure(evidence.criterion.indicator) if evidence.criterion is not None else None


def _window(measure: Measure | None) -> timedelta:
    window_s = measure.window_s if measure is not None else None
    return min(timedelta(seconds=window_s or 0.0), LONGEST)


def _is_rain_sum(room: Room, evidence: Evidence, decided: Measure) -> bool:
    """Whether the measure is a plain sum over its window; the rules in force say so, where they still know it."""
    if evidence.metric != "rain" or decided.unit != "mm" or not decided.window_s:
        return False
    functions = {
        indicator["function"]
        for rule in room.rulebook.in_force().rules
        if rule["id"] == evidence.rule
        for item in rule["items"]
        for indicator in item["indicators"]
        if indicator["name"] == decided.indicator
    }
    return not functions or "sum" in functions


def _is_newest_value(decided: Measure | None) -> bool:
    return decided is not None and not decided.window_s


def _cameras(room: Room, evidence: Evidence) -> list[dict[str, Any]]:
    """Where the cameras of a fire stand; one that is no longer registered keeps at least its id."""
    stations = room.county().stations
    names = evidence.fix.cameras if evidence.fix is not None else ()
    found = [(name, stations.get(name)) for name in names]
    return [
        {
            "id": name,
            "name": station.name if station is not None else name,
            "latitude": station.latitude if station is not None else None,
            "longitude": station.longitude if station is not None else None,
        }
        for name, station in found
    ]
