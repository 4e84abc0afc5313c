"""Is the program alive, and does it do its work?"""

from typing import Any

from fastapi import APIRouter, Response

from services.console.room import InRoom

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(room: InRoom, response: Response) -> dict[str, Any]:
    """Every role does its work; 503 names those that wait, and for what."""
    found = room.readiness()
    response.status_code = 200 if found["ready"] else 503
    return found
