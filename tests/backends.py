"""The log's backends, for tests that must hold on each."""

from contextlib import AbstractAsyncContextManager

import msgspec

from tests.conftest import opened_log
from tongluo.log.kafka import open_kafka
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.port import Log


class Backend(msgspec.Struct, frozen=True):
    """One backend's log at one place: opened twice it is two programs on the same log.

    `session_s` is what a hung member may take before it is given up.
    """

    dsn: str | None = None
    kafka: KafkaAddress | None = None
    session_s: float = 2.0

    def open(self) -> AbstractAsyncContextManager[Log]:
        if self.kafka is not None:
            return open_kafka(self.kafka, session_s=self.session_s)
        assert self.dsn is not None
        return opened_log(self.dsn, self.session_s)
