"""A rules process that says when what happens to it: told of its partitions, state read, tail judged, ready.

It opens the log and waits; on a line of its standard input it joins the group. What it says is one JSON object, once,
when it is ready to judge what is new.

    python -m benchmarks.successor KAFKA-ADDRESS
"""

import asyncio
import signal
import sys
import time
from collections.abc import Iterable

import msgspec
import psutil
import uvloop
from aiokafka import TopicPartition

from services.rules.catalogue import Catalogue, load, read_catalogue
from services.rules.runner import Place, Runner
from services.rules.service import GROUP, Held, StationWork
from services.rules.stations.warm import warm
from tongluo.log import kafka_address
from tongluo.log.kafka import open_kafka
from tongluo.log.kafka_consumer import KafkaConsumer, _Listener
from tongluo.log.port import Assigned, Consumer, Event, Log, Snapshot
from tongluo.supervise import Pulse
from tongluo.topics import READINGS


class TakenOver(msgspec.Struct):
    """Moments of `time.monotonic`, and what was read. `assigned_s` is Kafka's word, `told_s` the log's after fencing.

    `tail` is in readings.
    """

    assigned_s: float = 0.0
    told_s: float = 0.0
    restored_s: float = 0.0
    ready_s: float = 0.0
    reading_s: float = 0.0
    snapshot_bytes: int = 0
    partitions: int = 0
    tail: int = 0
    memory_mib: int = 0


class Watched(Runner[Held]):
    """The rules' runner, noting when it has taken up what it was given."""

    def __init__(self, log: Log, catalogue: Catalogue, noted: TakenOver) -> None:
        work = StationWork(lambda: catalogue, lambda: None)
        super().__init__(log, Place(GROUP, READINGS, "readings"), work)
        self._noted = noted

    async def _meet(self, consumer: Consumer, event: Event | None) -> None:
        noted = self._noted
        if isinstance(event, Assigned):
            noted.told_s = time.monotonic()
        await super()._meet(consumer, event)
        if isinstance(event, Assigned):
            noted.restored_s = time.monotonic()
            noted.partitions = len(self._partitions)
        behind = any(p.judged < p.committed for p in self._partitions.values())
        if noted.restored_s and not noted.ready_s and not behind:
            noted.ready_s = time.monotonic()
            noted.tail = sum(p.since_snapshot for p in self._partitions.values())
            noted.memory_mib = psutil.Process().memory_info().rss // 2**20
            print(msgspec.json.encode(noted).decode(), flush=True)


def watch(noted: TakenOver) -> None:
    """Note also what the log itself does: when Kafka has assigned, and how long snapshots take to read."""
    assigned, snapshot = _Listener.on_partitions_assigned, KafkaConsumer.snapshot

    def on_assigned(self: _Listener, places: Iterable[TopicPartition]) -> None:
        noted.assigned_s = time.monotonic()
        assigned(self, places)

    async def timed(self: KafkaConsumer, partition: int) -> Snapshot | None:
        began_s = time.monotonic()
        found = await snapshot(self, partition)
        noted.reading_s += time.monotonic() - began_s
        noted.snapshot_bytes += len(found.value) if found else 0
        return found

    _Listener.on_partitions_assigned = on_assigned  # type: ignore[method-assign,assignment]
    KafkaConsumer.snapshot = timed  # type: ignore[method-assign]


async def main(address: str) -> None:
    noted = TakenOver()
    watch(noted)
    warm()
    loop = asyncio.get_running_loop()
    async with open_kafka(kafka_address.parse(address)) as log:
        print("waiting", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        rules = asyncio.ensure_future(Watched(log, read_catalogue(load()), noted).run(Pulse("rules")))
        loop.add_signal_handler(signal.SIGTERM, rules.cancel)
        await asyncio.wait([rules])
        if not rules.cancelled():
            rules.result()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
