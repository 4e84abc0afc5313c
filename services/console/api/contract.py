"""What integrators build against: the MQTT side of the contract (OpenAPI has the HTTP side)."""

from typing import Any

from fastapi import APIRouter

from services.console.room import InRoom

router = APIRouter(tags=["contract"])


@router.get("/asyncapi.json", include_in_schema=False)
async def asyncapi(room: InRoom) -> dict[str, Any]:
    """The AsyncAPI 3.0 document; like the OpenAPI document it needs no log-in."""
    return room.asyncapi
