"""Silence in the store: how far it is judged, the events of it, and who is silent now."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from tongluo.liveness import EventKind, StationEvent
from tongluo.postgres import lock_number

_LOCK: Final = text("SELECT pg_try_advisory_xact_lock(:lock)").bindparams(lock=lock_number("silence"))
_EVENT: Final = text(
    "INSERT INTO station_event (id, station, gateway, site, kind, time, last, cause, words, recorded) "
    "VALUES (:id, :station, :gateway, :site, :kind, :time, :last, :cause, :words, :now) ON CONFLICT (id) DO NOTHING"
).bindparams(bindparam("words", type_=JSONB))
_SILENT: Final = text(
    "INSERT INTO station_silence (station, event) VALUES (:station, :id) "
    "ON CONFLICT (station) DO UPDATE SET event = excluded.event"
)
_SPEAKS: Final = text("DELETE FROM station_silence WHERE station = :station")
_BATTERIES: Final = text(
    "SELECT a.station, b.value FROM unnest(CAST(:stations AS text[]), CAST(:times AS timestamptz[])) "
    "AS a(station, moment), LATERAL (SELECT value FROM reading r WHERE r.station = a.station "
    "AND r.metric = 'battery' AND r.time <= a.moment ORDER BY r.time DESC LIMIT 1) AS b"
)


class Watch(msgspec.Struct, frozen=True):
    """Silence has been judged up to `judged`; we have listened without a break since `watched` (None: always)."""

    judged: datetime
    watched: datetime | None


async def lead(connection: AsyncConnection) -> bool:
    """Whether this transaction is the only one that judges; so until its end."""
    return bool(await connection.scalar(_LOCK))


async def watch(connection: AsyncConnection) -> Watch | None:
    row = (
        await connection.execute(text("SELECT judged, watched FROM silence_watch WHERE name = 'silence'"))
    ).first()
    return Watch(row[0], row[1]) if row is not None else None


async def keep_watch(connection: AsyncConnection, kept: Watch) -> None:
    await connection.execute(
        text(
            "INSERT INTO silence_watch (name, judged, watched) VALUES ('silence', :judged, :watched) "
            "ON CONFLICT (name) DO UPDATE SET judged = excluded.judged, watched = excluded.watched"
        ),
        msgspec.structs.asdict(kept),
    )


async def silent(connection: AsyncConnection) -> dict[str, datetime]:
    """Who is silent, and since when."""
    rows = await connection.execute(
        text("SELECT s.station, e.time FROM station_silence s JOIN station_event e ON e.id = s.event")
    )
    return {row[0]: row[1] for row in rows}


async def keep(connection: AsyncConnection, events: Sequence[StationEvent], now: datetime) -> None:
    """Write events in their order; one that is there already stays as it is. `now` is the wall's."""
    for event in events:
        row = {**msgspec.structs.asdict(event), "words": msgspec.to_builtins(event.words), "now": now}
        await connection.execute(_EVENT, row)
        turn = _SILENT if event.kind is EventKind.SILENT else _SPEAKS
        await connection.execute(turn, {"station": event.station, "id": event.id})


async def forget(connection: AsyncConnection, stations: Sequence[str]) -> None:
    """These are no longer registered, or not expected to speak: they are not silent any more."""
    await connection.execute(
        text("DELETE FROM station_silence WHERE station = ANY(:stations)"), {"stations": list(stations)}
    )


async def register(connection: AsyncConnection, stations: Sequence[str], now: datetime) -> None:
    """Note since when stations are registered, the first time they are seen."""
    await connection.execute(
        text(
            "INSERT INTO station_since (station, registered) SELECT s, :now FROM unnest(CAST(:stations AS text[])) AS s "
            "ORDER BY s ON CONFLICT DO NOTHING"
        ),
        {"stations": list(stations), "now": now},
    )


async def batteries(connection: AsyncConnection, moments: Mapping[str, datetime]) -> dict[str, float]:
    """What each station last told of its battery up to a moment, in V."""
    if not moments:
        return {}
    rows = await connection.execute(_BATTERIES, {"stations": list(moments), "times": list(moments.values())})
    return {row[0]: row[1] for row in rows}


async def untold(connection: AsyncConnection, limit: int) -> list[StationEvent]:
    """Events that the log may not have yet, in order."""
    rows = await connection.execute(
        text("SELECT * FROM station_event WHERE told IS NULL ORDER BY seq LIMIT :limit"), {"limit": limit}
    )
    return [event_of(row) for row in rows.mappings()]


async def told(connection: AsyncConnection, events: Sequence[StationEvent], now: datetime) -> None:
    await connection.execute(
        text("UPDATE station_event SET told = :now WHERE id = ANY(:ids)"),
        {"ids": [event.id for event in events], "now": now},
    )


def event_of(row: RowMapping) -> StationEvent:
    """A row of table station_event as what it is."""
    return msgspec.convert({name: row[name] for name in StationEvent.__struct_fields__}, StationEvent)
