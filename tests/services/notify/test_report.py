"""What is said: plain to the loudspeaker, exact to the programs."""

from datetime import UTC, datetime

import msgspec
import pytest

from services.notify import report
from tongluo import testing
from tongluo.alert import Alert, transition
from tongluo.finding import Finding, Level
from tongluo.hazards import HAZARDS, Words

NOON = datetime(2026, 7, 1, 4, 5, tzinfo=UTC)
COUNTY = testing.county()
ABOUT = report.subject(COUNTY, "S-1")


def raised(level: Level, hazard: str = "rainstorm", *, drill: bool = False) -> Alert:
    evidence = testing.evidence(NOON, 62.0, level)
    alert = transition(None, Finding("rainstorm", hazard, "S-1", NOON, level, evidence, drill))
    assert alert is not None
    return alert


def then(alert: Alert, level: Level | None) -> Alert:
    time = alert.updated.replace(hour=alert.updated.hour + 1)
    evidence = testing.evidence(time, 30.0, level)
    after = transition(alert, Finding("rainstorm", alert.hazard, "S-1", time, level, evidence, alert.drill))
    assert after is not None
    return after


def test_the_headline_says_level_place_and_rain() -> None:
    said = report.headline(raised(Level.ORANGE), ABOUT)
    assert said.zh == "温溪镇1号小流域暴雨橙色预警（3小时雨量 62.0 毫米）"
    assert said.en == "Orange rainstorm alert at 温溪镇1号小流域 (62.0 mm of rain in 3 h)"


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
        "青田县应急广播：7月1日12时5分，温溪镇1号小流域3小时雨量62.0毫米，暴雨预警发布橙色。"
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


@pytest.mark.parametrize("hazard", [*HAZARDS, "a_new_one"])
@pytest.mark.parametrize("level", list(Level))
def test_every_hazard_has_its_words(hazard: str, level: Level) -> None:
    alert = raised(level, hazard)
    said = report.headline(alert, ABOUT)
    assert "62.0 毫米" in said.zh
    assert "62.0 mm" in said.en
    text = report.broadcast_text(alert, ABOUT)
    assert "3小时雨量62.0毫米" in text
    assert text.endswith("。")
    assert not set(text) & set("()（）[]【】{}<>")
    if hazard == "silence":
        assert "转移" not in text
        assert "核查" in text
    elif level is Level.RED:
        assert ("转移" in text) or ("撤离" in text)


def test_where_there_is_no_figure_none_is_said() -> None:
    alert = msgspec.structs.replace(
        raised(Level.RED), evidence=testing.evidence(NOON, 1.0, Level.RED, figure=Words("", ""))
    )
    assert report.headline(alert, ABOUT).zh == "温溪镇1号小流域暴雨红色预警"
    assert "1号小流域暴雨预警发布红色。" in report.broadcast_text(alert, ABOUT)


def test_brackets_of_a_figure_are_not_read_aloud() -> None:
    figure = Words("两台相机（C-1、C-2）交会", "seen by two cameras (C-1, C-2)")
    alert = msgspec.structs.replace(
        raised(Level.RED, "forest_fire"), evidence=testing.evidence(NOON, figure=figure)
    )
    assert "两台相机，C-1、C-2交会，森林火灾预警发布红色。" in report.broadcast_text(alert, ABOUT)


def test_a_drill_says_so_first_in_all_it_says() -> None:
    began = raised(Level.YELLOW, "landslide", drill=True)
    for alert in (began, then(began, Level.RED), then(began, None)):
        said = report.headline(alert, ABOUT)
        assert said.zh.startswith("【演练】")
        assert said.en.startswith("[DRILL] ")
        assert report.broadcast_text(alert, ABOUT).startswith("【演练】这是演练。")
        body = msgspec.json.decode(report.body(report.say(COUNTY, alert)))
        assert body["type"] == "alert.drill"
        assert body["data"]["alert"]["drill"] is True
        assert body["data"]["alert"]["id"].startswith("drill-")
        assert body["data"]["broadcast"]["text"].startswith("【演练】")
    real = report.say(COUNTY, raised(Level.YELLOW))
    assert "演练" not in report.body(real).decode()
    assert msgspec.json.decode(report.body(real))["data"]["alert"]["drill"] is False


def test_the_last_report_says_that_it_is_the_last() -> None:
    body = msgspec.json.decode(report.body(report.say(COUNTY, then(raised(Level.RED), None))))
    assert body["data"]["report"] == {"no": 2, "final": True}
    assert body["data"]["alert"]["level"] is None
    assert body["data"]["broadcast"]["priority"] == 1


def test_a_site_no_longer_registered_is_named_by_its_id() -> None:
    assert report.subject(COUNTY, "GONE").where == "GONE"
