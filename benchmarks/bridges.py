"""The peers of ingest: bridges from MQTT to Kafka that acknowledge after the log, and do no other work.

Each in its best ordinary form: what waits is sent together, and acknowledged when the log has it. None of them decodes,
places, refuses, judges or orders anything; a payload becomes a record as it came.

    python -m benchmarks.bridges aiomqtt|paho|mq-bridge HOST PORT BOOTSTRAP TOPIC ROOT CLIENT
"""

import asyncio
import importlib.util
import sys
import threading
from typing import Any, Final

import aiomqtt
import msgspec
import uvloop
from aiokafka import AIOKafkaProducer
from paho.mqtt.client import Client as Paho
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

# As many as our own client allows: what may be under way between broker and log.
RECEIVE_MAX: Final = 2000
BATCH: Final = 500
_SESSION_S: Final = 600

# By name: the module that must be there beside what is always there.
NEEDS: Final = {"aiomqtt": "aiomqtt", "paho": "confluent_kafka", "mq-bridge": "mq_bridge"}


class Way(msgspec.Struct, frozen=True):
    """From where to where. `client` is the MQTT client id."""

    host: str
    port: int
    bootstrap: str
    topic: str
    root: str
    client: str

    @property
    def filter(self) -> str:
        return f"{self.root}/+/readings"


def missing(name: str) -> str | None:
    """Why a peer cannot run here, if it cannot."""
    if importlib.util.find_spec(NEEDS[name]) is None:
        return f"the Python package {NEEDS[name].replace('_', '-')} is not installed: deploy/bootstrap bench"
    return None


def _properties() -> Properties:
    found = Properties(PacketTypes.CONNECT)
    found.SessionExpiryInterval = _SESSION_S
    found.ReceiveMaximum = RECEIVE_MAX
    return found


async def with_aiomqtt(way: Way) -> None:
    """aiomqtt to aiokafka; acknowledging by hand goes through aiomqtt's inside, it has no public way."""
    async with (
        AIOKafkaProducer(bootstrap_servers=way.bootstrap, acks="all", linger_ms=5) as producer,
        aiomqtt.Client(
            way.host,
            way.port,
            identifier=way.client,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=_properties(),
        ) as client,
    ):
        paho: Paho = client._client
        paho.manual_ack_set(True)
        await client.subscribe(way.filter, qos=1)
        print("ready", flush=True)
        under_way: list[tuple[asyncio.Future[Any], aiomqtt.Message]] = []
        async for message in client.messages:
            under_way.append((await producer.send(way.topic, message.payload), message))
            if len(under_way) >= BATCH or not len(client.messages):
                await asyncio.gather(*(sent for sent, _ in under_way))
                for _, taken in under_way:
                    paho.ack(taken.mid, taken.qos)
                under_way = []


def with_paho(way: Way) -> None:
    """paho to confluent-kafka (librdkafka), which sends in the background; its thread of deliveries acknowledges."""
    from confluent_kafka import Producer

    producer = Producer(
        {"bootstrap.servers": way.bootstrap, "acks": "all", "linger.ms": 5, "queue.buffering.max.messages": 0}
    )
    client = Paho(
        CallbackAPIVersion.VERSION2, way.client, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True
    )

    def taken(_: object, __: object, message: MQTTMessage) -> None:
        def delivered(error: object, ___: object) -> None:
            if error is not None:
                raise SystemExit(f"Kafka did not take a message: {error}")
            client.ack(message.mid, message.qos)

        producer.produce(way.topic, message.payload, on_delivery=delivered)

    def deliveries() -> None:
        while True:
            producer.poll(0.1)

    client.on_message = taken
    client.on_connect = lambda *_: client.subscribe(way.filter, qos=1)
    client.on_subscribe = lambda *_: print("ready", flush=True)
    threading.Thread(target=deliveries, daemon=True).start()
    client.connect(way.host, way.port, clean_start=False, properties=_properties())
    client.loop_forever()


def with_mq_bridge(way: Way) -> None:
    """mq-bridge (Rust): a route whose input is acknowledged after its output has accepted."""
    from mq_bridge import Route

    mqtt = {
        "url": f"mqtt://{way.host}:{way.port}",
        "topic": way.filter,
        "client_id": way.client,
        "qos": 1,
        "delayed_ack": False,
        "session_expiry_interval": _SESSION_S,
        "max_inflight": RECEIVE_MAX,
        "queue_capacity": 2 * RECEIVE_MAX,
    }
    kafka = {
        "url": way.bootstrap,
        "topic": way.topic,
        "create_topic": False,
        # Uncompressed, as the others send.
        "producer_options": [["acks", "all"], ["linger.ms", "5"], ["compression.type", "none"]],
    }
    route = Route.from_config(
        {
            "input": {"mqtt": mqtt},
            "output": {"kafka": kafka},
            "batch_size": BATCH,
            "required_delivery": "at_least_once",
        }
    )
    route.start()
    print("ready", flush=True)
    route.join()


def main(words: list[str]) -> None:
    name, host, port, bootstrap, topic, root, client = words
    way = Way(host, int(port), bootstrap, topic, root, client)
    match name:
        case "aiomqtt":
            uvloop.run(with_aiomqtt(way))
        case "paho":
            with_paho(way)
        case "mq-bridge":
            with_mq_bridge(way)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
