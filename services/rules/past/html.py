"""A study as one page: no network, no script; Chinese and English beside each other; to be read, sent and printed. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Final

from services.rules.past import plots
from services.rules.past.alerts import PastAlert
from services.rules.past.plots import Lane
from services.rules.past.skill import Share, Skill
from services.rules.past.study import Course, Study, totals
from tongluo.finding import Forecast, Level
from tongluo.hazards import Words, hazard_name

MOST_LANES: Final = 40
MOST_ROWS: Final = 300

_STYLE: Final = """
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1100px;padding:28px 24px 60px;background:#fff;color:#1d2433;
 font:15px/1.55 system-ui,"Noto Sans CJK SC","Noto Sans SC","Microsoft YaHei","PingFang SC",sans-serif}
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:38px 0 10px;padding-top:14px;border-top:1px solid #d0d5dd}
h3{font-size:15px;margin:22px 0 4px}p{margin:4px 0 10px}
.soft{color:#667085}.en{color:#667085;font-weight:400}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px;margin:18px 0}
.tile{border:1px solid #d0d5dd;border-radius:8px;padding:10px 14px}
.tile b{display:block;font-size:25px;line-height:1.25}.tile span{color:#667085;font-size:13px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:5px 10px 5px 0;border-bottom:1px solid #e4e7ec;vertical-align:top}
th{color:#475467;font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
td.t{white-space:nowrap;font-variant-numeric:tabular-nums}
.level{display:inline-block;font-style:normal;
 min-width:2.2em;padding:0 7px;border-radius:4px;text-align:center;font-weight:600;white-space:nowrap}
.blue{background:#2f6fde;color:#fff}.yellow{background:#f2c200;color:#1d2433}.orange{background:#f07d00;color:#1d2433}
.red{background:#d7263d;color:#fff}.none{background:#e4e7ec;color:#475467}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px;color:#475467;margin:2px 0 6px}
svg{display:block;width:100%;height:auto;font-family:inherit}
ul{margin:6px 0;padding-left:22px}figure{margin:14px 0 0;break-inside:avoid}figcaption{font-weight:600}
.wide{overflow-x:auto}
@page{margin:14mm}
@media print{body{max-width:none;padding:0;font-size:12px}h2{break-after:avoid}tr,.tile{break-inside:avoid}
 *{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""


def html(study: Study) -> str:
    """The whole page."""
    title = f"规则回放报告 · Rules over the past · {study.county.name or study.source}"
    body = "".join(
        part
        for section in (
            _head,
            _tiles,
            _notes,
            _skill_section,
            _difference_section,
            _timeline,
            _charts,
            _table,
        )
        for part in section(study)
    )
    return (
        f'<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _head(study: Study) -> Iterator[str]:
    asked = study.asked
    yield '<h1>规则回放报告 <span class="en">Rules over the past</span></h1>'
    yield f"<p>{escape(study.county.name)} {escape(study.county.name_en)}</p>"
    yield (
        f"<p>{_time(study, asked.begin)} – {_time(study, asked.end)} ({escape(study.zone.key)})<br>"
        f'<span class="soft">{escape(study.source)}；规则 rules <b>{escape(study.new.catalogue.version)}</b>'
    )
    if study.old is not None:
        yield f"，对照 against <b>{escape(study.old.catalogue.version)}</b>"
    yield "</span></p>"


def _tiles(study: Study) -> Iterator[str]:
    found = study.new.skills.get(study.asked.level)
    tiles = [
        (f"{study.readings:,}", "读数 readings"),
        (f"{study.stations:,}", "测站 stations"),
        (_against(study, lambda course: str(len(course.alerts))), "预警 alerts"),
        (_against(study, lambda course: str(len(course.followed))), "等级变化 level changes"),
    ]
    if found is not None:
        tiles += [
            (_of(study, lambda one: str(one.hits)), "命中 hits"),
            (_of(study, lambda one: str(one.misses)), "漏报 misses"),
            (_of(study, lambda one: str(one.false_alarms)), "空报 false alarms"),
            (_of(study, lambda one: _hours(one.lead_s)), "提前量中位数 median lead"),
        ]
    yield '<div class="tiles">'
    for value, words in tiles:
        yield f'<div class="tile"><b>{escape(value)}</b><span>{words}</span></div>'
    yield "</div>"
    if study.old is not None:
        yield '<p class="soft">旧 → 新；old → new</p>'


def _against(study: Study, value: Callable[[Course], str]) -> str:
    return value(study.new) if study.old is None else f"{value(study.old)} → {value(study.new)}"


def _of(study: Study, value: Callable[[Skill], str]) -> str:
    level = study.asked.level
    return _against(study, lambda course: value(course.skills[level]))


def _notes(study: Study) -> Iterator[str]:
    if study.notes:
        yield "<ul>"
        for note in study.notes:
            yield f'<li>{escape(note.zh)} <span class="en">{escape(note.en)}</span></li>'
        yield "</ul>"


def _skill_section(study: Study) -> Iterator[str]:
    yield '<h2>检验 <span class="en">Skill</span></h2>'
    asked = study.asked
    if asked.events is None:
        yield _both(
            "没有给出实况，因此只列出会发出的预警。",
            "No true events were given: only what would have been raised is told.",
        )
        return
    lead = asked.lead_max.total_seconds() / 3600
    yield _both(
        f"{len(asked.events)} 起实况；{asked.level.zh}色及以上的预警在事件开始前 {lead:g} 小时至结束之间有效即为命中。"
        "须线为 95% 置信区间（Wilson）。",
        f"{len(asked.events)} true events. An alert at {asked.level.value} or above that stood at some time from "
        f"{lead:g} h before an event to its end hits it. Whiskers: 95 % Wilson intervals.",
    )
    new, old = study.new, study.old
    level = asked.level
    rows = [
        _shares(name, new.skills[level], old.skills[level] if old is not None else None)
        for name in ("pod", "far", "csi")
    ]
    yield plots.shares(rows)
    if old is not None:
        yield '<div class="key"><span>深色：新规则 dark: new rules</span><span>浅色：旧规则 light: old rules</span></div>'
    yield from _skill_table(study)
    found = new.skills[level]
    if found.leads_s:
        yield '<h3>提前量 <span class="en">Lead times (new rules)</span></h3>'
        yield plots.lead_times(found)
    yield from _events_table(study, found)


_NAMES: Final = {
    "pod": "命中率 POD",
    "far": "空报率 FAR",
    "csi": "临界成功指数 CSI",
}


def _shares(name: str, new: Skill, old: Skill | None) -> tuple[str, Share, Share | None]:
    return _NAMES[name], getattr(new, name), getattr(old, name) if old is not None else None


def _skill_table(study: Study) -> Iterator[str]:
    numbers = (
        "命中<br>hits",
        "漏报<br>misses",
        "空报<br>false alarms",
        "POD",
        "FAR",
        "CSI",
        "提前量<br>lead",
    )
    yield '<div class="wide"><table><tr><th>预警 alerts</th><th>规则 rules</th>'
    yield "".join(f'<th class="n">{one}</th>' for one in numbers) + "</tr>"
    courses = [("新 new", study.new)] + ([("旧 old", study.old)] if study.old is not None else [])
    for level in reversed(Level):
        for name, course in courses:
            yield _skill_row(f"{_level(level)} 及以上 or above", name, course.skills[level])
    hazards = dict.fromkeys(hazard for _, course in courses for hazard in course.by_hazard)
    for hazard in hazards:
        words = hazard_name(hazard)
        for name, course in courses:
            if hazard in course.by_hazard:
                label = f"{escape(words.zh)} {escape(words.en)}, {_level(study.asked.level)}"
                yield _skill_row(label, name, course.by_hazard[hazard])
    yield "</table></div>"


def _skill_row(label: str, name: str, found: Skill) -> str:
    numbers = (
        str(found.hits), str(found.misses), str(found.false_alarms), _share(found.pod), _share(found.far), _share(found.csi),
        _hours(found.lead_s),
    )  # fmt: skip
    return f"<tr><td>{label}</td><td>{name}</td>{''.join(f'<td class=n>{one}</td>' for one in numbers)}</tr>"


def _events_table(study: Study, found: Skill) -> Iterator[str]:
    missed = [met for met in found.met if met.alert is None]
    if missed:
        yield '<h3>漏报的事件 <span class="en">Missed events</span></h3><table>'
        for met in missed[:MOST_ROWS]:
            event = met.event
            where = _site_names(study, event.sites) or event.place
            yield _row(_time(study, event.start), escape(where), escape(event.kind))
        yield "</table>" + _more(len(missed))
    if study.asked.unwatched:
        number = len(study.asked.unwatched)
        yield _both(
            f"另有 {number} 起事件所在的隐患点在这段历史里没有读数，未计入。",
            f"{number} more events happened at sites of which the history has no readings; they are in no count.",
        )


def _difference_section(study: Study) -> Iterator[str]:
    if study.differences is None:
        return
    found = totals(study.differences)
    yield '<h2>新旧规则的差别 <span class="en">Old rules against new</span></h2><div class="tiles">'
    for number, words in (
        (found.same, "同时 same moment"),
        (found.earlier, "新规则更早 new earlier"),
        (found.later, "新规则更晚 new later"),
        (found.only_old, "仅旧规则 only old"),
        (found.only_new, "仅新规则 only new"),
    ):
        yield f'<div class="tile"><b>{number}</b><span>{words}</span></div>'
    yield "</div>" + _both(
        "按规则、隐患点和等级配对的等级变化，相距不超过 6 小时。",
        "Changes of level, paired by rule, site and level, at most 6 h apart.",
    )
    changes = [("仅旧 only old", one) for one in study.differences.only_old]
    changes += [("仅新 only new", one) for one in study.differences.only_new]
    if changes:
        yield _header("时间 time", "隐患点 site", "规则 rule", "等级 level", "")
        changes.sort(key=lambda one: (one[1].time, one[1].rule, one[1].site))
        for whose, one in changes[:MOST_ROWS]:
            site = escape(_site(study, one.site))
            yield _row(_time(study, one.time), site, escape(one.rule), _level(one.level), whose)
        yield "</table>" + _more(len(changes))


def _timeline(study: Study) -> Iterator[str]:
    yield '<h2>各隐患点的预警 <span class="en">Alerts by site</span></h2>'
    lanes = list(_lanes(study))
    if not lanes:
        yield "<p>这段时间内没有预警。<span class=en>Nothing would have been raised.</span></p>"
        return
    key = "".join(
        f'<span><i class="level {level.value}">{level.zh}</i> {level.value}</span>' for level in Level
    )
    if study.old is not None:
        key += "<span>宽带：新规则 wide: new rules；窄带：旧规则 narrow: old rules</span>"
    if study.asked.events:
        key += "<span>◆ 实况 true event</span>"
    yield f'<div class="key">{key}</div>'
    yield plots.timeline(lanes[:MOST_LANES], study.asked.begin, study.asked.end, study.zone)
    if len(lanes) > MOST_LANES:
        yield f'<p class="soft">另有 {len(lanes) - MOST_LANES} 行未画出。{len(lanes) - MOST_LANES} more lines are not drawn.</p>'


def _lanes(study: Study) -> Iterator[Lane]:
    """The gravest first; sites of events without any alert too."""
    old = study.old.alerts if study.old is not None else ()
    courses: dict[tuple[str, str], tuple[list[PastAlert], list[PastAlert]]] = {}
    for nth, alerts in enumerate((study.new.alerts, old)):
        for alert in alerts:
            courses.setdefault((alert.site, alert.hazard), ([], []))[nth].append(alert)
    events = study.asked.events or ()
    # An event of a whole area would make a lane of every site in it.
    quiet = sorted(
        {site for one in events if len(one.sites) == 1 for site in one.sites} - {site for site, _ in courses}
    )
    order = sorted(courses, key=lambda of: (-_gravest(courses[of]), *of))
    for site, hazard in order:
        new_alerts, old_alerts = courses[site, hazard]
        here = [one for one in events if site in one.sites and one.hazard in (None, hazard)]
        name = f"{_site(study, site)} {hazard_name(hazard).zh}"
        yield Lane(name, new_alerts, old_alerts if study.old is not None else None, here)
    for site in quiet:
        here = [one for one in events if site in one.sites]
        yield Lane(_site(study, site), [], [] if study.old is not None else None, here)


def _gravest(of: tuple[Sequence[PastAlert], Sequence[PastAlert]]) -> int:
    return max(alert.peak.rank for alerts in of for alert in alerts)


def _charts(study: Study) -> Iterator[str]:
    if not study.charts:
        return
    yield '<h2>最严重的预警 <span class="en">The gravest alerts</span></h2>'
    yield '<p class="soft">虚线为各级阈值，底部色带为预警等级。Dashed: thresholds; the band at the foot: the alert\'s level.</p>'
    for chart in study.charts:
        events = [one for one in study.asked.events or () if chart.alert.site in one.sites]
        words = hazard_name(chart.alert.hazard)
        name = (
            study.county.stations[chart.station].name
            if chart.station in study.county.stations
            else chart.station
        )
        yield (
            f"<figure><figcaption>{_level(chart.alert.peak)} {escape(_site(study, chart.alert.site))} "
            f"{escape(words.zh)} {escape(words.en)} · "
            f"{escape(name)} · {escape(chart.title.zh)} {escape(chart.title.en)} ({escape(chart.unit)})</figcaption>"
        )
        because = chart.alert.at_peak.evidence
        yield f'<p>{escape(because.sentence.zh)} <span class="en">{escape(because.sentence.en)}</span></p>'
        if because.forecast is not None:
            words = _forecast(study, because.forecast)
            yield f'<p>{escape(words.zh)} <span class="en">{escape(words.en)}</span></p>'
        yield plots.series(chart, events, study.zone) + "</figure>"


def _forecast(study: Study, forecast: Forecast) -> Words:
    """When a slope may fail, or why that is not said."""
    if forecast.time is None or forecast.earliest is None or forecast.latest is None:
        reason = forecast.reason or Words("依据不足", "too little to go by")
        return Words(f"不作失稳时间预报：{reason.zh}。", f"No time of failure is forecast: {reason.en}.")
    # To the nearest minute.
    at, earliest, latest = (
        _time(study, one + timedelta(seconds=30))
        for one in (forecast.time, forecast.earliest, forecast.latest)
    )
    return Words(
        f"预计失稳 {at}（{earliest} 至 {latest}）。",
        f"Failure is forecast for {at} ({earliest} to {latest}).",
    )


def _table(study: Study) -> Iterator[str]:
    alerts = study.new.alerts
    if not alerts:
        return
    found = study.new.skills.get(study.asked.level)
    yield '<h2>预警清单 <span class="en">Alerts</span></h2>'
    names = ("开始 onset", "隐患点 site", "灾种 hazard", "最高 peak", "依据 because", "解除 cleared")
    yield _header(*names, "实况 event") if found is not None else _header(*names)
    for alert in alerts[:MOST_ROWS]:
        words, because = hazard_name(alert.hazard), alert.at_peak.evidence.figure
        cells = [
            _time(study, alert.onset),
            escape(_site(study, alert.site)),
            escape(words.zh),
            _level(alert.peak),
            f'{escape(because.zh)} <span class="en">{escape(because.en)}</span>',
            _time(study, alert.ended) if alert.ended is not None else "– 未解除 open",
        ]
        if found is not None:
            cells.append(
                "命中 hit" if alert.id in found.right else "空报 false" if alert.id in found.wrong else "–"
            )
        yield _row(*cells)
    yield "</table>" + _more(len(alerts))


def _header(*names: str) -> str:
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>"


def _row(time: str, *cells: str) -> str:
    return f'<tr><td class="t">{time}</td>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def _both(zh: str, en: str) -> str:
    """A paragraph in both languages."""
    return f'<p>{escape(zh)}<br><span class="en">{escape(en)}</span></p>'


def _more(number: int) -> str:
    rest = number - MOST_ROWS
    return f'<p class="soft">另有 {rest} 行未列出。{rest} more are not listed.</p>' if rest > 0 else ""


def _level(level: Level | None) -> str:
    if level is None:
        return '<i class="level none">解除 none</i>'
    return f'<i class="level {level.value}">{level.zh}</i>'


def _site(study: Study, site: str) -> str:
    known = study.county.sites.get(site)
    return known.name if known is not None else site


def _site_names(study: Study, sites: Iterable[str]) -> str:
    names = [_site(study, site) for site in sorted(sites)]
    return "、".join(names[:3]) + ("…" if len(names) > 3 else "")


def _time(study: Study, time: datetime) -> str:
    return f"{time.astimezone(study.zone):%Y-%m-%d %H:%M}"


def _share(share: Share) -> str:
    value, interval = share.value, share.interval
    if value is None or interval is None:
        return "–"
    return f"{value:.2f} <span class=soft>({interval[0]:.2f}–{interval[1]:.2f})</span>"


def _hours(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds / 3600:.1f} h"
