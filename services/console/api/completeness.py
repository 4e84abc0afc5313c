"""What was expected, received, late, flagged and missing, by station and day: to be looked at, and exported."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from services.console.completeness import StationDay, chosen, of_day
from services.console.problems import Problem
from services.console.room import Entered, InRoom, Room
from tongluo import completeness
from tongluo.completeness import FLAGS, Day, Line
from tongluo.quality import Flag
from tongluo.region import Station
from tongluo.store import completeness as store
from tongluo.wire import iso

router = APIRouter(prefix="/completeness", tags=["completeness"])

# Stations times days of one answer, and of one export, which is streamed.
MOST_SHOWN, MOST_EXPORTED = 10_000, 200_000
MOST_DAYS = 366
MOST_READINGS = 20_000
FIRST, LAST = date(1900, 1, 1), date(2199, 12, 31)

From = Annotated[date | None, Query(alias="from")]
To = Annotated[date | None, Query(alias="to")]
Township = Annotated[str | None, Query(pattern=r"^[0-9]{6,12}$")]
StationId = Annotated[str | None, Query(max_length=64)]


@router.get("")
async def by_day(
    room: InRoom,
    account: Entered,
    begin: From = None,
    end: To = None,
    station: StationId = None,
    township: Township = None,
) -> dict[str, Any]:
    """Local days from `from` to `to` (default: the last seven): the county's or township's by day, and each station's.

    `missing` counts intervals without a reading; `received` may be more than `expected`. `expected` is null for what
    has no interval of its own (the battery).
    """
    days, stations = _asked(room, begin, end, (station, township), MOST_SHOWN)
    found: dict[str, list[StationDay]] = {one.id: [] for one in stations}
    async with room.engine.connect() as connection:
        for day in days:
            async for one in of_day(connection, room, day, stations):
                found[one.station.id].append(one)
    return {
        "timezone": room.timezone,
        "from": days[0].date.isoformat(),
        "to": days[-1].date.isoformat(),
        "flags": [_flag(flag.name) for flag in FLAGS],
        "days": [
            {
                "date": day.date.isoformat(),
                **_line(completeness.total([found[one.id][nth].total for one in stations])),
            }
            for nth, day in enumerate(days)
        ],
        "stations": [
            {
                "id": one.id,
                "name": one.name,
                "gateway": one.gateway,
                "interval_s": one.interval_s,
                **_line(completeness.total([each.total for each in found[one.id]])),
                "days": [_station_day(each) for each in found[one.id]],
            }
            for one in stations
        ],
    }


_HEADER = (
    "日期 Date", "站号 Station", "站名 Name", "网关 Gateway", "乡镇 Township", "指标 Metric", "间隔（秒） Interval (s)",
    "应到 Expected", "实到 Received", "缺报 Missing", "到报率 Rate", "迟到 Late", "有标记 Flagged",
)  # fmt: skip
_FLAG_WORDS = {
    "range": "超范围", "rate": "突变", "stuck": "不变", "spike": "尖峰", "clock": "时钟", "duplicate": "重复",
    "order": "乱序", "neighbour": "邻站不符", "battery": "低电压", "late": "补报",
}  # fmt: skip


@router.get("/export.csv", response_class=StreamingResponse)
async def export(
    room: InRoom,
    account: Entered,
    begin: From = None,
    end: To = None,
    station: StationId = None,
    township: Township = None,
) -> StreamingResponse:
    """The same by day, station and metric as CSV (UTF-8 with a byte order mark, for spreadsheets), streamed."""
    days, stations = _asked(room, begin, end, (station, township), MOST_EXPORTED)
    name = f"completeness-{days[0].date.isoformat()}-{days[-1].date.isoformat()}.csv"
    return StreamingResponse(
        _csv(room, days, stations),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _csv(room: Room, days: list[Day], stations: list[Station]) -> AsyncIterator[bytes]:
    flags = [_flag(flag.name) for flag in FLAGS]
    header = [*_HEADER, *(f"{_FLAG_WORDS.get(flag, flag)} {flag}" for flag in flags)]
    yield b"\xef\xbb\xbf" + _rows([[*header, "缺号 Numbers missing", "计数范围 Counted by"]])
    for day in days:
        # A connection a day: a slow reader must not hold one of the store's for hours.
        async with room.engine.connect() as connection:
            lines = [
                row async for one in of_day(connection, room, day, stations) for row in _csv_rows(room, one)
            ]
        yield _rows(lines)


def _csv_rows(room: Room, one: StationDay) -> list[list[Any]]:
    county = room.county()
    site = county.sites.get(one.station.site)
    township = county.township_of(site) if site is not None else None
    numbers = ["", ""]
    if one.numbers is not None:
        numbers = [str(one.numbers.missing), "gateway" if one.numbers.together else "station"]
    return [
        [
            one.day.date.isoformat(),
            _plain(one.station.id),
            _plain(one.station.name),
            _plain(one.station.gateway),
            _plain(township.name if township is not None else ""),
            metric,
            one.station.interval_s,
            "" if line.expected is None else line.expected,
            line.received,
            "" if line.expected is None else line.missing,
            "" if line.rate is None else f"{line.rate:.4f}",
            line.late,
            *line.flagged,
            *numbers,
        ]
        for metric, line in one.metrics.items()
    ]


def _plain(words: str) -> str:
    """A name that a spreadsheet does not take for a formula."""
    return f"'{words}" if words[:1] in ("=", "+", "-", "@", "\t", "\r") else words


def _rows(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


@router.get("/{station_id}/{day}")
async def one_day(station_id: str, day: date, room: InRoom, account: Entered) -> dict[str, Any]:
    """One station's day: each metric's readings with flags and lateness, and the spans in which one is missing."""
    station = room.county().stations.get(station_id)
    if station is None:
        raise Problem(404, f"station {station_id} is not registered")
    _within(day)
    [local] = completeness.days(day, day, ZoneInfo(room.timezone))
    async with room.engine.connect() as connection:
        [counted] = [one async for one in of_day(connection, room, local, [station])]
        rows = await store.readings(connection, station, local, MOST_READINGS + 1)
        since = (await store.known_since(connection)).get(station.id)
    wanted = completeness.expected(local, station.interval_s, since, room.clock.now())
    limit = completeness.late_after(station.interval_s) if room.mode == "live" else None
    metrics: dict[str, Any] = {}
    for metric, line in counted.metrics.items():
        mine = [row for row in rows[:MOST_READINGS] if row["metric"] == metric]
        times = [row["time"] for row in mine]
        inside = [row for row in mine if local.begin < row["time"] <= local.end]
        first = inside[0]["time"] if inside else None
        spans = [] if line.expected is None else completeness.missing(wanted, first, times)
        metrics[metric] = {
            **_line(line),
            "readings": [_reading(row, limit) for row in inside],
            "gaps": [{"from": iso(begin), "to": iso(end)} for begin, end in spans],
        }
    return {
        **_station_day(counted),
        "station": station.id,
        "interval_s": station.interval_s,
        "begin": iso(local.begin),
        "end": iso(local.end),
        "expected_from": iso(wanted.begin),
        "expected_to": iso(max(wanted.begin, wanted.end)),
        "truncated": len(rows) > MOST_READINGS,
        "metrics": metrics,
    }


def _asked(
    room: Room, begin: date | None, end: date | None, where: tuple[str | None, str | None], most: int
) -> tuple[list[Day], list[Station]]:
    """The days and stations of a question. Raises Problem when there are none, or too many."""
    zone = ZoneInfo(room.timezone)
    end = end or room.clock.now().astimezone(zone).date()
    begin = begin or max(FIRST, end - timedelta(days=6))
    for day in (begin, end):
        _within(day)
    if begin > end:
        raise Problem(422, f"`from` ({begin}) must not be after `to` ({end})")
    county = room.county()
    station, township = where
    if station is not None and station not in county.stations:
        raise Problem(404, f"station {station} is not registered")
    stations = chosen(county, station, township)
    count = (end - begin).days + 1
    if count > MOST_DAYS or count * len(stations) > most:
        raise Problem(
            422,
            f"{count} days of {len(stations)} stations are too much at once (at most {MOST_DAYS} days and {most} "
            "days times stations): ask for fewer days, a township or a station",
        )
    return completeness.days(begin, end, zone), stations


def _within(day: date) -> None:
    if not FIRST <= day <= LAST:
        raise Problem(422, f"days must lie between {FIRST} and {LAST}")


def _line(line: Line) -> dict[str, Any]:
    by_flag = dict(zip((_flag(flag.name) for flag in FLAGS), line.flagged[1:], strict=True))
    return {
        "expected": line.expected,
        "received": line.received,
        "late": line.late,
        "flagged": line.flagged[0],
        "flags": {name: number for name, number in by_flag.items() if number},
        "missing": line.missing,
        "rate": None if line.rate is None else round(line.rate, 4),
    }


def _station_day(one: StationDay) -> dict[str, Any]:
    numbers = one.numbers
    return {
        "date": one.day.date.isoformat(),
        **_line(one.total),
        "metrics": {metric: _line(line) for metric, line in one.metrics.items()},
        "numbers": None
        if numbers is None
        else {
            "missing": numbers.missing,
            "resets": numbers.resets,
            "counted_by": "gateway" if numbers.together else "station",
        },
    }


def _reading(row: dict[str, Any], limit: timedelta | None) -> dict[str, Any]:
    flags = [_flag(flag.name) for flag in FLAGS if row["flags"] & flag.value]
    late = bool(row["flags"] & Flag.LATE) or (limit is not None and row["recorded"] - row["time"] > limit)
    return {
        "time": iso(row["time"]),
        "recorded": iso(row["recorded"]),
        "flags": flags,
        "late": late,
        "seq": row["seq"],
    }


def _flag(name: str | None) -> str:
    return (name or "").lower()
