"""A rules process of its own, so that it can be killed; told to, it stops in the middle of a transaction."""

import asyncio
import sys

import msgspec
from aiokafka import AIOKafkaProducer

from services.rules.catalogue import load, read_catalogue
from services.rules.service import Rules
from tests.backends import Backend
from tongluo.supervise import Supervisor


async def main(backend: Backend, stop_at: int) -> None:
    if stop_at:
        stop_in_transaction(stop_at)
    catalogue = read_catalogue(load())
    async with backend.open() as log:
        supervisor = Supervisor()
        supervisor.add("rules", Rules(log, lambda: catalogue, snapshot_every=40, advance_every_s=0.02).run)
        async with supervisor.running():
            await supervisor.ready()
            say("running")
            await asyncio.Event().wait()


def stop_in_transaction(at: int) -> None:
    """The `at`-th transaction stays open: everything is sent, nothing is committed, the process says so and hangs."""
    commit = AIOKafkaProducer.commit_transaction
    done = 0

    async def hang(producer: AIOKafkaProducer) -> None:
        nonlocal done
        done += 1
        if done == at:
            await producer.flush()
            say("in the middle of a transaction")
            await asyncio.Event().wait()
        await commit(producer)

    AIOKafkaProducer.commit_transaction = hang


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Backend), int(sys.argv[2])))
