"""How the address of a Kafka cluster is written, and what is said of one that cannot be used."""

from pathlib import Path

import pytest

from tests.conftest import TOKEN
from tongluo.log.kafka_address import KafkaAddress, parse


def test_the_least_that_must_be_said() -> None:
    assert parse("kafka://k1") == KafkaAddress("k1:9092")


def test_everything_that_can_be_said() -> None:
    found = parse(
        "kafka://us%40er:p%2Fw@k1:9093,k2/county?tls=on&ca=/etc/ca.pem&cert=/c.pem&key=/k.pem&sasl=SCRAM-SHA-256"
    )
    assert found == KafkaAddress(
        "k1:9093,k2:9092",
        "county",
        "us@er",
        "p/w",
        "SCRAM-SHA-256",
        tls=True,
        ca=Path("/etc/ca.pem"),
        cert=Path("/c.pem"),
        key=Path("/k.pem"),
    )
    assert found.named("rules", "readings", 3) == "county.rules.readings.3"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("kafka://", "hosts and ports"),
        ("kafka://host:port", "hosts and ports"),
        ("kafka://h?tsl=on", "unknown in a Kafka address: tsl"),
        ("kafka://h?tls=yes", "tls must be on or off"),
        ("kafka://h?sasl=GSSAPI", "sasl must be one of"),
        ("kafka://h/a b", "namespace"),
    ],
)
def test_a_faulty_address_is_refused_by_what_is_wrong(address: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(address)


def test_a_fault_does_not_repeat_the_password() -> None:
    with pytest.raises(ValueError, match="namespace") as caught:
        parse(f"kafka://user:{TOKEN}@h/a b")
    assert TOKEN not in str(caught.value)
