"""Our topics in a Kafka cluster: as many partitions as the program counts on, kept and compacted as it needs."""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from tongluo.errors import MissingPartError
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.port import MAX_ENTRY_BYTES
from tongluo.topics import TOPICS

# Snapshots of partitions' states. Its partitions are numbered as those of the topic that the state is made from.
STATE: Final = "state"
STATE_PARTITIONS: Final = max(topic.partitions for topic in TOPICS)

# A record is a little larger than what is in it.
MAX_RECORD_BYTES: Final = MAX_ENTRY_BYTES + 64 * 1024
_FOREVER: Final = "-1"
_VISIBLE_S: Final = 10.0


def wanted(replication: int) -> dict[str, NewTopic]:
    """Every topic of ours by its name without the namespace, with the settings it must have.

    Kafka's own retention stays off: it would delete by age what a consumer has not read yet. `KafkaLog.trim` deletes
    what is old and taken.
    """
    common = {
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "min.insync.replicas": str(max(1, replication - 1)),
        # Records carry the time of their event, which may lie years back or a little ahead.
        "message.timestamp.type": "CreateTime",
        "message.timestamp.before.max.ms": str(2**63 - 1),
        "message.timestamp.after.max.ms": str(2**63 - 1),
    }
    kept = {**common, "cleanup.policy": "delete", "retention.ms": _FOREVER, "retention.bytes": _FOREVER}
    compacted = {
        **common,
        "cleanup.policy": "compact",
        # Small segments and little patience: a state is written often and only its newest form is worth anything.
        "segment.bytes": str(64 * 1024 * 1024),
        "segment.ms": str(10 * 60 * 1000),
        "min.cleanable.dirty.ratio": "0.1",
        "max.compaction.lag.ms": str(30 * 60 * 1000),
    }
    found = {topic.name: (topic.partitions, kept) for topic in TOPICS} | {
        STATE: (STATE_PARTITIONS, compacted)
    }
    return {
        name: NewTopic(name, partitions, replication, topic_configs=configs)
        for name, (partitions, configs) in found.items()
    }


async def ensure(address: KafkaAddress, replication: int) -> list[str]:
    """Create what is missing and correct what differs; returns what was done, one line each.

    Raises MissingPartError when the cluster cannot be reached, refuses, or has a topic with other partitions: keys
    would change their partition, and with it their order.
    """
    done: list[str] = []
    admin = AIOKafkaAdminClient(**address.clients())
    try:
        await admin.start()
        counts = await _partitions(admin)
        for name, topic in wanted(replication).items():
            full = address.named(name)
            if full not in counts:
                await _create(admin, full, topic)
                done.append(f"created {full}: {topic.num_partitions} partitions, {replication} replicas")
            elif counts[full] != topic.num_partitions:
                raise MissingPartError(_other_partitions(full, counts[full], topic.num_partitions))
            else:
                changed = await _correct(admin, full, topic.topic_configs)
                done += [f"{full}: {line}" for line in changed]
        await _visible(admin, address)
    except (KafkaError, OSError, TimeoutError) as error:
        raise MissingPartError(
            f"Kafka at {address.bootstrap} cannot be prepared ({error!r}): start it, or correct TONGLUO_LOG"
        ) from error
    finally:
        await admin.close()
    return done


async def remove(address: KafkaAddress) -> None:
    """Delete every topic of the namespace with all that is in it."""
    admin = AIOKafkaAdminClient(**address.clients())
    try:
        await admin.start()
        await admin.delete_topics([address.named(name) for name in wanted(1)])
    except (KafkaError, OSError) as error:
        raise MissingPartError(f"Kafka at {address.bootstrap} does not let topics go: {error!r}") from error
    finally:
        await admin.close()


async def examine(address: KafkaAddress) -> None:
    """`inspect` from outside. Raises MissingPartError also when the cluster cannot be reached."""
    admin = AIOKafkaAdminClient(**address.clients())
    try:
        await admin.start()
        await inspect(admin, address)
    except (KafkaError, OSError) as error:
        raise MissingPartError(
            f"Kafka at {address.bootstrap} cannot be reached ({error!r}): start it, or correct TONGLUO_LOG"
        ) from error
    finally:
        await admin.close()


async def inspect(admin: AIOKafkaAdminClient, address: KafkaAddress) -> None:
    """Raises MissingPartError if a topic is missing or has other partitions than the program counts on."""
    counts = await _partitions(admin)
    for name, topic in wanted(1).items():
        full = address.named(name)
        if full not in counts:
            raise MissingPartError(
                f"Kafka at {address.bootstrap} has no topic {full}: run `tongluo admin topics` first"
            )
        if counts[full] != topic.num_partitions:
            raise MissingPartError(_other_partitions(full, counts[full], topic.num_partitions))


async def _visible(admin: AIOKafkaAdminClient, address: KafkaAddress) -> None:
    """A topic that has been created is known to every broker a moment later."""
    async with asyncio.timeout(_VISIBLE_S):
        # Kafka tells nobody when it has: a look now and then.
        while not {address.named(name) for name in wanted(1)} <= (await _partitions(admin)).keys():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _other_partitions(full: str, found: int, expected: int) -> str:
    return (
        f"the topic {full} has {found} partitions, and this release counts on {expected}: "
        "name another namespace in TONGLUO_LOG (kafka://…/NAMESPACE), or move with `tongluo migrate`"
    )


async def _partitions(admin: AIOKafkaAdminClient) -> dict[str, int]:
    return {
        topic["topic"]: len(topic["partitions"])
        for topic in await admin.describe_topics()
        if not topic["error_code"]
    }


async def _create(admin: AIOKafkaAdminClient, full: str, topic: NewTopic) -> None:
    new = NewTopic(full, topic.num_partitions, topic.replication_factor, topic_configs=topic.topic_configs)
    answer = await admin.create_topics([new])
    for _, code, message in answer.topic_errors:
        if code:
            raise for_code(code)(message)


async def _correct(admin: AIOKafkaAdminClient, full: str, configs: Mapping[str, str]) -> list[str]:
    """Set what differs; Kafka's call replaces all of a topic's settings, so what an operator added is kept."""
    resource = ConfigResource(ConfigResourceType.TOPIC, full)
    [answer] = await admin.describe_configs([resource])
    found: dict[str, str] = {}
    own: dict[str, str] = {}
    for _, _, _, _, entries in answer.resources:
        for name, value, _, is_default, *_ in entries:
            found[name] = value
            # From version 1 of the protocol on this is the source of the value; 1 is the topic itself.
            if int(is_default) == 1:
                own[name] = value
    different = {name: value for name, value in configs.items() if found.get(name) != value}
    if different:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, full, {**own, **different})])
    return [f"{name} {found.get(name)} → {value}" for name, value in different.items()]
