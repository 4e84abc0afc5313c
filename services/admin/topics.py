"""`tongluo admin topics`: the event log's topics on Kafka, made and corrected."""

import argparse

from services.settings import Settings
from tongluo.errors import SettingsError
from tongluo.log import kafka_topics
from tongluo.log.kafka_address import KafkaAddress


async def run(arguments: argparse.Namespace, settings: Settings) -> None:
    """Raises SettingsError where the log is not on Kafka, MissingPartError where the cluster is not as needed."""
    if not isinstance(settings.log, KafkaAddress):
        raise SettingsError(
            "the event log is in PostgreSQL, which needs no topics; set TONGLUO_LOG to kafka://HOST:9092"
        )
    done = await kafka_topics.ensure(settings.log, arguments.replication)
    for line in done or ["every topic is as it should be"]:
        print(line)  # noqa: T201 - a terminal program
