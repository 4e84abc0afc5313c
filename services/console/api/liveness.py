"""Who speaks and who does not: gateways, silent stations grouped by what they have in common, and the events of it."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import RowMapping, text

from services.console.problems import Problem
from services.console.room import Entered, InRoom
from tongluo import liveness
from tongluo.liveness import Cause, StationEvent
from tongluo.region import County
from tongluo.store import gateways, heard, silences
from tongluo.wire import iso

router = APIRouter(tags=["liveness"])

# What a whole gateway has in common is one line, however many stations hang on it.
WIDE = frozenset({Cause.GATEWAY_OFFLINE, Cause.GATEWAY_POWER, Cause.GATEWAY_SILENT, Cause.COUNTY_SILENT})


@router.get("/liveness")
async def now(room: InRoom, account: Entered) -> dict[str, Any]:
    """As of now. `silences`: one line for a whole gateway, one for every other silent station, the newest first."""
    county = room.county()
    async with room.engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT e.* FROM station_silence s JOIN station_event e ON e.id = s.event ORDER BY e.time DESC, e.id"
            )
        )
        events = [silences.event_of(row) for row in rows.mappings()]
        known = await heard.known(connection)
        states = await gateways.known(connection)
    events = [event for event in events if event.station in county.stations]
    silent = {event.station for event in events}
    speaking = [one for one in county.stations.values() if liveness.speaks(one)]
    never = [one.id for one in speaking if one.id not in known]
    return {
        "now": iso(room.clock.now()),
        "silent_after": room.silent_after,
        "stations": len(speaking),
        "silent": len(silent),
        "never_heard": never,
        "silences": _grouped(county, events),
        "gateways": [
            {
                "id": gateway.id,
                "name": gateway.name,
                **_state(states, gateway.id),
                "stations": sum(one.gateway == gateway.id for one in speaking),
                "silent": sum(one.gateway == gateway.id and one.id in silent for one in speaking),
                "last_heard": iso(
                    max(
                        (known[o.id].last for o in speaking if o.gateway == gateway.id and o.id in known),
                        default=None,
                    )
                ),
            }
            for gateway in county.gateways.values()
        ],
    }


@router.get("/events")
async def events(
    room: InRoom,
    account: Entered,
    station: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> dict[str, Any]:
    """Stations that fell silent or speak again, the newest first; `cursor` continues a page."""
    async with room.engine.connect() as connection:
        if cursor is not None and not await connection.scalar(
            text("SELECT EXISTS (SELECT FROM station_event WHERE id = :id)"), {"id": cursor}
        ):
            raise Problem(422, "`cursor` is not one that was given here as `next`")
        rows = await connection.execute(
            text(
                "SELECT * FROM station_event WHERE (CAST(:station AS text) IS NULL OR station = :station) "
                "AND (CAST(:cursor AS text) IS NULL OR (time, id) < "
                "  (SELECT time, id FROM station_event WHERE id = :cursor)) ORDER BY time DESC, id DESC LIMIT :limit"
            ),
            {"station": station, "cursor": cursor, "limit": limit + 1},
        )
        found = list(rows.mappings())
    return {
        "items": [told(row) for row in found[:limit]],
        "next": found[limit - 1]["id"] if len(found) > limit else None,
    }


def told(row: RowMapping) -> dict[str, Any]:
    """An event as the API and the stream say it."""
    event = silences.event_of(row)
    return {
        "id": event.id,
        "station": event.station,
        "gateway": event.gateway,
        "site": event.site,
        "kind": event.kind,
        "time": iso(event.time),
        "last": iso(event.last),
        "cause": event.cause,
        "words": {"zh": event.words.zh, "en": event.words.en},
    }


def _grouped(county: County, events: list[StationEvent]) -> list[dict[str, Any]]:
    """`since` is when the first of a line fell silent, `last` when the last of it was heard."""
    lines: dict[str, list[StationEvent]] = {}
    for event in events:
        wide = event.cause in WIDE
        lines.setdefault(f"gateway {event.gateway}" if wide else f"station {event.station}", []).append(event)
    return [_grouped_line(county, of) for of in lines.values()]


def _grouped_line(county: County, of: list[StationEvent]) -> dict[str, Any]:
    # The last one knew most: by then the others were silent, or the will had come.
    latest = of[0]
    cause = latest.cause or Cause.UNCLEAR
    zh, en = liveness.because(latest.gateway, cause)
    lasts = [event.last for event in of if event.last is not None]
    return {
        "gateway": latest.gateway,
        "cause": cause,
        "whole_gateway": cause in WIDE,
        "words": {"zh": zh, "en": en},
        "since": iso(min(event.time for event in of)),
        "last": iso(max(lasts, default=None)),
        "stations": [
            {
                "id": event.station,
                "name": county.stations[event.station].name,
                "since": iso(event.time),
                "last": iso(event.last),
            }
            for event in sorted(of, key=lambda event: event.station)
        ],
    }


def _state(states: Mapping[str, Any], gateway: str) -> dict[str, Any]:
    state = states.get(gateway)
    if state is None:
        return {"online": None, "since": None, "heard": None, "battery": None}
    return {
        "online": state.online,
        "since": iso(state.since),
        "heard": iso(state.heard),
        "battery": state.battery,
    }
