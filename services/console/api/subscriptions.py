"""Who is told: webhook subscriptions, their test, and what was delivered to them."""

import base64
import secrets
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, field_validator
from sqlalchemy import insert, select, text

from services.console import words
from services.console.problems import Problem
from services.console.room import Entered, InRoom
from tongluo import bells
from tongluo.clock import wall_now
from tongluo.finding import Level
from tongluo.hazards import HAZARDS
from tongluo.region import County
from tongluo.store.engine import ring
from tongluo.store.tables import delivery, subscription
from tongluo.wire import iso

router = APIRouter(prefix="/subscriptions", tags=["subscriptions"])

_LIST = (
    "SELECT s.*, count(d.id) FILTER (WHERE d.state = 'delivered') AS delivered, "
    "count(d.id) FILTER (WHERE d.state IN ('pending', 'sending')) AS pending, "
    "count(d.id) FILTER (WHERE d.state = 'failed') AS failed "
    "FROM subscription s LEFT JOIN delivery d ON d.subscription = s.id"
)


class NewSubscription(BaseModel):
    """Empty `hazards` or `areas` mean all. Areas are division codes; each covers everything beneath it."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    url: Annotated[str, Field(max_length=2000)]
    min_level: Level = Level.BLUE
    hazards: Annotated[list[str], Field(max_length=50)] = []
    areas: Annotated[list[str], Field(max_length=500)] = []

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http:// or https:// address with a host")
        _ = parts.port  # raises ValueError where it is no port
        if parts.username or parts.password:
            raise ValueError("must not carry a user name or password: the signature proves who sends")
        return url

    @field_validator("hazards")
    @classmethod
    def _known_hazards(cls, hazards: list[str]) -> list[str]:
        unknown = [hazard for hazard in hazards if hazard not in HAZARDS]
        if unknown:
            raise ValueError(f"unknown hazard {', '.join(unknown)[:100]}; known are {', '.join(HAZARDS)}")
        return hazards


class Change(BaseModel):
    enabled: bool


@router.get("")
async def subscriptions(room: InRoom, account: Entered) -> list[dict[str, Any]]:
    async with room.engine.connect() as connection:
        rows = await connection.execute(
            text(f"{_LIST} WHERE s.ended IS NULL GROUP BY s.id ORDER BY s.created, s.id")
        )
        return [_words(dict(row)) for row in rows.mappings()]


@router.post("", status_code=201)
async def subscribe(wish: NewSubscription, room: InRoom, account: Entered) -> dict[str, Any]:
    """The signing secret is in this answer and nowhere else."""
    unknown = [area for area in wish.areas if not _known(room.county(), area)]
    if unknown:
        raise Problem(422, f"areas: {', '.join(unknown)} is no division of {room.county().name}")
    row = {
        "id": secrets.token_hex(6),
        "secret": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "enabled": True,
        "created": wall_now(),
        **wish.model_dump(mode="json"),
    }
    async with room.engine.begin() as connection:
        await connection.execute(insert(subscription).values(row))
    return {**_words({**row, "delivered": 0, "pending": 0, "failed": 0}), "secret": row["secret"]}


@router.patch("/{subscription_id}")
async def change(subscription_id: str, wish: Change, room: InRoom, account: Entered) -> dict[str, Any]:
    """Disable (reports wait) or enable again (they go out)."""
    async with room.engine.begin() as connection:
        await connection.execute(
            subscription.update()
            .where(subscription.c.id == subscription_id, subscription.c.ended.is_(None))
            .values(enabled=wish.enabled)
        )
        await ring(connection, bells.OUTBOX)
        row = (
            await connection.execute(
                text(f"{_LIST} WHERE s.id = :id AND s.ended IS NULL GROUP BY s.id"), {"id": subscription_id}
            )
        ).mappings()
        found = row.first()
    if found is None:
        raise Problem(404, f"there is no subscription {subscription_id}")
    return _words(dict(found))


@router.delete("/{subscription_id}", status_code=204)
async def unsubscribe(subscription_id: str, room: InRoom, account: Entered) -> None:
    """Nothing more is sent. What was delivered before remains on record."""
    async with room.engine.begin() as connection:
        gone = await connection.execute(
            subscription.update()
            .where(subscription.c.id == subscription_id, subscription.c.ended.is_(None))
            .values(enabled=False, ended=wall_now())
        )
        if gone.rowcount == 0:
            raise Problem(404, f"there is no subscription {subscription_id}")
        await connection.execute(
            delivery.update()
            .where(delivery.c.subscription == subscription_id, delivery.c.state == "pending")
            .values(state="failed", error="the subscription has ended")
        )


@router.post("/{subscription_id}/test", status_code=202)
async def test(subscription_id: str, room: InRoom, account: Entered) -> dict[str, Any]:
    """Send a message of type `test`, which nobody can mistake for an alert, over the same way."""
    now, test_id = wall_now(), f"test-{secrets.token_hex(8)}"
    async with room.engine.begin() as connection:
        known = await connection.scalar(
            select(subscription.c.id).where(
                subscription.c.id == subscription_id, subscription.c.ended.is_(None)
            )
        )
        if known is None:
            raise Problem(404, f"there is no subscription {subscription_id}")
        await connection.execute(
            insert(delivery).values(
                id=test_id,
                subscription=subscription_id,
                body=_test_body(room.county()),
                state="pending",
                attempts=0,
                due=now,
                created=now,
            )
        )
        await ring(connection, bells.OUTBOX)
    return {"id": test_id}


@router.get("/{subscription_id}/deliveries")
async def deliveries(
    subscription_id: str, room: InRoom, account: Entered, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> dict[str, Any]:
    """Newest first."""
    async with room.engine.connect() as connection:
        rows = await connection.execute(
            text(
                f"SELECT {words.DELIVERY_COLUMNS} FROM delivery d JOIN subscription s ON s.id = d.subscription "
                "WHERE s.id = :id ORDER BY d.seq DESC LIMIT :limit"
            ),
            {"id": subscription_id, "limit": limit},
        )
        return {"items": [words.delivery(row) for row in rows.mappings()]}


def _known(county: County, area: str) -> bool:
    return any(code.ljust(12, "0") == area.ljust(12, "0") for code in county.divisions)


def _words(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "url": row["url"],
        "hazards": row["hazards"],
        "min_level": row["min_level"],
        "areas": row["areas"],
        "enabled": row["enabled"],
        "created": iso(row["created"]),
        "deliveries": {name: row[name] for name in ("delivered", "pending", "failed")},
    }


def _test_body(county: County) -> bytes:
    text_ = f"{county.name}应急广播：这是一次线路测试，请勿惊慌。"
    return msgspec.json.encode(
        {
            "type": "test",
            "timestamp": wall_now(),
            "data": {
                "broadcast": {
                    "text": text_,
                    "repeat": 1,
                    "priority": 4,
                    "areas": [county.code.ljust(12, "0")],
                }
            },
        }
    )
