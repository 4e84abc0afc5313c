"""What is said to others about an alert: headline, broadcast text, the webhook's body. Pure."""

from datetime import timedelta, timezone
from typing import Any, Final

import msgspec

from tongluo.alert import Alert, State
from tongluo.finding import Level
from tongluo.hazards import Words, hazard_name
from tongluo.region import County, Site

# Chinese users read Beijing time, wherever the server stands.
BEIJING: Final = timezone(timedelta(hours=8))

_LEVEL_EN: Final = {level: level.value.capitalize() for level in Level}

# How often a loudspeaker says it, by level.
_REPEAT: Final = {Level.RED: 5, Level.ORANGE: 3, Level.YELLOW: 2, Level.BLUE: 1}

_ADVICE: Final = {
    Level.RED: "请立即转移到安全地点，远离山边、河边和低洼处。",
    Level.ORANGE: "请做好转移准备，远离山边、河边和低洼处，听从村干部安排。",
    Level.YELLOW: "请减少外出，留意山边、河边和低洼处的险情。",
    Level.BLUE: "请关注天气变化。",
}


class Subject(msgspec.Struct, frozen=True):
    """The site an alert is about, in words; a site no longer registered is named by its id."""

    county: str
    township: str
    site: str
    division: str

    @property
    def where(self) -> str:
        return f"{self.township}{self.site.removeprefix(self.township)}"


class Said(msgspec.Struct, frozen=True):
    """What one report says, found once and written in several places: to the alert, to the report, into the body."""

    alert: Alert
    about: Subject
    headline: Words


def say(county: County, alert: Alert) -> Said:
    """What there is to say about an alert as it stands now."""
    about = subject(county, alert.site)
    return Said(alert, about, headline(alert, about))


def subject(county: County, site_id: str) -> Subject:
    """The words for a site of this county."""
    site: Site | None = county.sites.get(site_id)
    if site is None:
        return Subject(county.name, "", site_id, county.code)
    township = county.township_of(site)
    name = township.name if township is not None else ""
    return Subject(county.name, name, site.name, site.division)


def headline(alert: Alert, about: Subject) -> Words:
    """One line for the list, the page and the programs."""
    hazard = hazard_name(alert.hazard)
    if alert.level is None:
        return Words(
            f"{about.where}{hazard.zh}{alert.peak.zh}色预警解除",
            f"{hazard.en.capitalize()} alert cleared at {about.where}",
        )
    verb = {State.WORSENED: "升级为", State.EASED: "降级为"}.get(alert.state, "")
    verb_en = {State.WORSENED: "raised to ", State.EASED: "lowered to "}.get(alert.state, "")
    rain_zh, rain_en = _rain(alert)
    if verb:
        zh = f"{about.where}{hazard.zh}预警{verb}{alert.level.zh}色{rain_zh}"
        en = f"{hazard.en.capitalize()} alert {verb_en}{alert.level.value} at {about.where}{rain_en}"
    else:
        zh = f"{about.where}{hazard.zh}{alert.level.zh}色预警{rain_zh}"
        en = f"{_LEVEL_EN[alert.level]} {hazard.en} alert at {about.where}{rain_en}"
    return Words(zh, en)


def broadcast_text(alert: Alert, about: Subject) -> str:
    """What the loudspeaker says: plain sentences, no brackets, no codes."""
    hazard = hazard_name(alert.hazard).zh
    local = alert.updated.astimezone(BEIJING)
    at = f"{local.month}月{local.day}日{local.hour}时{local.minute}分"
    if alert.level is None:
        return f"{about.county}应急广播：{at}，{about.where}{hazard}预警已解除。"
    verb = {State.WORSENED: "升级为", State.EASED: "降为"}.get(alert.state, "发布")
    window, rain = _worst(alert)
    fallen = f"{window}雨量已达{rain:.0f}毫米，" if window else ""
    return f"{about.county}应急广播：{at}，{about.where}{fallen}{hazard}预警{verb}{alert.level.zh}色。{_ADVICE[alert.level]}"


def kind(alert: Alert) -> str:
    """The webhook's event type."""
    return {State.RAISED: "alert.raised", State.CLEARED: "alert.cleared"}.get(alert.state, "alert.updated")


def body(said: Said) -> bytes:
    """The webhook's body (contract: docs/contracts.md); `timestamp` is the event's own time."""
    alert, about = said.alert, said.about
    level = alert.level or alert.peak
    return msgspec.json.encode(
        {
            "type": kind(alert),
            "timestamp": alert.updated,
            "data": {
                "alert": _public(said),
                "report": {"no": alert.report_no, "final": not alert.open},
                "broadcast": {
                    "text": broadcast_text(alert, about),
                    "repeat": _REPEAT[level] if alert.open else 1,
                    "priority": 5 - level.rank,
                    "areas": [about.division.ljust(12, "0")],
                },
            },
        }
    )


def _public(said: Said) -> dict[str, Any]:
    """An alert as others see it."""
    alert, about = said.alert, said.about
    return {
        "id": alert.id,
        "hazard": alert.hazard,
        "site": {
            "id": alert.site,
            "name": about.site,
            "township": about.township,
            "division": about.division,
        },
        "level": alert.level,
        "peak": alert.peak,
        "state": alert.state,
        "onset": alert.onset,
        "updated": alert.updated,
        "headline": said.headline,
        "evidence": alert.evidence,
    }


def _worst(alert: Alert) -> tuple[str, float]:
    """The window (in Chinese) and rain in mm that decided the level."""
    criterion = alert.evidence.criterion
    if criterion is None:
        return "", 0.0
    return _window_zh(criterion.window), alert.evidence.indicators_mm.get(
        criterion.window, criterion.reach_mm
    )


def _rain(alert: Alert) -> tuple[str, str]:
    window, rain = _worst(alert)
    if not window or alert.evidence.criterion is None:
        return "", ""
    return f"（{window} {rain:.1f} 毫米）", f" ({rain:.1f} mm in {alert.evidence.criterion.window})"


def _window_zh(window: str) -> str:
    return window[:-1] + {"s": "秒", "m": "分钟", "h": "小时", "d": "天"}[window[-1]]
