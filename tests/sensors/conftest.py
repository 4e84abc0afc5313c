"""Real outside parts for the sensors' tests: a county and an MQTT broker on a free port."""

from collections.abc import Iterator

import pytest
from iotcore import Broker

from sensors.simulator.profile import load_profile
from tests.sensors.ports import free_port
from tongluo.region import County


@pytest.fixture(scope="session")
def qingtian() -> County:
    return load_profile("qingtian")


@pytest.fixture(scope="session")
def mqtt_port() -> Iterator[int]:
    port = free_port()
    broker = Broker(port=port, listen="127.0.0.1", max_payload_size=300_000)
    broker.start()
    yield port
    broker.stop()
