"""From the levels of an item as they are written to its lines, and what makes no sense about them."""

from itertools import combinations, pairwise
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from services.rules.catalogue.faults import Page, nearest
from services.rules.catalogue.lines import Path
from services.rules.catalogue.model import LevelLine, Soil
from services.rules.catalogue.resolve import interpolated
from services.rules.catalogue.shape import ItemWritten, LevelsWritten, LevelWritten
from tongluo.finding import Level, Side

#: Release lines where a file says nothing: a fifth below the threshold, or a tenth above one that falls.
RELEASE: Final = {Side.ABOVE: 0.8, Side.BELOW: 1.1}
_NONE: Final = LevelsWritten()


def level_lines(page: Page, item: ItemWritten, path: Path) -> tuple[LevelLine, ...]:
    """Four lines for each indicator: a level the file does not give may still come from a table."""
    for name in item.levels:
        if name not in item.indicators:
            near = nearest(name, item.indicators)
            page.fault(
                (*path, "levels", name), f"没有这个指标{near[0]}", f"there is no such indicator{near[1]}"
            )
    if item.release_ratio is not UNSET and item.release_by is not UNSET:
        page.fault((*path, "release_by"), "与 release_ratio 只写其一", "is instead of release_ratio: say one")
    found: list[LevelLine] = []
    for name in item.indicators:
        found += _of_indicator(page, item, name, (*path, "levels", name))
    return tuple(found)


def _of_indicator(page: Page, item: ItemWritten, name: str, path: Path) -> list[LevelLine]:
    written = item.levels.get(name, _NONE)
    side = item.side if written.side is UNSET else written.side
    ratio, by = _release(page, item, written, side, path)
    found = []
    for level in Level:
        value = getattr(written, level.value)
        line = LevelLine(level, name, None, ratio, side, release_by=by)
        if isinstance(value, LevelWritten):
            line = _by_more(page, item, value, line, (*path, level.value))
        elif value is not UNSET:
            line = replace(line, reach=value)
        found.append(line)
    for line in found:
        _share(page, line, found, (*path, line.level.value))
    for lower, higher in combinations(found, 2):
        _rises(page, lower, higher, found, (*path, higher.level.value))
    return found


def _release(
    page: Page, item: ItemWritten, written: LevelsWritten, side: Side, path: Path
) -> tuple[float, float | None]:
    """Ratio and distance: what stands at the indicator, else at the item, else the default."""
    if written.release_ratio is not UNSET and written.release_by is not UNSET:
        page.fault((*path, "release_by"), "与 release_ratio 只写其一", "is instead of release_ratio: say one")
    own = written.release_ratio is not UNSET or written.release_by is not UNSET
    ratio, by = (written.release_ratio, written.release_by) if own else (item.release_ratio, item.release_by)
    if ratio is UNSET:
        return RELEASE[side], None if by is UNSET else by
    if (ratio > 1.0) if side is Side.ABOVE else (ratio < 1.0):
        page.fault(
            (*(path if own else path[:2]), "release_ratio"),
            "解除线须在阈值的安全一侧：above 不大于 1，below 不小于 1",
            "must lie on the safe side of the threshold: at most 1 for above, at least 1 for below",
        )
    return ratio, None


def _by_more(page: Page, item: ItemWritten, value: LevelWritten, line: LevelLine, path: Path) -> LevelLine:
    """A line by soil state, by a curve, or as a share of another level: one of the three, and whole."""
    forms = (("dry", "normal", "wet"), ("by", "points"), ("of", "times"))
    given = [form for form in forms if any(getattr(value, name) is not UNSET for name in form)]
    if len(given) != 1 or any(getattr(value, name) is UNSET for name in given[0]):
        page.fault(
            path,
            "须写 dry、normal、wet，或 by、points，或 of、times",
            "needs dry, normal and wet; or by and points; or of and times",
        )
    elif value.by is not UNSET and value.points is not UNSET:
        if any(left[0] >= right[0] for left, right in pairwise(value.points)):
            page.fault((*path, "points"), "参数值须逐点增大", "the parameter must grow from point to point")
        return replace(line, curve_of=value.by, curve=tuple(value.points))
    elif value.of is not UNSET and value.times is not UNSET:
        return replace(line, share_of=(value.of, value.times))
    elif value.dry is not UNSET and value.normal is not UNSET and value.wet is not UNSET:
        if item.soil is UNSET:
            page.fault(path, "本监测项没有 soil 模型", "the item has no [item.soil]")
        if line.side is Side.ABOVE and not value.dry >= value.normal >= value.wet:
            page.fault(path, "土越湿，阈值应越低", "the wetter the ground, the lower the threshold must be")
        return replace(line, by_soil={Soil.DRY: value.dry, Soil.NORMAL: value.normal, Soil.WET: value.wet})
    return line


def _share(page: Page, line: LevelLine, lines: list[LevelLine], path: Path) -> None:
    if line.share_of is None:
        return
    base = _base(line, lines)
    if base is line or base.share_of is not None:
        page.fault(
            (*path, "of"), "须是另一个自有阈值的等级", "must be another level, with a threshold of its own"
        )


def _rises(page: Page, lower: LevelLine, higher: LevelLine, lines: list[LevelLine], path: Path) -> None:
    """A higher level needs a worse value, in every state of the ground and all along a curve."""
    bases = [_base(line, lines) for line in (lower, higher)]
    if len({base.curve_of for base in bases if base.curve_of is not None}) > 1:
        return  # of two parameters nothing can be said beforehand
    xs = sorted({x for base in bases for x, _ in base.curve}) or [0.0]
    for soil in Soil:
        for x in xs:
            less, more = _at(lower, lines, soil, x), _at(higher, lines, soil, x)
            if less is None or more is None or (less < more if higher.side is Side.ABOVE else less > more):
                continue
            zh, en = ("高", "above") if higher.side is Side.ABOVE else ("低", "below")
            page.fault(
                path,
                f"{higher.level.zh}色 {more:g} 应{zh}于{lower.level.zh}色 {less:g}",
                f"{higher.level.value} {more:g} must be {en} {lower.level.value} {less:g}",
            )
            return


def _base(line: LevelLine, lines: list[LevelLine]) -> LevelLine:
    """What a line's reach is taken from: the line itself, or the one it is a share of."""
    return line if line.share_of is None else lines[line.share_of[0].rank - 1]


def _at(line: LevelLine, lines: list[LevelLine], soil: Soil, x: float) -> float | None:
    """A line's reach in a state of the ground, where its parameter is `x`; None where only a table gives it."""
    if line.share_of is not None:
        base = _base(line, lines)
        value = None if base.share_of is not None else _at(base, lines, soil, x)
        return None if value is None else value * line.share_of[1]
    if line.by_soil is not None:
        return line.by_soil[soil]
    return interpolated(line.curve, x) if line.curve else line.reach
