"""A finding of a compound rule, in words: what was asked of whom, who said what, and what decided."""

from datetime import datetime
from typing import Final

import msgspec

from services.rules.catalogue.model import Catalogue, CompoundRule, Condition, Where
from services.rules.county.levels import Held, Levels
from services.rules.county.scope import Scope, conditions
from services.rules.county.silence_words import lasting
from tongluo.finding import Evidence, Finding, Level, Vote
from tongluo.hazards import Words
from tongluo.region import County

MOST_VOTES: Final = 100
# A scope of more sites than this shows those that stand at a level; a smaller one shows every site.
SHOWN_WHOLE: Final = 5
# How many sites a sentence names for one condition; the votes name all.
NAMED: Final = 3


class Change(msgspec.Struct, frozen=True):
    """`rule` at `site` went from `before` to `level` at `time`; it was judged as of `moment`."""

    rule: CompoundRule
    site: str
    before: Level | None
    level: Level | None
    time: datetime
    moment: datetime


class Asked(msgspec.Struct, frozen=True):
    """A condition, who was asked (site and what is held there), and from when on each counts."""

    condition: Condition
    answers: tuple[tuple[str, Held | None, datetime | None], ...]
    holds: bool


def finding(catalogue: Catalogue, county: County, scope: Scope, levels: Levels, change: Change) -> Finding:
    """The finding of a change, with all that was asked for the level that is held now, or was before."""
    rule = change.rule
    about = change.level if change.level is not None else change.before
    asked = [
        _asked(scope, levels, condition, change)
        for line in rule.lines
        if line.level is about
        for condition in conditions(line.when)
    ]
    decided = [_said(catalogue, county, one, change.moment) for one in asked if one.holds]
    evidence = Evidence(
        rule=rule.id,
        rule_version=rule.version,
        station=change.site,
        time=change.time,
        sentence=_sentence(county, change, decided),
        figure=_figure(catalogue, change, [one for one in asked if one.holds]),
        source=rule.source,
        votes=tuple(_votes(catalogue, asked, change.moment)),
    )
    return Finding(rule.id, rule.hazard, change.site, change.time, change.level, evidence)


def _asked(scope: Scope, levels: Levels, condition: Condition, change: Change) -> Asked:
    answers = []
    for name in scope.sites(condition, change.site):
        held = levels.at(condition.rule, name)
        reached = held.since.get(condition.level) if held is not None else None
        answers.append((name, held, reached + condition.hold if reached is not None else None))
    since = scope.since(condition, change.site, levels)
    return Asked(condition, tuple(answers), since is not None and since <= change.moment)


def _votes(catalogue: Catalogue, asked: list[Asked], moment: datetime) -> list[Vote]:
    """Those that count first; at most MOST_VOTES."""
    votes = [
        Vote(
            voter=site,
            level=held.level if held is not None else None,
            item=one.condition.rule,
            holds=since is not None and since <= moment,
            since=held.since.get(one.condition.level) if held is not None else None,
            words=_condition(catalogue, one.condition),
        )
        for one in asked
        for site, held, since in one.answers
        if held is not None or len(one.answers) <= SHOWN_WHOLE
    ]
    return sorted(votes, key=lambda vote: not vote.holds)[:MOST_VOTES]


def _condition(catalogue: Catalogue, condition: Condition) -> Words:
    """What a condition asks, in words."""
    name = _rule_name(catalogue, condition.rule)
    zh, en = _where(condition)
    if condition.count > 1:
        zh, en = f"{zh}至少 {condition.count} 处", f"{en}, {condition.count} sites at least"
    if condition.hold:
        span_zh, span_en = lasting(condition.hold)
        zh, en = f"{zh}持续 {span_zh}", f"{en}, for {span_en}"
    level = condition.level
    return Words(f"{zh}{name.zh}{level.zh}色及以上", f"{name.en} {level.value} or above {en}")


def _where(condition: Condition) -> tuple[str, str]:
    match condition.where:
        case Where.HERE:
            return "本点", "here"
        case Where.NEAR:
            return f"{condition.within_km:g} km 内", f"within {condition.within_km:g} km"
        case Where.RELATED:
            return f"相关点（{condition.relation}）", f"at its {condition.relation}"
        case Where.NAMED:
            return "指定点", "at the sites named"


def _said(catalogue: Catalogue, county: County, asked: Asked, moment: datetime) -> Words:
    """What the sites that counted said: where, which rule, which level, by which figure."""
    counted = [(site, held) for site, held, since in asked.answers if held and since and since <= moment]
    counted.sort(key=lambda one: (-one[1].level.rank, one[0]))
    rule = _rule_name(catalogue, asked.condition.rule)
    zh, en = [], []
    for site, held in counted[:NAMED]:
        name = _site_name(county, site)
        zh.append(f"{name}{rule.zh}{held.level.zh}色" + (f"（{held.figure.zh}）" if held.figure.zh else ""))
        en.append(
            f"{rule.en} {held.level.value} at {name}" + (f" ({held.figure.en})" if held.figure.en else "")
        )
    if len(counted) > NAMED:
        more = len(counted) - NAMED
        zh.append(f"另 {more} 处")
        en.append(f"{more} more")
    return Words("、".join(zh), ", ".join(en))


def _sentence(county: County, change: Change, decided: list[Words]) -> Words:
    name, rule = _site_name(county, change.site), change.rule
    if change.level is None:
        span_zh, span_en = lasting(rule.release_after)
        zh, en = f"{name}：{rule.name.zh}条件不再满足", f"{name}: no longer the conditions of {rule.name.en}"
        return Words(f"{zh}已 {span_zh}", f"{en} for {span_en}") if rule.release_after else Words(zh, en)
    level = change.level
    zh, en = f"{name}{rule.name.zh}{level.zh}色", f"{rule.name.en} {level.value} at {name}"
    if not decided:
        return Words(
            f"{zh}：条件不再满足，尚未解除", f"{en}: its conditions no longer hold, it is not given up yet"
        )
    said = dict.fromkeys((words.zh, words.en) for words in decided)
    return Words(f"{zh}：{'；'.join(one for one, _ in said)}", f"{en}: {'; '.join(one for _, one in said)}")


def _figure(catalogue: Catalogue, change: Change, holding: list[Asked]) -> Words:
    if change.level is None:
        return Words("条件不再满足", "conditions no longer met")
    names = dict.fromkeys(one.condition.rule for one in holding)
    rules = [_rule_name(catalogue, name) for name in names]
    return Words("、".join(one.zh for one in rules), ", ".join(one.en for one in rules))


def _rule_name(catalogue: Catalogue, name: str) -> Words:
    rule = catalogue.rule(name)
    return rule.name if rule is not None else Words(name, name)


def _site_name(county: County, site: str) -> str:
    known = county.sites.get(site)
    return known.name if known is not None else site
