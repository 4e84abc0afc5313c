"""When to try a delivery again: soon at first, because a warning that arrives late is worth little."""

import random
from collections.abc import Sequence
from typing import Final

# Seconds after the 1st, 2nd, ... failed attempt; after the last one the delivery is given up (about 1 h 50 min).
WAITS_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 2700.0)
JITTER: Final = 0.25


def wait_s(
    attempts: int, retry_after_s: float | None, source: random.Random, waits_s: Sequence[float] = WAITS_S
) -> float | None:
    """Seconds until the next attempt after `attempts` failed ones, or None to give up.

    Jittered by up to a quarter either way, so that subscribers who failed together are not called together again;
    never sooner than the receiver asked, but its wish counts for at most five minutes.
    """
    if attempts > len(waits_s):
        return None
    jittered = waits_s[attempts - 1] * source.uniform(1 - JITTER, 1 + JITTER)
    return max(jittered, min(retry_after_s or 0.0, 300.0))
