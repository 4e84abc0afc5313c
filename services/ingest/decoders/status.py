"""A gateway's birth and last will: `{"online": true, "battery": 12.1}` (contract: docs/contracts.md). Pure."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from services.ingest.decoders.parts import What, explain, refuse
from services.ingest.observation import Refused
from tongluo.gateway import GatewayStatus

MAX_BYTES: Final = 4096
# A gateway's own time orders its births and wills. One ahead of the moment it came in would outrank all that follow.
MOST_AHEAD: Final = timedelta(minutes=10)


class SentStatus(msgspec.Struct, frozen=True):
    """What the contract has; fields beyond it are tolerated."""

    online: bool
    battery: float | None = None
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


_sent: Final = msgspec.json.Decoder(SentStatus)
_EXPECTED: Final[dict[str, tuple[Any, str, str]]] = {
    "online": (bool, "true 或 false", "true or false"),
    "battery": (float | None, "电压数值（V）", "a number of volts"),
    "time": (
        Annotated[datetime, msgspec.Meta(tz=True)] | None,
        "带时区的时间，如 2026-07-01T02:15:00+08:00",
        "a time with its zone such as 2026-07-01T02:15:00+08:00",
    ),
}


def decode(
    gateway: str, payload: bytes, received: datetime, *, retained: bool = False
) -> GatewayStatus | Refused | None:
    """The status in a payload; None for an empty one, with which a retained message is deleted at the broker."""
    if not payload:
        return None
    if len(payload) > MAX_BYTES:
        return refuse(
            "too_large",
            f"网关状态报文 {len(payload)} 字节，上限 {MAX_BYTES}",
            f"the gateway's status has {len(payload)} bytes, at most {MAX_BYTES} are taken",
            payload,
        )
    try:
        sent = _sent.decode(payload)
        time = None if sent.time is None else sent.time.astimezone(UTC)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        what = What("not_a_status", "网关状态", "status", _EXPECTED, frozenset({"battery", "time"}))
        return explain(payload, error, what)
    if time is not None and time > received + MOST_AHEAD:
        time = None
    return GatewayStatus(gateway, sent.online, received, sent.battery, time, retained)
