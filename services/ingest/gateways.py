"""Births and last wills on their way to the log: which messages they are, and what becomes of each."""

from services.ingest import pipeline
from services.ingest.decoders import status
from services.ingest.mqtt import Message
from services.ingest.observation import Refused
from tongluo import wire
from tongluo.gateway import GatewayStatus
from tongluo.hazards import Words
from tongluo.log.port import Entry
from tongluo.reading import Refusal
from tongluo.region import County
from tongluo.topics import QUARANTINE, STATUS


def is_status(message: Message) -> bool:
    """Whether a message is on the topic of births and wills, `tongluo/v1/{gw}/status`."""
    return message.topic.endswith("/status") and message.topic.count("/") == 3


def read(message: Message, county: County) -> GatewayStatus | Refusal | None:
    """What a birth or will says; None where it only deletes a retained one."""
    gateway = message.topic.split("/")[2]
    if gateway not in county.gateways:
        reason = Words(
            f"网关 {gateway[:64]} 未登记；请先登记，再重新入队",
            f"gateway {gateway[:64]} is not registered; register it, then requeue",
        )
        return pipeline.refusal(message, gateway, "unknown_gateway", reason, message.payload)
    found = status.decode(gateway, message.payload, message.received, retained=message.retained)
    if isinstance(found, Refused):
        return pipeline.refusal(message, gateway, found.code, found.reason, found.raw)
    return found


def entries(message: Message, county: County) -> list[Entry]:
    """The entry of the log for a birth or will, or for its refusal."""
    match read(message, county):
        case None:
            return []
        case GatewayStatus() as found:
            return [Entry(STATUS, found.gateway, wire.STATUS.encode(found), found.received)]
        case Refusal() as refused:
            return [Entry(QUARANTINE, refused.gateway, wire.REFUSAL.encode(refused), refused.received)]
