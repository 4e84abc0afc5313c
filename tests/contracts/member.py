"""A member of a group as a process of its own, so that it can be killed: says what it owns, takes, never commits."""

import asyncio
import sys

import msgspec

from tests.backends import Backend
from tongluo.log.port import Batch
from tongluo.topics import READINGS


async def main(backend: Backend) -> None:
    async with backend.open() as log, log.join("g", READINGS) as consumer:
        while True:
            event = await consumer.next(timeout_s=0.2)
            if event is not None and not isinstance(event, Batch):
                sys.stdout.write(f"{type(event).__name__} {len(event.partitions)}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Backend)))
