"""Compiling the kernels before they are needed: once for a release, seconds; later starts only load them.

python -m services.rules.stations.warm
"""

from datetime import timedelta

from services.rules.catalogue.model import Catalogue, Function, Indicator, Item, LevelLine, StationRule
from services.rules.stations.compiled import forget_others
from services.rules.stations.judge import StationJudge
from tongluo.finding import Level
from tongluo.hazards import Words
from tongluo.readings import Readings, Series


def warm() -> None:
    """Judge a reading of each kind."""
    judge = StationJudge(Catalogue("", (_rule(Function.SUM, "rain"), _rule(Function.LAST, "battery"))), None)
    judge.judge(
        Readings((Series("", "rain", "", ""), Series("", "battery", "", "")), [0, 1], [0, 0], [1.0, 1.0])
    )


def _rule(function: Function, metric: str) -> StationRule:
    words, span = Words("", ""), timedelta(hours=1)
    line = LevelLine(Level.RED, "i", 2.0, 0.8)
    item = Item("i", words, metric, (Indicator("i", words, "", function, span),), (line,), span)
    return StationRule(metric, "", metric, words, "", (item,), span)


if __name__ == "__main__":
    warm()
    forget_others()
