"""The table of what happened: read whole, every fault by its line."""

from datetime import UTC, datetime

import pytest

from services.rules.past.truth import TruthError, read_truth
from tongluo import testing

COUNTY = testing.county()


def read(text: str) -> list:
    return read_truth(text, "truth.csv", COUNTY, {"雨量一站": "R-2"})


def test_events_by_site_name_station_and_area_in_order_of_time() -> None:
    found = read(
        "\ufeffstart,end,site,hazard,kind\n"
        "2026-07-02T00:00:00+08:00,2026-07-02T02:00:00+08:00,S-1,rainstorm,flooded road\n"
        "2026-07-01T00:00:00Z,,雨量一站,,\n"
        "2026-07-01T01:00:00Z,,3号小流域,,\n"
        "2026-07-01T02:00:00Z,,331121101,,\n"
    )
    assert [sorted(one.sites) for one in found] == [["S-2"], ["S-3"], ["S-1", "S-2", "S-3"], ["S-1"]]
    assert found[-1].start == datetime(2026, 7, 1, 16, tzinfo=UTC)
    assert found[-1].end == datetime(2026, 7, 1, 18, tzinfo=UTC)
    assert (found[-1].hazard, found[-1].kind) == ("rainstorm", "flooded road")
    assert (found[0].hazard, found[0].end) == (None, found[0].start)


def test_every_fault_is_told_at_once_with_its_line() -> None:
    with pytest.raises(TruthError) as told:
        read(
            "time,site,hazard\n"
            "2026-07-01T00:00:00,S-1,\n"
            "2026-07-01T00:00:00Z,S-9,\n"
            "2026-07-01T00:00:00Z,S-1,storm\n"
            "2026-07-01T00:00:00Z,S-1\n"
            "2026-07-01T00:00:00Z,S-1,rainstorm\n"
            "2026-07-01T00:00:00Z,999999,\n"
        )
    lines = str(told.value).splitlines()[1:]
    assert [line.split(":")[1] for line in lines] == ["2", "3", "4", "5", "7"]
    assert "with its zone" in lines[0]
    assert "S-9" in lines[1]
    assert "rainstorm" in lines[2]


def test_an_event_that_ends_before_it_starts_and_a_table_without_its_columns() -> None:
    with pytest.raises(TruthError, match="ends before it starts"):
        read("start,end,site\n2026-07-02T00:00:00Z,2026-07-01T00:00:00Z,S-1\n")
    with pytest.raises(TruthError, match="needs the columns"):
        read("when,where\n")
