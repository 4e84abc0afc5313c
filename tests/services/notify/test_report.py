"""What is said: plain to the loudspeaker, exact to the programs."""

from datetime import UTC, datetime

import msgspec
import pytest

from services.notify import report
from tongluo import testing
from tongluo.alert import Alert, transition
from tongluo.finding import Criterion, Evidence, Finding, Level

NOON = datetime(2026, 7, 1, 4, 5, tzinfo=UTC)
COUNTY = testing.county()
ABOUT = report.subject(COUNTY, "S-1")


def raised(level: Level, mm: float = 62.0) -> Alert:
    evidence = Evidence("rainstorm", "v1", "R-1", NOON, {"3h": mm}, Criterion(level, "3h", 50.0))
    alert = transition(None, Finding("rainstorm", "rainstorm", "S-1", NOON, level, evidence))
    assert alert is not None
    return alert


def then(alert: Alert, level: Level | None) -> Alert:
    time = alert.updated.replace(hour=alert.updated.hour + 1)
    criterion = Criterion(level, "3h", 50.0) if level else None
    evidence = Evidence("rainstorm", "v1", "R-1", time, {"3h": 30.0}, criterion)
    after = transition(alert, Finding("rainstorm", "rainstorm", "S-1", time, level, evidence))
    assert after is not None
    return after


def test_the_headline_says_level_place_and_rain() -> None:
    said = report.headline(raised(Level.ORANGE), ABOUT)
    assert said.zh == "温溪镇1号小流域暴雨橙色预警（3小时 62.0 毫米）"
    assert said.en == "Orange rainstorm alert at 温溪镇1号小流域 (62.0 mm in 3h)"


def test_the_course_is_told() -> None:
    worse = then(raised(Level.YELLOW), Level.RED)
    eased = then(worse, Level.BLUE)
    cleared = then(eased, None)
    assert "升级为红色" in report.headline(worse, ABOUT).zh
    assert "降级为蓝色" in report.headline(eased, ABOUT).zh
    assert report.headline(cleared, ABOUT).zh == "温溪镇1号小流域暴雨红色预警解除"
    assert [report.kind(alert) for alert in (raised(Level.RED), worse, eased, cleared)] == [
        "alert.raised",
        "alert.updated",
        "alert.updated",
        "alert.cleared",
    ]


def test_the_loudspeaker_speaks_beijing_time_and_plain_words() -> None:
    text = report.broadcast_text(raised(Level.ORANGE), ABOUT)
    assert text.startswith(
        "青田县应急广播：7月1日12时5分，温溪镇1号小流域3小时雨量已达62毫米，暴雨预警发布橙色。"
    )
    assert not set(text) & set("()（）[]{}<>")
    assert "已解除" in report.broadcast_text(then(raised(Level.ORANGE), None), ABOUT)


@pytest.mark.parametrize(("level", "repeat", "priority"), [(Level.RED, 5, 1), (Level.BLUE, 1, 4)])
def test_the_body_carries_what_a_broadcast_system_needs(level: Level, repeat: int, priority: int) -> None:
    body = msgspec.json.decode(report.body(report.say(COUNTY, raised(level))))
    assert body["type"] == "alert.raised"
    assert body["timestamp"] == "2026-07-01T04:05:00Z"
    assert body["data"]["report"] == {"no": 1, "final": False}
    assert body["data"]["broadcast"]["repeat"] == repeat
    assert body["data"]["broadcast"]["priority"] == priority
    assert body["data"]["broadcast"]["areas"] == ["331121101001"]
    assert body["data"]["alert"]["level"] == level.value
    assert body["data"]["alert"]["headline"] == msgspec.to_builtins(report.headline(raised(level), ABOUT))
    assert (
        len(report.body(report.say(COUNTY, raised(level)))) < 20_000
    )  # Standard Webhooks asks for small bodies


def test_the_last_report_says_that_it_is_the_last() -> None:
    body = msgspec.json.decode(report.body(report.say(COUNTY, then(raised(Level.RED), None))))
    assert body["data"]["report"] == {"no": 2, "final": True}
    assert body["data"]["alert"]["level"] is None
    assert body["data"]["broadcast"]["priority"] == 1


def test_a_site_no_longer_registered_is_named_by_its_id() -> None:
    assert report.subject(COUNTY, "GONE").where == "GONE"
