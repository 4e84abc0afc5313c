"""Rows of the store as the API says them."""

from typing import Any

from sqlalchemy import RowMapping

from tongluo.hazards import hazard_name
from tongluo.region import County
from tongluo.wire import iso

DELIVERY_COLUMNS = (
    "d.id, d.alert, d.report_no, d.state, d.attempts, d.status, d.error, d.created, d.delivered, "
    "s.id AS subscription_id, s.name AS subscription_name"
)


def site(county: County, site_id: str) -> dict[str, Any]:
    """A site with its township; one no longer registered keeps at least its id."""
    found = county.sites.get(site_id)
    if found is None:
        return {"id": site_id, "name": site_id, "township": None, "latitude": None, "longitude": None}
    township = county.township_of(found)
    return {
        "id": found.id,
        "name": found.name,
        "kind": found.kind,
        "division": found.division,
        "township": {"code": township.code, "name": township.name} if township is not None else None,
        "latitude": found.latitude,
        "longitude": found.longitude,
    }


def alert(row: RowMapping, county: County) -> dict[str, Any]:
    name = hazard_name(row["hazard"])
    cleared = row["level"] is None
    return {
        "id": row["id"],
        "hazard": row["hazard"],
        "hazard_name": {"zh": name.zh, "en": name.en},
        "site": site(county, row["site"]),
        "level": row["level"],
        "peak": row["peak"],
        "state": row["state"],
        "onset": iso(row["onset"]),
        "updated": iso(row["updated"]),
        "cleared": iso(row["updated"]) if cleared else None,
        "report_no": row["report_no"],
        "headline": row["headline"],
        "evidence": row["evidence"],
        "drill": row["drill"],
    }


def report(row: RowMapping) -> dict[str, Any]:
    return {
        "no": row["no"],
        "time": iso(row["time"]),
        "transition": row["transition"],
        "level_from": row["level_from"],
        "level_to": row["level_to"],
        "headline": row["headline"],
        "evidence": row["evidence"],
    }


def delivery(row: RowMapping) -> dict[str, Any]:
    return {
        "id": row["id"],
        "alert": row["alert"],
        "report_no": row["report_no"],
        "subscription": {"id": row["subscription_id"], "name": row["subscription_name"]},
        "state": row["state"],
        "attempts": row["attempts"],
        "status": row["status"],
        "error": row["error"],
        "created": iso(row["created"]),
        "delivered": iso(row["delivered"]),
    }
