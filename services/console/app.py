"""The duty room's HTTP face: the API, the stream, and the page."""

from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.console import problems
from services.console.api import (
    alerts,
    commands,
    completeness,
    contract,
    detections,
    health,
    liveness,
    quarantine,
    registry,
    rules,
    session,
    stations,
    stream,
    subscriptions,
    why,
)
from services.console.room import Room
from tongluo import __version__

_PARTS = (
    contract,
    session,
    alerts,
    stations,
    commands,
    detections,
    liveness,
    completeness,
    subscriptions,
    quarantine,
    registry,
    rules,
    why,
    stream,
)

_HEADERS = {
    # Without exceptions: the page styles its elements by classes and from its own scripts, never in markup.
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}

# Subscriptions are the largest bodies there are, but for files: of the registry, of the rules.
MOST_BODY_BYTES = 256 * 1024
MOST_FILE_BYTES = 8 * 1024 * 1024
_TAKES_FILES = frozenset(
    f"/api/v1/{path}"
    for path in (
        *("registry/check", "registry/diff", "registry/import"),
        *("rules", "rules/check", "rules/shadow", "rules/replay"),
    )
)


def build(room: Room) -> FastAPI:
    """The application over one room."""
    app = FastAPI(
        title="Tongluo",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.room = room
    app.state.health = room.health
    problems.install(app)
    app.include_router(health.router)
    for part in _PARTS:
        app.include_router(part.router, prefix="/api/v1")
    app.add_middleware(_Door)
    _add_page(app)
    return app


class _Door:
    """Security headers on every answer, streams included; and no request body larger than any of ours can be."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = MOST_FILE_BYTES if scope["path"] in _TAKES_FILES else MOST_BODY_BYTES
        body = await _small_body(scope, receive, most)
        if body is None:
            problem = problems.document(scope["path"], 413, f"a request body may have at most {most} bytes")
            await problem(scope, receive, send_with_headers)
            return
        await self._app(scope, _replayed(body, receive), send_with_headers)


async def _small_body(scope: Scope, receive: Receive, most: int) -> bytes | None:
    """The whole body, or None as soon as it is too large. A request without one is not waited for."""
    if scope["method"] in ("GET", "HEAD", "DELETE", "OPTIONS"):
        return b""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body once more for the app, then whatever else comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def _add_page(app: FastAPI) -> None:
    dist = Path(str(files("services.console"))) / "web" / "dist"
    if dist.is_dir():
        app.mount("/", StaticFiles(directory=dist, html=True), name="page")
        return

    @app.get("/", include_in_schema=False)
    async def unbuilt() -> PlainTextResponse:
        return PlainTextResponse("The page has not been built: run `make web` and start again.\n", 503)
