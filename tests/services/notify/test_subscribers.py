from datetime import UTC, datetime

import msgspec
import pytest

from services.notify.subscribers import Subscription, wanted
from tongluo import testing
from tongluo.alert import Alert, transition
from tongluo.finding import Finding, Level
from tongluo.region import significant

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def alert(level: Level, hazard: str = "rainstorm") -> Alert:
    raised = transition(None, Finding("rainstorm", hazard, "S-1", NOW, level, testing.evidence(NOW)))
    assert raised is not None
    return raised


def subscription(**given: object) -> Subscription:
    everything = Subscription("s", hazards=[], min_level=Level.BLUE, areas=[])
    return msgspec.structs.replace(everything, **given)


def test_a_subscriber_hears_from_their_own_level_up() -> None:
    orange = subscription(min_level=Level.ORANGE)
    assert not wanted(orange, alert(Level.YELLOW), "331121101001", known=False)
    assert wanted(orange, alert(Level.ORANGE), "331121101001", known=False)
    assert wanted(orange, alert(Level.RED), "331121101001", known=False)


def test_who_was_told_is_told_how_it_ends() -> None:
    orange = subscription(min_level=Level.ORANGE)
    eased = msgspec.structs.replace(alert(Level.ORANGE), level=Level.BLUE)
    cleared = msgspec.structs.replace(alert(Level.ORANGE), level=None)
    assert wanted(orange, eased, "331121101001", known=True)
    assert wanted(orange, cleared, "331121101001", known=True)
    assert not wanted(orange, cleared, "331121101001", known=False)


@pytest.mark.parametrize(
    ("area", "inside"),
    [
        ("331121", True),
        ("331121000000", True),
        ("331121101", True),
        ("331121101000", True),
        ("331121101001", True),
        ("331121102", False),
        ("331124", False),
        ("331121101002", False),
    ],
)
def test_an_area_covers_everything_beneath_it(area: str, inside: bool) -> None:
    assert wanted(subscription(areas=[area]), alert(Level.RED), "331121101001", known=False) is inside


def test_codes_are_shortened_by_level_not_by_digit() -> None:
    # 331124100 ends in zeros of its own.
    assert significant("331124100000") == "331124100"
    assert significant("331120000000") == "331120"


def test_hazards_are_chosen() -> None:
    assert not wanted(subscription(hazards=["wildfire"]), alert(Level.RED), "331121", known=False)
    assert wanted(subscription(hazards=["wildfire", "rainstorm"]), alert(Level.RED), "331121", known=False)


def test_silence_is_for_those_who_ask_for_it() -> None:
    silent = alert(Level.RED, "silence")
    assert not wanted(subscription(), silent, "331121", known=False)
    assert not wanted(subscription(hazards=["rainstorm"]), silent, "331121", known=False)
    assert wanted(subscription(hazards=["rainstorm", "silence"]), silent, "331121", known=False)
    assert wanted(subscription(), alert(Level.RED, "landslide"), "331121", known=False)
