import random

from services.notify.backoff import WAITS_S, wait_s

SOURCE = random.Random(1)  # noqa: S311 - a test


def test_waits_grow_and_end() -> None:
    assert list(WAITS_S) == sorted(WAITS_S)
    assert wait_s(1, None, SOURCE) is not None
    assert wait_s(len(WAITS_S) + 1, None, SOURCE) is None


def test_jitter_stays_within_a_quarter() -> None:
    for attempt, base in enumerate(WAITS_S, start=1):
        waits = [wait_s(attempt, None, SOURCE) or 0.0 for _ in range(200)]
        assert 0.75 * base <= min(waits) < max(waits) <= 1.25 * base
        assert len(set(waits)) > 100


def test_the_receivers_wish_is_kept_within_reason() -> None:
    assert (wait_s(1, 60.0, SOURCE) or 0.0) >= 60.0
    assert (wait_s(1, 1e9, SOURCE) or 0.0) <= 300.0
