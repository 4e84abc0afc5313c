"""From a station rule's file to the model: items, lines, and what makes no sense about them."""

from datetime import timedelta

from msgspec import UNSET

from services.rules.catalogue.faults import Page, nearest
from services.rules.catalogue.indicators import indicators, span_of
from services.rules.catalogue.level_lines import level_lines
from services.rules.catalogue.lines import Path
from services.rules.catalogue.model import Confirm, Item, SoilModel, StationRule, Votes
from services.rules.catalogue.shape import ItemWritten, StationFile
from tongluo.hazards import Words
from tongluo.reading import METRICS


def station_rule(page: Page, file: StationFile) -> StationRule:
    """The rule of a file, without its version; faults go to `page`."""
    items = tuple(_item(page, item, ("item", n)) for n, item in enumerate(file.item))
    _twice(page, file)
    if file.votes is Votes.K_OF_N and not file.k_of_n:
        page.fault(("votes",), "k_of_n 须按等级写明几个测点", "k_of_n needs how many stations, by level")
    if file.votes is not Votes.K_OF_N and file.k_of_n:
        page.fault(("k_of_n",), '只在 votes = "k_of_n" 时有效', 'counts only with votes = "k_of_n"')
    return StationRule(
        id=file.id,
        version="",
        hazard=file.hazard,
        name=Words(file.name.zh, file.name.en),
        source=file.source,
        items=items,
        late_allowed=span_of(page, ("late",), file.late),
        votes=file.votes,
        k_of_n=dict(file.k_of_n),
        tell=file.tell,
        kinds=tuple(kind.value for kind in file.kinds),
    )


def _twice(page: Page, file: StationFile) -> None:
    """Items by id, and indicators by name: the tables name only rule and indicator."""
    items: set[str] = set()
    names: set[str] = set()
    for n, item in enumerate(file.item):
        if item.id and item.id in items:
            page.fault(("item", n, "id"), f"监测项 {item.id} 出现两次", f"item {item.id} is there twice")
        for name in names & set(item.indicators):
            page.fault(
                ("item", n, "indicators", name),
                f"指标 {name} 在前面的监测项里已有",
                f"indicator {name} is in an item before",
            )
        items.add(item.id)
        names |= set(item.indicators)


def _item(page: Page, item: ItemWritten, path: Path) -> Item:
    metric = METRICS.get(item.metric)
    if metric is None and item.metric:
        near = nearest(item.metric, METRICS)
        page.fault((*path, "metric"), f"没有 {item.metric} 这个监测量{near[0]}", f"unknown metric{near[1]}")
    if item.forecast and not item.metric.startswith("displacement"):
        page.fault((*path, "forecast"), "只用于位移", "is for displacement only")
    if item.confirm.n > item.confirm.m:
        page.fault((*path, "confirm", "n"), "n 不能大于 m", "n must not be above m")
    name = item.name
    if name is UNSET:
        called = Words(item.metric, item.metric) if metric is None else Words(metric.zh, metric.en)
    else:
        called = Words(name.zh, name.en)
    return Item(
        id=item.id,
        words=called,
        metric=item.metric,
        indicators=indicators(page, item, path),
        lines=level_lines(page, item, path),
        release_after=span_of(page, (*path, "release_after"), item.release_after),
        confirm=Confirm(
            item.confirm.n,
            item.confirm.m,
            span_of(page, (*path, "confirm", "hold"), item.confirm.hold),
        ),
        soil=_soil(page, item, (*path, "soil")),
        forecast=item.forecast,
    )


def _soil(page: Page, item: ItemWritten, path: Path) -> SoilModel | None:
    if item.soil is UNSET:
        return None
    if item.metric in METRICS and item.metric != "rain":
        page.fault(path, "只用于雨量", "is for rain only")
    if item.soil.normal_from >= item.soil.wet_from:
        page.fault((*path, "wet_from"), "须大于 normal_from", "must be above normal_from")
    starts = span_of(page, (*path, "day_starts"), item.soil.day_starts)
    if starts >= timedelta(days=1):
        page.fault((*path, "day_starts"), "须小于 1 天", "must be less than a day")
    return SoilModel(item.soil.k, item.soil.capacity_mm, item.soil.normal_from, item.soil.wet_from, starts)
