"""uvicorn as one of our roles: no signals of its own, and a stop that ends the open streams first."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from tongluo.errors import MissingPartError
from tongluo.supervise import Pulse


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the program's business (services/__main__.py)."""
        yield


class Server:
    """Serves the app on a socket that is bound already."""

    def __init__(
        self, app: FastAPI, bound: socket.socket, end_streams: Callable[[], None] | None = None
    ) -> None:
        self._app = app
        self._end_streams = end_streams
        self._socket = bound
        host, port = bound.getsockname()[:2]
        self.url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared only

    async def run(self, pulse: Pulse) -> None:
        server = _Uvicorn(
            uvicorn.Config(
                self._app,
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
                server_header=False,
            )
        )
        # uvicorn closes what it is given; ours stays open for the next run of this role.
        serving = asyncio.ensure_future(server.serve(sockets=[self._socket.dup()]))
        pulse.beat()
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            if self._end_streams is not None:
                self._end_streams()
            server.should_exit = True
            await serving
            raise


def bind(host: str, port: int, what: str = "the page", setting: str = "TONGLUO_HTTP_PORT") -> socket.socket:
    """Listen, or raise MissingPartError with the setting to change."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise MissingPartError(
            f"cannot serve {what} on {host}:{port} ({os.strerror(error.errno or 0)}): "
            f"stop the program that uses the port, or set {setting} to another one"
        ) from error
