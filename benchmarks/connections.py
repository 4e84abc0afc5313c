"""Ten thousand gateways, in a process of its own: connected and idle, and back again whenever they are cut off.

    python -m benchmarks.connections PORT CREDENTIALS.csv

Each gateway is a socket with a CONNECT of MQTT 3.1.1 and a keep-alive; one that is refused or cut off tries again after
between half a second and one and a half. Says in one JSON line whenever all are in: how many seconds after the start, or
after the first was cut off (`time.monotonic`, which processes of a machine share).
"""

import asyncio
import csv
import random
import sys
import time
from pathlib import Path
from typing import Final, cast

import msgspec
import uvloop

# Not all in the same millisecond: the listening socket's queue is not endless, and what overflows waits for seconds.
OPENING: Final = 500
KEEP_ALIVE_S: Final = 600


class AllIn(msgspec.Struct, frozen=True):
    """When the first knocked or was cut off, when the last was in, and how many attempts failed between."""

    began_s: float
    ended_s: float
    failed: int


def connect(user: str, password: str) -> bytes:
    """A gateway's CONNECT."""
    fields = b"".join(len(word).to_bytes(2, "big") + word.encode() for word in (user, user, password))
    body = b"\x00\x04MQTT\x04\xc2" + KEEP_ALIVE_S.to_bytes(2, "big") + fields
    return (
        b"\x10" + bytes([len(body)] if len(body) < 128 else [len(body) % 128 + 128, len(body) // 128]) + body
    )


class _Gateway(asyncio.Protocol):
    """Knocks, and holds on."""

    def __init__(self, field: "Field", hello: bytes) -> None:
        self._field = field
        self._hello = hello
        self._in = False
        self.answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._hello)

    def data_received(self, data: bytes) -> None:
        if not self._in:
            self._in = data[:4] == b"\x20\x02\x00\x00"
            self.answered.set_result(self._in)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_result(False)
        if self._in:
            self._field.cut_off(self._hello)


class Field:
    """All gateways, and how many of them are in."""

    def __init__(self, port: int, hellos: list[bytes]) -> None:
        self._port = port
        self._opening = asyncio.Semaphore(OPENING)
        self._out = len(hellos)
        self._failed = 0
        self._began_s = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        for hello in hellos:
            self._start(hello, 0.0)

    def cut_off(self, hello: bytes) -> None:
        """One has lost its connection."""
        if self._out == 0:
            self._began_s, self._failed = time.monotonic(), 0
        self._out += 1
        self._start(hello, random.uniform(0.5, 1.5))  # noqa: S311 - no secret

    def _start(self, hello: bytes, wait_s: float) -> None:
        task = asyncio.ensure_future(self._come_in(hello, wait_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _come_in(self, hello: bytes, wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(wait_s)
            async with self._opening:
                try:
                    _, gateway = await loop.create_connection(
                        lambda: _Gateway(self, hello), "127.0.0.1", self._port
                    )
                    if await gateway.answered:
                        break
                except OSError:
                    pass  # counted below
            self._failed += 1
            wait_s = random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        self._out -= 1
        if self._out == 0:
            said = AllIn(self._began_s, time.monotonic(), self._failed)
            sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
            sys.stdout.flush()


async def run(port: int, credentials: Path) -> None:
    with credentials.open() as file:
        known = [(row["user"], row["password"]) for row in csv.DictReader(file)]
    Field(port, [connect(user, password) for user, password in known if not user.startswith("tongluo-")])
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]), Path(sys.argv[2])))
