"""The Sparkplug B host: edge nodes' births are remembered, their data read, and a rebirth asked for where one was missed.

One process at a time is the host: what an alias means is known only to who heard the birth. It says that it is there on
`spBv1.0/STATE/{host}`, as edge nodes with a primary host wait for it.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import mqtt5
import msgspec

from services.ingest.decoders import sparkplug
from services.ingest.decoders.parts import refuse, shown
from services.ingest.intake import Told
from services.ingest.keeper import Keeper
from services.ingest.mqtt import FieldConnection, Message
from services.ingest.observation import Refused
from services.ingest.places import Places
from tongluo.clock import milliseconds, wall_now

logger = logging.getLogger(__name__)

# An edge node that does not answer is not asked more often than this.
REBIRTH_EVERY: Final = timedelta(seconds=10)

Node = tuple[str, str]


class Births:
    """What is known of every registered edge node, and which are to be born again. Pure: times are arguments."""

    def __init__(self) -> None:
        self._nodes: dict[Node, sparkplug.EdgeNode] = {}
        self._asked: dict[Node, datetime] = {}

    def read(
        self, messages: Sequence[Message], places: Places
    ) -> tuple[list[Told | Message], list[sparkplug.Address]]:
        """What the messages hold, and whom to ask for a rebirth."""
        told: list[Told | Message] = []
        wanted: dict[Node, sparkplug.Address] = {}
        for message in messages:
            who = sparkplug.address(message.topic)
            if who is None:
                continue
            gateway = places.gateway(f"{who.group}/{who.edge}")
            if gateway not in places.county.gateways:
                told.append(Told(message, "", [_unknown(who, message.payload)]))
                continue
            node = who.group, who.edge
            outcome = sparkplug.take(who, message.payload, self._nodes.get(node))
            if outcome.node is None:
                self._nodes.pop(node, None)
            else:
                self._nodes[node] = outcome.node
            if outcome.missed:
                logger.warning("Sparkplug: %d messages of %s/%s are missing", outcome.missed, *node)
            if outcome.rebirth and self._may_ask(node, message.received):
                wanted[node] = who
            told.append(Told(message, gateway, outcome.found))
            if who.kind == "NBIRTH" or (who.kind == "NDEATH" and outcome.node is None):
                told.append(_status(message, gateway, online=who.kind == "NBIRTH"))
        return told, list(wanted.values())

    def _may_ask(self, node: Node, now: datetime) -> bool:
        if node in self._asked and now - self._asked[node] < REBIRTH_EVERY:
            return False
        self._asked[node] = now
        return True


class SparkplugHost:
    """A guest on ingest's connection (guests.py); `name` is the host's id in the STATE topic."""

    filters: tuple[str, ...] = ("spBv1.0/+/+/+", "spBv1.0/+/+/+/+")

    def __init__(self, name: str, keeper: Keeper, places: Callable[[], Places]) -> None:
        self._state = f"spBv1.0/STATE/{name}"
        self._keeper = keeper
        self._places = places
        self._births = Births()
        self._since = wall_now()
        self._field: FieldConnection | None = None

    def takes(self, topic: str) -> bool:
        return topic.startswith("spBv1.0/")

    def will(self) -> mqtt5.Will:
        # Of a time of its own for each connection: birth and will belong together by it.
        self._since = wall_now()
        payload = _state(False, self._since)
        return mqtt5.Will(self._state, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE, retain=True)

    def joined(self, field: FieldConnection) -> None:
        self._field = field
        field.publish(self._state, _state(True, self._since), retain=True)

    async def take(self, messages: Sequence[Message]) -> None:
        told, wanted = self._births.read(messages, self._places())
        await self._keeper.keep(told)
        for who in wanted:
            if self._field is not None:
                self._field.publish(*sparkplug.rebirth(who, wall_now()))


def _state(online: bool, since: datetime) -> bytes:
    """The same time in birth and will, by which an edge node knows which will belongs to which birth."""
    return msgspec.json.encode({"online": online, "timestamp": milliseconds(since)})


def _status(message: Message, gateway: str, *, online: bool) -> Message:
    """A birth or death as other gateways say it."""
    payload = msgspec.json.encode({"online": online})
    return Message(f"tongluo/v1/{gateway}/status", payload, message.received)


def _unknown(who: sparkplug.Address, payload: bytes) -> Refused:
    name = shown(f"{who.group}/{who.edge}")
    return refuse(
        "unknown_gateway",
        f"边缘节点 {name} 未登记；请把它登记为某个网关的地址，然后令其重新上线",
        f"edge node {name} is not registered; register it as the address of a gateway, then let it be born again",
        payload,
    )
