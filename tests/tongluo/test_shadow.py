"""Rules on trial against those in force: each change is found once, by one, by the other, or by both."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tongluo.finding import Level
from tongluo.shadow import SAME_WITHIN, Change, Levels, compare

START = datetime(2026, 7, 1, tzinfo=UTC)


def change(hour: float, level: Level | None = Level.RED, rule: str = "rain", site: str = "S-1") -> Change:
    return Change(rule, site, START + timedelta(hours=hour), level)


def test_what_both_found_has_its_difference_in_time() -> None:
    found = compare([change(1), change(9, None)], [change(1.5), change(8, None)])
    assert found.only_old == found.only_new == ()
    assert [(pair.level, pair.later_s) for pair in found.both] == [(Level.RED, 1800.0), (None, -3600.0)]


def test_another_level_rule_or_site_is_another_change() -> None:
    old = [change(1)]
    for new in (
        change(1, Level.ORANGE),
        change(1, None),
        change(1, rule="tilt"),
        change(1, site="S-2"),
        change(8),
    ):
        found = compare(old, [new])
        assert (found.only_old, found.only_new, found.both) == ((change(1),), (new,), ())


def test_the_closest_belong_together() -> None:
    found = compare([change(0), change(5)], [change(4.9), change(5.1 - 6)])
    assert [(pair.old, pair.new) for pair in found.both] == [
        (change(0).time, change(-0.9).time),
        (change(5).time, change(4.9).time),
    ]


changes = st.lists(
    st.builds(
        change,
        st.integers(-200, 200).map(lambda number: number / 10),
        st.sampled_from([Level.RED, None]),
        st.sampled_from(["rain", "tilt"]),
        st.sampled_from(["S-1", "S-2"]),
    ),
    max_size=30,
)


@given(changes, changes)
def test_nothing_is_lost_and_nothing_found_twice(old: list[Change], new: list[Change]) -> None:
    found = compare(old, new)
    assert Counter(set(old)) == Counter(
        [*found.only_old, *(Change(p.rule, p.site, p.old, p.level) for p in found.both)]
    )
    assert Counter(set(new)) == Counter(
        [*found.only_new, *(Change(p.rule, p.site, p.new, p.level) for p in found.both)]
    )
    assert all(abs(pair.new - pair.old) <= SAME_WITHIN for pair in found.both)
    # No two that could have been one are left over.
    for left in found.only_old:
        assert not any(
            (left.rule, left.site, left.level) == (other.rule, other.site, other.level)
            and abs(left.time - other.time) <= SAME_WITHIN
            for other in found.only_new
        )


@given(changes)
def test_the_same_rules_differ_in_nothing(old: list[Change]) -> None:
    found = compare(old, old)
    assert (found.only_old, found.only_new) == ((), ())
    assert all(pair.later_s == 0 for pair in found.both)


@given(changes)
def test_levels_are_those_of_the_newest_change(told: list[Change]) -> None:
    levels = Levels(told)
    for hour in range(-21, 22, 3):
        time = change(hour).time
        for rule in ("rain", "tilt"):
            for site in ("S-1", "S-2"):
                before = [one for one in told if (one.rule, one.site) == (rule, site) and one.time <= time]
                newest = {one.level for one in before if one.time == max(each.time for each in before)}
                assert levels.at(rule, site, time) in (newest or {None})


def test_an_alert_begins_where_no_level_was() -> None:
    told = [change(3, None), change(1, Level.BLUE), change(2), change(4), change(0, None, site="S-2")]
    assert Levels(told).raised() == 2
