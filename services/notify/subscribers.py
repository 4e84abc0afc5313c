"""Who wants to hear of what."""

import msgspec

from tongluo.alert import Alert
from tongluo.finding import Level, rank
from tongluo.region import covers


class Subscription(msgspec.Struct, frozen=True):
    """Empty `hazards` or `areas` mean all. Areas are division codes; a code covers everything beneath it."""

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
    if subscription.hazards and alert.hazard not in subscription.hazards:
        return False
    return not subscription.areas or any(covers(area, division) for area in subscription.areas)
