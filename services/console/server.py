"""uvicorn as one of our roles: no signals of its own, and a stop that ends the open streams first."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from services.console.hub import Hub
from tongluo.errors import MissingPartError
from tongluo.supervise import Pulse


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the program's business (services/__main__.py)."""
        yield


class Server:
    """Serves the app on one address, bound at once so that a busy port is told before anything starts."""

    def __init__(self, app: FastAPI, hub: Hub, host: str, port: int) -> None:
        self._app = app
        self._hub = hub
        self._host = host
        self._port = port
        self._socket: socket.socket | None = self._bind()
        bound = self._socket.getsockname()[1]
        self.url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '') else host}:{bound}"  # noqa: S104 - compared only

    async def run(self, pulse: Pulse) -> None:
        listening, self._socket = self._socket or self._bind(), None
        server = _Uvicorn(
            uvicorn.Config(
                self._app,
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=2,
                # The page is served from this machine or behind a proxy of the county's own.
                server_header=False,
            )
        )
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        pulse.beat()
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._hub.close()
            server.should_exit = True
            await serving
            raise
        finally:
            listening.close()

    def _bind(self) -> socket.socket:
        try:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            return socket.create_server((self._host, self._port), family=family, backlog=1024)
        except OSError as error:
            raise MissingPartError(
                f"cannot serve the page on {self._host}:{self._port} ({error.strerror}): "
                "stop the program that uses the port, or set TONGLUO_HTTP_PORT to another one"
            ) from error
