"""The county's description in the store: written at start, read by every process."""

from datetime import datetime

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tongluo.region import County

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(County)


async def register(engine: AsyncEngine, county: County, now: datetime) -> None:
    """Make `county` the registered one."""
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM county WHERE code <> :code"), {"code": county.code})
        await connection.execute(
            text(
                "INSERT INTO county (code, description, registered) VALUES (:code, :description, :now) "
                "ON CONFLICT (code) DO UPDATE SET description = excluded.description, registered = excluded.registered "
                "WHERE county.description <> excluded.description"
            ),
            {"code": county.code, "description": _encoder.encode(county), "now": now},
        )


async def registered(engine: AsyncEngine) -> County | None:
    """The registered county, or None on a new store."""
    async with engine.connect() as connection:
        description = await connection.scalar(text("SELECT description FROM county"))
    return _decoder.decode(description) if description is not None else None
