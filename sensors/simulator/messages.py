"""What gateways say, as bytes: the readings and status payloads of the MQTT contract."""

from collections.abc import Sequence
from datetime import timedelta, timezone
from typing import Final

import msgspec

from sensors.simulator.field import Observation

MOST_READINGS: Final = 100
_BEIJING: Final = timezone(timedelta(hours=8))


class _Said(msgspec.Struct):
    station: str
    metric: str
    time: str
    value: float
    seq: int


class _Status(msgspec.Struct, omit_defaults=True):
    online: bool
    battery: float | None = None


def readings_topic(gateway: str) -> str:
    return f"tongluo/v1/{gateway}/readings"


def status_topic(gateway: str) -> str:
    return f"tongluo/v1/{gateway}/status"


def commands_topic(gateway: str) -> str:
    return f"tongluo/v1/{gateway}/commands"


def answer_topic(gateway: str, command: str) -> str:
    return f"tongluo/v1/{gateway}/commands/{command}"


def readings(observations: Sequence[Observation], first_seq: int) -> bytes:
    """A JSON array, numbered from `first_seq`, with times as Beijing clocks show them."""
    return msgspec.json.encode(
        [
            _Said(
                seen.station,
                seen.metric,
                seen.time.astimezone(_BEIJING).isoformat(),
                seen.value,
                first_seq + number,
            )
            for number, seen in enumerate(observations)
        ]
    )


def birth(battery: float) -> bytes:
    """The gateway is here; `battery` in volts."""
    return msgspec.json.encode(_Status(online=True, battery=battery))


def will() -> bytes:
    """The gateway is gone: said by the broker when the link breaks, by the gateway when it ends."""
    return msgspec.json.encode(_Status(online=False))
