"""Versions of the rules: kept, numbered, applied only over the one they were made against; and rules on trial."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tongluo.errors import RulesMoved
from tongluo.store import rules
from tongluo.store.engine import open_store
from tongluo.store.rules import BUILT_IN, Edit

NOW = datetime(2026, 7, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
BY_HAND = Edit("officer", "console", "lower in spring", reported=True)
FIRST, SECOND, THIRD = ({"rain.toml": f"reach = {mm}\n", "表.csv": "a,b\n"} for mm in (50, 60, 70))


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    async with open_store(dsn) as opened:
        yield opened


async def apply(engine: AsyncEngine, files: dict[str, str], over: int) -> rules.Version:
    return await rules.apply(engine, files, BY_HAND, over=over, now=NOW)


async def test_every_version_stays_and_the_newest_holds(engine: AsyncEngine) -> None:
    assert await rules.newest(engine) is None
    assert await rules.standing(engine) == rules.Standing(0, 0)
    await apply(engine, FIRST, 0)
    made = await apply(engine, SECOND, 1)
    assert made == rules.Version(
        2, NOW, "officer", "console", "lower in spring", rules.digest(SECOND), reported=True
    )
    assert await rules.newest(engine) == rules.Kept(made, SECOND)
    earlier = await rules.version(engine, 1)
    assert earlier is not None
    assert earlier.files == FIRST
    assert await rules.version(engine, 3) is None
    assert [each.no for each in await rules.history(engine)] == [2, 1]
    assert [each.no for each in await rules.history(engine, before=2)] == [1]


async def test_a_change_of_an_older_version_is_refused(engine: AsyncEngine) -> None:
    await apply(engine, FIRST, 0)
    await apply(engine, SECOND, 1)
    for over in (0, 1, 3):
        with pytest.raises(RulesMoved):
            await apply(engine, THIRD, over)
    assert (await rules.standing(engine)).version == 2


async def test_of_changes_at_the_same_time_one_is_made(engine: AsyncEngine) -> None:
    await apply(engine, FIRST, 0)
    changes = [apply(engine, {"rain.toml": str(number)}, 1) for number in range(6)]
    results = await asyncio.gather(*changes, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["RulesMoved"] * 5 + ["Version"]


async def test_what_changes_nothing_makes_no_version(engine: AsyncEngine) -> None:
    made = await apply(engine, FIRST, 0)
    assert await apply(engine, dict(reversed(FIRST.items())), 1) == made
    assert (await rules.standing(engine)).version == 1


@pytest.mark.parametrize(
    ("held", "given", "taken"),
    [
        (None, BUILT_IN, True),
        # A release that comes with other rules, and a folder whose files were changed.
        (Edit(rules.START, BUILT_IN), BUILT_IN, True),
        (Edit(rules.START, "folder a"), "folder a", True),
        (Edit(rules.START, BUILT_IN), "folder a", True),
        (Edit(rules.START, "folder a"), "folder b", True),
        # A process without the folder does not undo what one with it has said.
        (Edit(rules.START, "folder a"), BUILT_IN, False),
        (BY_HAND, BUILT_IN, False),
        (BY_HAND, "folder a", False),
        (Edit("officer", "version 1"), "folder a", False),
    ],
)
async def test_a_start_takes_its_files_unless_somebody_edited_them(
    engine: AsyncEngine, held: Edit | None, given: str, taken: bool
) -> None:
    if held is not None:
        await rules.apply(engine, FIRST, held, over=0, now=NOW)
    assert await rules.take_up(engine, SECOND, given, NOW) is taken
    newest = await rules.newest(engine)
    assert newest is not None
    assert newest.files == (SECOND if taken else FIRST)


async def test_many_that_start_at_once_make_one_version(engine: AsyncEngine) -> None:
    taken = await asyncio.gather(*(rules.take_up(engine, FIRST, BUILT_IN, NOW) for _ in range(6)))
    assert taken == [True] * 6
    assert (await rules.standing(engine)).version == 1


async def test_one_trial_runs_at_a_time(engine: AsyncEngine) -> None:
    await apply(engine, FIRST, 0)
    assert await rules.trial(engine) is None
    assert not await rules.end_trial(engine, "officer", NOW)
    first = await rules.begin_trial(engine, SECOND, BY_HAND, since=NOW, now=NOW)
    assert (first.files, first.since, first.against) == (SECOND, NOW, 1)
    begun = await asyncio.gather(
        *(rules.begin_trial(engine, THIRD, BY_HAND, since=LATER, now=LATER) for _ in range(4))
    )
    running = await rules.trial(engine)
    assert running == max(begun, key=lambda one: one.no)
    assert (await rules.standing(engine)).trial == running.no
    assert await rules.end_trial(engine, "chief", LATER)
    assert await rules.trial(engine) is None
    async with engine.connect() as connection:
        ended = await connection.execute(text("SELECT DISTINCT ended_by FROM rule_shadow ORDER BY 1"))
        assert list(ended.scalars()) == ["chief", "officer"]


async def test_files_are_known_to_have_been_reported_by_what_they_say(engine: AsyncEngine) -> None:
    assert not await rules.was_reported(engine, FIRST)
    for _ in range(2):
        await rules.report_shown(engine, FIRST, "officer", NOW)
    assert await rules.was_reported(engine, dict(reversed(FIRST.items())))
    assert not await rules.was_reported(engine, SECOND)
    assert not await rules.was_reported(engine, {**FIRST, "more.toml": ""})
