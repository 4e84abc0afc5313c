"""Errors as RFC 9457 problem documents that name the thing and the mend."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException as StarletteHTTPException


class Problem(HTTPException):
    """An answer that is not what was asked for; `detail` says what to do about it."""

    def __init__(
        self, status: int, detail: str, *, headers: dict[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(status, detail, headers)
        self.extra = extra


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""

    @app.exception_handler(StarletteHTTPException)
    async def _http(request: Request, error: StarletteHTTPException) -> JSONResponse:
        extra = error.extra if isinstance(error, Problem) else {}
        return document(request.url.path, error.status_code, str(error.detail), error.headers, **extra)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [
            {"where": ".".join(str(part) for part in fault["loc"]), "fault": fault["msg"]}
            for fault in error.errors()
        ]
        detail = "; ".join(f"{fault['where']}: {fault['fault']}" for fault in faults)
        return document(request.url.path, 422, detail, faults=faults)

    @app.exception_handler(DataError)
    async def _unstorable(request: Request, error: DataError) -> JSONResponse:
        # NUL, half characters, times beyond the calendar: the store cannot hold what was asked for.
        return document(
            request.url.path, 422, "the request holds characters or numbers that cannot be stored"
        )

    @app.exception_handler(OperationalError)
    @app.exception_handler(InterfaceError)
    @app.exception_handler(PoolTimeout)
    async def _away(request: Request, error: Exception) -> JSONResponse:
        return document(
            request.url.path, 503, "the store is not reachable; try again shortly", {"retry-after": "5"}
        )

    @app.exception_handler(Exception)
    async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
        return document(request.url.path, 500, "a mistake of the program; its log says more")


def document(
    path: str, status: int, detail: str, headers: Mapping[str, str] | None = None, **extra: Any
) -> JSONResponse:
    """A problem document; `extra` are members of its own."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": path,
        **extra,
    }
    return JSONResponse(content, status, dict(headers or {}), media_type="application/problem+json")
