"""Is the program alive, does it do its work, and how far is it behind?"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse

from services.console.health import Health, exposition

router = APIRouter(tags=["health"])


def _health(request: Request) -> Health:
    health: Health = request.app.state.health
    return health


Asked = Annotated[Health, Depends(_health)]


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(health: Asked, response: Response) -> dict[str, Any]:
    """Every role does its work; 503 names those that wait, and for what."""
    found = health.readiness()
    response.status_code = 200 if found["ready"] else 503
    return found


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(health: Asked) -> PlainTextResponse:
    """Roles and consumer lag in Prometheus' text format."""
    text = exposition(health.readiness(), await health.lags(), await health.stations())
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")
