"""A curve that is drawn meets what was judged: at every change of level it has the value of the evidence."""

from datetime import timedelta

import numpy as np
import pytest

from services.rules.catalogue import load, read_catalogue
from services.rules.catalogue.model import StationRule
from services.rules.past import drawn
from services.rules.past.places import Place, placed
from services.rules.past.replay import run
from services.rules.past.study import looks_back
from tests.services.rules.past.made import START, batches, in_order, rain
from tongluo import testing
from tongluo.reading import Reading
from tongluo.readings import microseconds
from tongluo.region import County

PARAMETERS = "site,station,parameter,value,reviewed_by,reviewed_on,note\n"
UNTIL = START + timedelta(days=40)


def test_sums_and_their_weighted_sums() -> None:
    readings = in_order(rain(1, [0.3 * (nth % 7) + (45.1 if nth % 50 == 9 else 0.0) for nth in range(400)]))
    assert checked(testing.county(), readings) >= {"rain_1h", "rain_3h", "rain_24h"}


def test_the_newest_value_and_its_changes() -> None:
    told = placed(None, [Place("P-1", ("displacement",), timedelta(hours=1))])
    series = told.series("P-1", "displacement")
    readings = [
        Reading(
            "P-1",
            "displacement",
            START + nth * timedelta(hours=1),
            0.05 * nth**1.7,
            series.site,
            series.gateway,
        )
        for nth in range(400)
    ]
    assert checked(told.county, readings) >= {"displacement", "v0_ratio"}


def checked(county: County, readings: list[Reading]) -> set[str]:
    """The indicators that were compared, at every change of the shipped rules."""
    catalogue = read_catalogue(
        {
            **load(None),
            "parameters.csv": PARAMETERS + "".join(f",{name},v0_mm,4.0,,,\n" for name in county.stations),
        },
        county,
    )
    times = np.array([microseconds(one.time) for one in readings])
    values = np.array([one.value for one in readings])
    found: set[str] = set()
    for change in run(catalogue, county, batches(readings, 50), UNTIL):
        rule = catalogue.rule(change.rule)
        if not isinstance(rule, StationRule):
            continue
        because = change.finding.evidence
        at = (
            int(np.flatnonzero(times == microseconds(change.time))[0])
            if microseconds(change.time) in times
            else None
        )
        for measure in because.measures if at is not None else ():
            item = next(one for one in rule.items if any(i.name == measure.indicator for i in one.indicators))
            curve = drawn.curve(item, measure.indicator, times, values, {"v0_mm": 4.0})
            if curve is not None:
                assert curve[at] == pytest.approx(measure.value, abs=1e-3), measure
                found.add(measure.indicator)
    return found


def test_how_far_back_a_catalogue_looks() -> None:
    catalogue = read_catalogue(load(None))
    # The soil forgets slowest: 0.9 ** 44 is under a hundredth.
    assert timedelta(days=44) < looks_back(catalogue) < timedelta(days=60)
    alone = read_catalogue({"rainstorm.toml": load(None)["rainstorm.toml"]})
    assert looks_back(alone) == timedelta(hours=25)
