"""What Kafka asks beyond the contract: being let in, and topics that are as they must be."""

from collections.abc import Callable

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from services.embedded.ports import free_port
from tests.conftest import until
from tongluo.clock import wall_now
from tongluo.errors import MissingPartError
from tongluo.log import kafka_topics
from tongluo.log.kafka import open_kafka
from tongluo.log.kafka_address import KafkaAddress, parse
from tongluo.log.port import Entry
from tongluo.topics import READINGS


async def test_over_tls_with_a_password(stack: Callable[[str], str], kafka: KafkaAddress) -> None:
    secured = msgspec.structs.replace(parse(stack("log_secured")), namespace=kafka.namespace)
    assert secured.tls
    assert secured.password
    async with open_kafka(secured) as log:
        await log.append([Entry(READINGS, "a", b"x", wall_now())])
    async with open_kafka(kafka) as log:
        assert sum((await log.ends(READINGS)).values()) == 1


async def test_a_wrong_password_is_told_in_one_line(stack: Callable[[str], str], kafka: KafkaAddress) -> None:
    wrong = msgspec.structs.replace(parse(stack("log_secured")), namespace=kafka.namespace, password="wrong")  # noqa: S106
    with pytest.raises(MissingPartError, match="cannot be reached"):
        async with open_kafka(wrong):
            pass


async def test_a_cluster_that_is_not_there_is_told_in_one_line() -> None:
    with pytest.raises(MissingPartError, match=r"cannot be reached .* correct TONGLUO_LOG"):
        async with open_kafka(parse(f"kafka://127.0.0.1:{free_port()}")):
            pass


async def test_missing_topics_are_told_with_the_mend(kafka: KafkaAddress) -> None:
    with pytest.raises(MissingPartError, match="tongluo admin topics"):
        async with open_kafka(msgspec.structs.replace(kafka, namespace="nothing-here")):
            pass


async def test_topics_made_twice_are_made_once(kafka: KafkaAddress) -> None:
    assert await kafka_topics.ensure(kafka, replication=1) == []


async def test_what_an_operator_changed_is_corrected_and_what_was_added_stays(kafka: KafkaAddress) -> None:
    admin = AIOKafkaAdminClient(**kafka.clients())
    await admin.start()
    try:
        name = kafka.named("readings")
        changed = {"retention.ms": "1000", "retention.bytes": "-1", "compression.type": "lz4"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, changed)])

        async def corrected() -> bool:
            done = await kafka_topics.ensure(kafka, replication=1)
            return any("retention.ms 1000 → -1" in line for line in done)

        # Kafka tells of a change a moment after it has been made.
        await until(corrected)

        async def as_it_should_be() -> bool:
            return await kafka_topics.ensure(kafka, replication=1) == []

        await until(as_it_should_be)
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        found = {entry[0]: entry[1] for *_, entries in answer.resources for entry in entries}
        assert found["retention.ms"] == "-1"
        assert found["compression.type"] == "lz4"
    finally:
        await admin.close()


async def test_other_partitions_are_refused_because_keys_would_move(kafka: KafkaAddress) -> None:
    admin = AIOKafkaAdminClient(**kafka.clients())
    await admin.start()
    try:
        await admin.create_partitions({kafka.named("findings"): NewPartitions(20)})
    finally:
        await admin.close()

    async def refused() -> bool:
        try:
            await kafka_topics.ensure(kafka, replication=1)
        except MissingPartError as error:
            return "has 20 partitions" in str(error)
        return False

    # Kafka tells of new partitions a moment after it has made them.
    await until(refused)
