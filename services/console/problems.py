"""Errors as RFC 9457 problem documents that name the thing and the mend."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
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
        return _document(request, error.status_code, str(error.detail), dict(error.headers or {}), extra)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [
            {"where": ".".join(str(part) for part in fault["loc"]), "fault": fault["msg"]}
            for fault in error.errors()
        ]
        detail = "; ".join(f"{fault['where']}: {fault['fault']}" for fault in faults)
        return _document(request, 422, detail, {}, {"faults": faults})


def _document(
    request: Request, status: int, detail: str, headers: dict[str, str], extra: dict[str, Any]
) -> JSONResponse:
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        **extra,
    }
    return JSONResponse(content, status, headers, media_type="application/problem+json")
