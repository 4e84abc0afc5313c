"""What gateways say of themselves: births and last wills, and what is known of a gateway after them. Pure."""

from datetime import datetime

import msgspec


class GatewayStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """One birth (`online`) or last will, as it came in.

    `time` is the gateway's own, of the session the message belongs to, where it gives one; `battery` in volts.
    `retained` says that the broker repeated it to a new subscriber: it is then no sign of life.
    """

    gateway: str
    online: bool
    received: datetime
    battery: float | None = None
    time: datetime | None = None
    retained: bool = False


class GatewayState(msgspec.Struct, frozen=True):
    """What is known of a gateway. It has been `online`, or not, since `since`.

    `heard` is when it last said anything of itself, `battery` (V) what it last told of it, `said` its own time of that,
    `went` when it last went: with `online` it was away from `went` to `since`.
    """

    gateway: str
    online: bool
    since: datetime
    heard: datetime
    battery: float | None = None
    said: datetime | None = None
    went: datetime | None = None

    def away_at(self, moment: datetime) -> bool:
        """Whether its last will stood at a moment, as far back as the last time it went."""
        if self.went is None or moment < self.went:
            return False
        return not self.online or moment < self.since


def after(known: GatewayState | None, status: GatewayStatus) -> GatewayState:
    """What is known after one more status; saying it again changes nothing.

    A will of a session that has ended may come after the birth of the next one, and old ones come again: by the
    gateway's own times where both have one, else by when they came in, what is older than what is known is not taken.
    """
    if known is None:
        went = None if status.online else status.received
        return GatewayState(
            status.gateway,
            status.online,
            status.received,
            status.received,
            status.battery,
            status.time,
            went,
        )
    if _older(status, known) or (status.retained and status.online == known.online):
        return known
    turned = status.online != known.online
    return GatewayState(
        gateway=known.gateway,
        online=status.online,
        since=status.received if turned else known.since,
        heard=known.heard if status.retained else max(known.heard, status.received),
        # A will knows no battery; what the birth told stays.
        battery=known.battery if status.battery is None else status.battery,
        said=known.said if status.time is None else status.time,
        went=status.received if turned and not status.online else known.went,
    )


def _older(status: GatewayStatus, known: GatewayState) -> bool:
    if status.time is not None and known.said is not None:
        return status.time < known.said
    return status.received < known.heard
