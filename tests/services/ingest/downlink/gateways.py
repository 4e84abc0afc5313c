"""Gateways that are not ours, and findings that make us ask something of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import aiomqtt
import msgspec

from tongluo import testing, wire
from tongluo.finding import Finding, Level
from tongluo.log.port import Entry
from tongluo.topics import FINDINGS

YES = b'{"accepted": true, "interval_s": 60}'


class Gateway:
    """A gateway by another's library. `answer` gives what it says to a command; None: nothing."""

    def __init__(self, port: int, name: str) -> None:
        self.port, self.name = port, name
        self.heard: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], bytes | None] = lambda command: YES

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Gateway"]:
        async with aiomqtt.Client("127.0.0.1", self.port, identifier=self.name) as client:
            await client.subscribe(f"tongluo/v1/{self.name}/commands", qos=1)
            task = asyncio.ensure_future(self._take(client))
            try:
                yield self
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _take(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            command = msgspec.json.decode(message.payload)
            self.heard.append(command)
            answer = self.answer(command)
            if answer is not None:
                await client.publish(f"tongluo/v1/{self.name}/commands/{command['id']}", answer, qos=1)


def finding(level: Level | None, time: datetime, site: str = "S-1") -> Finding:
    return Finding("rainstorm", "rainstorm", site, time, level, testing.evidence(time))


def entry(found: Finding) -> Entry:
    return Entry(FINDINGS, found.site, wire.FINDING.encode(found), found.time)
