"""What is said to others about an alert: headline, broadcast text, the webhook's body. Pure."""

from datetime import timedelta, timezone
from typing import Any, Final

import msgspec

from services.notify.advice import advice
from tongluo.alert import Alert, State
from tongluo.finding import Level
from tongluo.hazards import Words, hazard_name
from tongluo.region import County, Site

# Chinese users read Beijing time, wherever the server stands.
BEIJING: Final = timezone(timedelta(hours=8))

_LEVEL_EN: Final = {level: level.value.capitalize() for level in Level}

# How often a loudspeaker says it, by level.
_REPEAT: Final = {Level.RED: 5, Level.ORANGE: 3, Level.YELLOW: 2, Level.BLUE: 1}

#: An exercise says so before anything else, to whoever reads and to whoever hears it.
_DRILL: Final = Words("【演练】", "[DRILL] ")

#: A loudspeaker does not read brackets aloud, and stumbles over spaces.
_SPOKEN: Final = str.maketrans({**dict.fromkeys("（([【", "，"), **dict.fromkeys("）)]】 \u3000", "")})


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
    zh, en = _headline(alert, about)
    return Words(_DRILL.zh + zh, _DRILL.en + en) if alert.drill else Words(zh, en)


def _headline(alert: Alert, about: Subject) -> tuple[str, str]:
    hazard, where = hazard_name(alert.hazard), about.where
    name = hazard.en[:1].upper() + hazard.en[1:]
    if alert.level is None:
        return f"{where}{hazard.zh}{alert.peak.zh}色预警解除", f"{name} alert cleared at {where}"
    figure = alert.evidence.figure
    why_zh, why_en = f"（{figure.zh}）" if figure.zh else "", f" ({figure.en})" if figure.en else ""
    if alert.state in (State.WORSENED, State.EASED):
        up = alert.state is State.WORSENED
        zh = f"{where}{hazard.zh}预警{'升级为' if up else '降级为'}{alert.level.zh}色{why_zh}"
        return zh, f"{name} alert {'raised' if up else 'lowered'} to {alert.level.value} at {where}{why_en}"
    zh = f"{where}{hazard.zh}{alert.level.zh}色预警{why_zh}"
    return zh, f"{_LEVEL_EN[alert.level]} {hazard.en} alert at {where}{why_en}"


def broadcast_text(alert: Alert, about: Subject) -> str:
    """What the loudspeaker says: plain sentences, no brackets, no codes. A drill says that it is one, first and last."""
    text = _spoken(alert, about)
    return f"{_DRILL.zh}这是演练。{text}以上是演练，不必转移。" if alert.drill else text


def _spoken(alert: Alert, about: Subject) -> str:
    hazard = hazard_name(alert.hazard).zh
    local = alert.updated.astimezone(BEIJING)
    at = f"{local.month}月{local.day}日{local.hour}时{local.minute}分"
    if alert.level is None:
        return f"{about.county}应急广播：{at}，{about.where}{hazard}预警已解除。"
    verb = {State.WORSENED: "升级为", State.EASED: "降为"}.get(alert.state, "发布")
    figure = alert.evidence.figure.zh.translate(_SPOKEN)
    said = f"{about.where}{figure}，{hazard}" if figure else f"{about.where}{hazard}"
    advised = advice(alert.hazard, alert.level)
    return f"{about.county}应急广播：{at}，{said}预警{verb}{alert.level.zh}色。{advised}"


def kind(alert: Alert) -> str:
    """The webhook's event type. Whatever becomes of a drill, it is never of a type that real alerts have."""
    if alert.drill:
        return "alert.drill"
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
        "drill": alert.drill,
    }
