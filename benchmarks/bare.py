"""The peer without judgement: aiomqtt to aiokafka, and aiokafka to rows of PostgreSQL, as two processes.

What a first afternoon's bridge does. It knows no stations, keeps no order by site, acknowledges before anything is
durable, and would count twice what comes twice.

    python -m benchmarks.bare bridge HOST PORT BOOTSTRAP TOPIC
    python -m benchmarks.bare sink BOOTSTRAP TOPIC DSN
"""

import json
import sys
from typing import Any

import aiomqtt
import psycopg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

# Not the program's own topics: both may be on one broker, and neither is to do the other's work.
ROOT = "bare/v1"
TABLE = "CREATE TABLE bare (station text, metric text, time timestamptz, value float8)"
_INSERT = "INSERT INTO bare (station, metric, time, value) VALUES (%s, %s, %s, %s)"


async def bridge(host: str, port: int, bootstrap: str, topic: str) -> None:
    async with (
        AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=5) as producer,
        aiomqtt.Client(host, port) as client,
    ):
        await client.subscribe(f"{ROOT}/+/readings", qos=1)
        print("ready", flush=True)
        async for message in client.messages:
            await producer.send(topic, bytes(message.payload))


async def sink(bootstrap: str, topic: str, dsn: str) -> None:
    async with (
        AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, group_id="bare", auto_offset_reset="earliest"
        ) as consumer,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
    ):
        print("ready", flush=True)
        while True:
            found = await consumer.getmany(timeout_ms=200, max_records=2000)
            rows = [row for records in found.values() for record in records for row in _rows(record.value)]
            if rows:
                async with connection.transaction(), connection.cursor() as cursor:
                    await cursor.executemany(_INSERT, rows)


def _rows(payload: bytes) -> list[tuple[Any, ...]]:
    found = json.loads(payload)
    readings = found if isinstance(found, list) else [found]
    return [(r["station"], r["metric"], r["time"], r["value"]) for r in readings]


def main(words: list[str]) -> None:
    match words:
        case ["bridge", host, port, bootstrap, topic]:
            uvloop.run(bridge(host, int(port), bootstrap, topic))
        case ["sink", bootstrap, topic, dsn]:
            uvloop.run(sink(bootstrap, topic, dsn))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
