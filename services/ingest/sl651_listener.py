"""Telemetry stations that speak SL 651-2014 over plain TCP: a report is kept first, then acknowledged.

A frame becomes a message on the topic its gateway would use, `tongluo/v1/{address}/sl651`, and goes the way of all
messages; the gateway's id is the sender's address of ten digits. What is not acknowledged the station sends again
(6.3.2.3), and twice counts once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.ingest.decoders.sl651.acknowledge import acknowledge, request
from services.ingest.decoders.sl651.assembly import Missing
from services.ingest.decoders.sl651.body import Report
from services.ingest.decoders.sl651.session import Item, Session
from services.ingest.mqtt import Message
from tongluo.clock import wall_now
from tongluo.errors import TongluoError
from tongluo.supervise import Pulse

logger = logging.getLogger(__name__)

READ_BYTES: Final = 16 * 1024
Keep = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True)
class Bounds:
    """How much one listener and one connection may take.

    `idle_s`: stations that stay online say so every 40 s, at most 255 s (6.6.4.2). `stalled_s`: how long the rest of a
    frame, or a missing packet, is waited for. `answer_s`: how long a station may not read its answers.
    `refused_bytes`: bytes that were no frames, since the last frame, after which we hang up.
    """

    connections: int = 512
    idle_s: float = 600.0
    stalled_s: float = 20.0
    answer_s: float = 10.0
    refused_bytes: int = 64 * 1024


@dataclass
class _Connection:
    """One station's end of the line. Until a frame has come its gateway is named by its address on the network."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    gateway: str
    session: Session
    refused_bytes: int = 0


class Sl651Listener:
    """Listens until cancelled. `keep` returns when a message is durable; what it raises ends that connection only.

    `port` 0 takes a free one; `address` says which. With `stay_online` stations are asked not to hang up.
    """

    def __init__(
        self,
        host: str,
        port: int,
        keep: Keep,
        *,
        bounds: Bounds = Bounds(),
        stay_online: bool = False,
        now: Callable[[], datetime] = wall_now,
    ) -> None:
        self._host, self._port = host, port
        self._keep = keep
        self._bounds = bounds
        self._stay_online = stay_online
        self._now = now
        self._connected = 0
        self.address: tuple[str, int] | None = None

    async def run(self, pulse: Pulse) -> None:
        """Raises OSError when the port cannot be had."""
        # The group's end cancels what is connected: a report that is not yet acknowledged is sent again by its station.
        async with asyncio.TaskGroup() as group:

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                peer = str((writer.get_extra_info("peername") or ("unknown",))[0])
                if self._connected >= self._bounds.connections:
                    logger.warning(
                        "SL 651: %s is turned away, %d stations are connected", peer, self._connected
                    )
                    writer.close()
                    return
                self._connected += 1
                connection = _Connection(reader, writer, peer, Session())
                group.create_task(self._serve(connection, pulse), name=f"sl651 {peer}")

            server = await asyncio.start_server(accept, self._host, self._port, limit=READ_BYTES)
            try:
                self.address = server.sockets[0].getsockname()[:2]
                pulse.beat("listening")
                await server.serve_forever()
            finally:
                server.close()

    async def _serve(self, connection: _Connection, pulse: Pulse) -> None:
        try:
            await self._converse(connection, pulse)
        except TimeoutError:
            logger.info("SL 651: %s is silent or does not read its answers; hanging up", connection.gateway)
        except (OSError, TongluoError) as error:
            logger.warning("SL 651: connection with %s ended: %s", connection.gateway, error)
        except (ValueError, ArithmeticError, LookupError, TypeError, RecursionError):
            # A mistake of ours, but one station's bytes must never stand in the way of the others'.
            logger.exception("SL 651: bytes of %s could not be handled; hanging up", connection.gateway)
        finally:
            self._connected -= 1
            connection.writer.close()

    async def _converse(self, connection: _Connection, pulse: Pulse) -> None:
        """Until the station hangs up. Raises TimeoutError when it is silent, OSError, or what `keep` raises."""
        session = connection.session
        while connection.refused_bytes <= self._bounds.refused_bytes:
            patience_s = self._bounds.stalled_s if session.waiting else self._bounds.idle_s
            try:
                async with asyncio.timeout(patience_s):
                    data = await connection.reader.read(READ_BYTES)
            except TimeoutError:
                if not session.waiting:
                    raise
                await self._settle(connection, session.stalled(self._now()), pulse)
                continue
            if not data:
                await self._settle(connection, session.finish(self._now()), pulse)
                return
            await self._settle(connection, session.take(data, self._now()), pulse)
        logger.warning("SL 651: hanging up on %s: its bytes are no frames", connection.gateway)

    async def _settle(self, connection: _Connection, items: list[Item], pulse: Pulse) -> None:
        """Keep, and only then answer, one after the other."""
        for item in items:
            match item:
                case Report():
                    connection.gateway, connection.refused_bytes = item.frame.station, 0
                    await self._hand_on(connection, item.frame.raw)
                    pulse.count("reports", 1)
                    await self._answer(connection, acknowledge(item, self._now(), self._stay_online))
                case Missing():
                    await self._answer(connection, request(item, self._now()))
                case _:
                    connection.refused_bytes += len(item.raw)
                    await self._hand_on(connection, item.raw)

    async def _hand_on(self, connection: _Connection, payload: bytes) -> None:
        await self._keep(Message(f"tongluo/v1/{connection.gateway}/sl651", payload, self._now()))

    async def _answer(self, connection: _Connection, answer: bytes) -> None:
        if answer:
            connection.writer.write(answer)
            async with asyncio.timeout(self._bounds.answer_s):
                await connection.writer.drain()
