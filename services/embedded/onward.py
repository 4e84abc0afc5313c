"""The gate's connection to the broker, for one client."""

import asyncio
from typing import Final, Protocol, cast

from services.embedded.warden import Boundary

_MOST_ANSWERS_BYTES: Final = 64 * 1024


class Client(Protocol):
    """The other side: who the broker's bytes are for."""

    def write(self, data: bytes) -> None: ...
    def hold(self) -> None: ...
    def go_on(self) -> None: ...
    def close(self) -> None: ...


class Onward(asyncio.Protocol):
    """Our connection to the broker, for one client."""

    def __init__(self, visit: Client) -> None:
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._visit = visit
        self._transport: asyncio.Transport | None = None
        self._boundary = Boundary()
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self.answered.done():
            self.answered.set_result(None)
        between = self._boundary.take(data)
        if self._waiting and between is not None:
            data = data[:between] + self._waiting + data[between:]
            self._waiting = b""
        self._visit.write(data)

    def pause_writing(self) -> None:
        self._visit.hold()

    def resume_writing(self) -> None:
        self._visit.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self.answered.done():
            self.answered.set_exception(ConnectionResetError("the broker behind the gate closed"))
            # Whoever has stopped waiting must not be told off for it.
            self.answered.exception()
        self._visit.close()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def answer(self, data: bytes) -> bool:
        """An answer of the gate's own, between two of the broker's packets; False when too many wait for one."""
        if self._boundary.between:
            self._visit.write(data)
            return True
        self._waiting += data
        return len(self._waiting) <= _MOST_ANSWERS_BYTES

    def hold(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def go_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
