"""Who wants to hear of what."""

from typing import Final

import msgspec

from tongluo.alert import Alert
from tongluo.finding import Level, rank
from tongluo.region import covers

#: What concerns the duty room alone: it goes to those who ask for it by name, never with "all hazards".
ONLY_BY_NAME: Final = frozenset({"silence"})


class Subscription(msgspec.Struct, frozen=True):
    """Empty `hazards` mean all but those ONLY_BY_NAME, empty `areas` all. A division code covers everything beneath it."""

    id: str
    hazards: list[str]
    min_level: Level
    areas: list[str]


def wanted(subscription: Subscription, alert: Alert, division: str, *, known: bool) -> bool:
    """Whether this subscriber is to be told.

    Who has been told of an alert (`known`) is told of its further course too, also below their own level: nobody is
    left standing with a warning that no longer holds.
    """
    if known:
        return True
    if rank(alert.level) < subscription.min_level.rank:
        return False
    if alert.hazard not in subscription.hazards and (subscription.hazards or alert.hazard in ONLY_BY_NAME):
        return False
    return not subscription.areas or any(covers(area, division) for area in subscription.areas)
