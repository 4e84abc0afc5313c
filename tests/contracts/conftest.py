"""The log's backends: every contract test runs against each."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec
import pytest

from tests.conftest import opened_log
from tongluo.log.kafka import open_kafka
from tongluo.log.kafka_address import KafkaAddress
from tongluo.log.port import Log

# What a hung member may take before it is given up, in these tests.
SESSION_S = 2.0


class Backend(msgspec.Struct, frozen=True):
    """One backend's log at one place: opened twice it is two programs on the same log."""

    dsn: str | None = None
    kafka: KafkaAddress | None = None

    def open(self) -> AbstractAsyncContextManager[Log]:
        if self.kafka is not None:
            return open_kafka(self.kafka, session_s=SESSION_S)
        assert self.dsn is not None
        return opened_log(self.dsn, SESSION_S)


@pytest.fixture(params=["postgres", "kafka"])
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param == "postgres":
        return Backend(dsn=request.getfixturevalue("dsn"))
    return Backend(kafka=request.getfixturevalue("kafka"))


@pytest.fixture
def open_backend(backend: Backend) -> Callable[[], AbstractAsyncContextManager[Log]]:
    return backend.open
