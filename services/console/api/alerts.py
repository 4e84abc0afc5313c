"""Alerts: the list, and one with everything that is known of it."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import select, text

from services.console import words
from services.console.problems import Problem
from services.console.room import Entered, InRoom
from tongluo.finding import Level
from tongluo.region import County, covers
from tongluo.store.tables import alert

router = APIRouter(prefix="/alerts", tags=["alerts"])


class Which(StrEnum):
    OPEN = "open"
    CLEARED = "cleared"
    ALL = "all"


@router.get("")
async def alerts(
    room: InRoom,
    account: Entered,
    state: Which = Which.ALL,
    level: Level | None = None,
    hazard: str | None = None,
    area: Annotated[str | None, Query(pattern=r"^[0-9]{6,12}$")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Newest first. `area` is a division code and covers everything beneath it; `cursor` continues a page."""
    county = room.county()
    query = select(alert).order_by(alert.c.onset.desc(), alert.c.id.desc()).limit(limit + 1)
    if state is not Which.ALL:
        query = query.where(alert.c.level.is_not(None) if state is Which.OPEN else alert.c.level.is_(None))
    if level is not None:
        query = query.where(alert.c.level == level.value)
    if hazard is not None:
        query = query.where(alert.c.hazard == hazard)
    if area is not None:
        query = query.where(alert.c.site.in_(_sites_in(county, area)))
    if cursor is not None:
        at = select(alert.c.onset).where(alert.c.id == cursor).scalar_subquery()
        query = query.where((alert.c.onset < at) | ((alert.c.onset == at) & (alert.c.id < cursor)))
    async with room.engine.connect() as connection:
        rows = list((await connection.execute(query)).mappings())
    return {
        "items": [words.alert(row, county) for row in rows[:limit]],
        "next": rows[limit - 1]["id"] if len(rows) > limit else None,
    }


@router.get("/{alert_id}")
async def one(alert_id: str, room: InRoom, account: Entered) -> dict[str, Any]:
    """The alert, every report about it, and who has been told."""
    async with room.engine.connect() as connection:
        row = (await connection.execute(select(alert).where(alert.c.id == alert_id))).mappings().first()
        if row is None:
            raise Problem(404, f"there is no alert {alert_id}")
        reports = await connection.execute(
            text("SELECT * FROM report WHERE alert = :id ORDER BY no"), {"id": alert_id}
        )
        deliveries = await connection.execute(
            text(
                f"SELECT {words.DELIVERY_COLUMNS} FROM delivery d JOIN subscription s ON s.id = d.subscription "
                "WHERE d.alert = :id ORDER BY d.seq"
            ),
            {"id": alert_id},
        )
        return {
            **words.alert(row, room.county()),
            "history": [words.report(report) for report in reports.mappings()],
            "deliveries": [words.delivery(delivery) for delivery in deliveries.mappings()],
        }


def _sites_in(county: County, area: str) -> list[str]:
    return [site.id for site in county.sites.values() if covers(area, site.division)]
