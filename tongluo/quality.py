"""What is known against a value: a flag for each test it failed, and the grade that follows from them.

The grades are the primary level of UNESCO/IOC Manuals and Guides 54, volume 3 (1 good, 3 questionable, 4 bad), the
tests those of the IOOS QARTOD manuals (gross range, rate of change, flat line, spike, timing, neighbour), to which
ours add what a gateway's line does to a message: twice, out of order, late. Flags never drop a value.
"""

import enum
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec


class Flag(enum.IntFlag):
    """The tests a value failed, as bits; the numbers stand in the log and in the store and never change meaning."""

    RANGE = 1
    """Outside what the sensor or nature can give (QARTOD gross range)."""
    RATE = 2
    """Changed faster than it can (QARTOD rate of change)."""
    STUCK = 4
    """The same value for too long (QARTOD flat line)."""
    SPIKE = 8
    """Alone, far from what came before and after (QARTOD spike)."""
    CLOCK = 16
    """Stamped ahead of the moment it came in: the gateway's clock is off (QARTOD timing). The value may be right."""
    DUPLICATE = 32
    """The identity came before. Only the first one counts."""
    ORDER = 64
    """Older than what its series already had."""
    NEIGHBOUR = 128
    """The gauges around say otherwise (QARTOD neighbour)."""
    BATTERY = 256
    """Its station runs low on power."""
    LATE = 512
    """Came long after its time: back-fill. It counts, but raises nothing for the past."""


class Quality(enum.StrEnum):
    """The grade. A BAD value is never judged, a SUSPECT one never raises alone; both are kept and shown."""

    GOOD = "good"
    SUSPECT = "suspect"
    BAD = "bad"


BAD_FLAGS: Final = Flag.RANGE
SUSPECT_FLAGS: Final = Flag.RATE | Flag.STUCK | Flag.SPIKE | Flag.NEIGHBOUR


def quality(flags: int) -> Quality:
    """The grade of a value with these flags; those that say nothing against the value itself leave it GOOD."""
    if flags & BAD_FLAGS:
        return Quality.BAD
    return Quality.SUSPECT if flags & SUSPECT_FLAGS else Quality.GOOD


def names(flags: int) -> list[str]:
    """The flags as the API and the page call them."""
    return [str(flag.name).lower() for flag in Flag if flags & flag]


Positive = Annotated[float, msgspec.Meta(gt=0.0)]


class Limits(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is believed of a metric, in its unit; None leaves the test to the metric's default, or out.

    `lowest`, `highest`: gross range. `per_minute`: most change a minute (rain: most in a minute). `stuck_after_s`: how
    long the very same value (for rain: other than zero) is believed. `spike`: how far a single value may stand away from
    both its neighbours in time. `neighbours`: for rain, what one hour may bring here while every gauge around has none.
    `warn_below`: a battery's low mark.
    """

    lowest: float | None = None
    highest: float | None = None
    per_minute: Positive | None = None
    stuck_after_s: Positive | None = None
    spike: Positive | None = None
    neighbours: Positive | None = None
    warn_below: float | None = None

    def over(self, base: "Limits") -> "Limits":
        """These where they are set, else those of `base`."""
        own = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(base, **own)


Overrides = Mapping[str, Limits]
