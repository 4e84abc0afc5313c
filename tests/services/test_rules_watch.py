"""Rules that change are taken up by a running program; what does not read leaves those in force where they are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from services.rules.catalogue.model import Catalogue
from services.rules.catalogue.read import read_catalogue
from services.rules_watch import RulesWatch, open_rules
from tests.conftest import until
from tests.services.console.rooms import FILES, LOWER, POND, RAIN, WRONG
from tongluo.clock import wall_now
from tongluo.errors import RuleError
from tongluo.postgres import Listener
from tongluo.store import rules
from tongluo.store.engine import open_store
from tongluo.store.rules import BUILT_IN, Edit, Files
from tongluo.supervise import Supervisor

EDIT = Edit("officer", "console")
OTHERS = {"pond.toml": POND}


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    async with open_store(dsn) as opened:
        yield opened


@asynccontextmanager
async def watched(
    dsn: str, engine: AsyncEngine, poll_s: float, files: Files = FILES
) -> AsyncIterator[tuple[RulesWatch[Catalogue], Listener]]:
    listener = Listener(dsn)
    watch, _ = await open_rules(engine, listener, read_catalogue, files, BUILT_IN, poll_s)
    yield watch, listener


async def put(engine: AsyncEngine, files: Files, over: int) -> None:
    await rules.apply(engine, files, EDIT, over=over, now=wall_now())


async def try_out(engine: AsyncEngine, files: Files) -> None:
    await rules.begin_trial(engine, files, EDIT, since=wall_now(), now=wall_now())


@pytest.mark.parametrize(("poll_s", "listening"), [(3600.0, True), (0.05, False)])
async def test_a_change_is_heard_and_found_without_hearing(
    dsn: str, engine: AsyncEngine, poll_s: float, listening: bool
) -> None:
    async with watched(dsn, engine, poll_s) as (watch, listener):
        supervisor = Supervisor()
        supervisor.add("rules", watch.run)
        if listening:
            supervisor.add("listener", listener.run)
        async with supervisor.running():
            await supervisor.ready()
            # More than one: the listener's own start wakes everybody once.
            for over, files in enumerate((LOWER, OTHERS, FILES), start=1):
                await put(engine, files, over)
                await until(lambda wanted=files: watch.in_force().files == wanted)
                assert watch.catalogue() == read_catalogue(files)
            for files in (LOWER, OTHERS):
                await try_out(engine, files)
                wanted = read_catalogue(files)
                await until(lambda wanted=wanted: watch.shadow() == wanted)
            await rules.end_trial(engine, "officer", wall_now())
            await until(lambda: watch.shadow() is None)
            assert watch.catalogue() == read_catalogue(FILES)


async def test_a_piece_of_work_keeps_the_rules_it_began_with(dsn: str, engine: AsyncEngine) -> None:
    async with watched(dsn, engine, 3600.0) as (watch, _):
        begun = watch.catalogue()
        await put(engine, OTHERS, 1)
        await watch.look()
        assert begun == read_catalogue(FILES)
        assert watch.catalogue() == read_catalogue(OTHERS)


async def test_looking_again_reads_nothing_anew(dsn: str, engine: AsyncEngine) -> None:
    async with watched(dsn, engine, 3600.0) as (watch, _):
        held = watch.catalogue()
        with psycopg.connect(dsn) as connection:
            connection.execute("UPDATE rule_version SET files = 'unreadable'")
        await watch.look()
        assert watch.catalogue() is held


async def test_what_does_not_read_leaves_the_rules_where_they_are(
    dsn: str, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched(dsn, engine, 3600.0) as (watch, _):
        await put(engine, WRONG, 1)
        await try_out(engine, WRONG)
        await watch.look()
        await watch.look()
        assert watch.catalogue() == read_catalogue(FILES)
        assert (watch.in_force().files, watch.shadow()) == (FILES, None)
        refused, trial_refused = watch.refused(), watch.trial_refused()
        assert refused is not None
        assert trial_refused is not None
        assert (refused.no, bool(refused.error.faults)) == (2, True)
        # Said loudly, and once.
        assert [(record.levelname, "cannot be used" in record.message) for record in caplog.records] == [
            ("ERROR", True)
        ] * 2
        await put(engine, LOWER, 2)
        await try_out(engine, OTHERS)
        await watch.look()
        assert (watch.refused(), watch.trial_refused()) == (None, None)
        assert (watch.catalogue(), watch.shadow()) == (read_catalogue(LOWER), read_catalogue(OTHERS))


async def test_a_start_takes_the_newest_version_that_reads(dsn: str, engine: AsyncEngine) -> None:
    for over, files in enumerate((OTHERS, LOWER, WRONG, {"rain.toml": "of another release"})):
        await put(engine, files, over)
    async with watched(dsn, engine, 3600.0) as (watch, _):
        assert watch.in_force().files == LOWER
        version, refused = watch.in_force().version, watch.refused()
        assert version is not None
        assert refused is not None
        assert (version.no, refused.no) == (2, 4)
        # It is not looked at again and again.
        await watch.look()
        assert watch.in_force().files == LOWER


async def test_where_nothing_of_the_store_reads_the_starts_own_files_stand_in(
    dsn: str, engine: AsyncEngine
) -> None:
    await put(engine, WRONG, 0)
    async with watched(dsn, engine, 3600.0) as (watch, _):
        assert (watch.in_force().files, watch.in_force().version) == (FILES, None)
        assert watch.catalogue() == read_catalogue(FILES)
        # Nothing was lost: the version is there for whoever mends it.
        kept = await rules.newest(engine)
        assert kept is not None
        assert kept.files == WRONG


async def test_files_of_a_start_that_do_not_read_stop_it(dsn: str, engine: AsyncEngine) -> None:
    with pytest.raises(RuleError):
        async with watched(dsn, engine, 3600.0, WRONG):
            raise AssertionError
    assert await rules.newest(engine) is None


async def test_an_edit_survives_a_restart_with_the_built_in_rules(dsn: str, engine: AsyncEngine) -> None:
    async with watched(dsn, engine, 3600.0):
        await put(engine, LOWER, 1)
        await try_out(engine, OTHERS)
    newer_release = {"rainstorm.toml": RAIN.replace("100.0", "90.0")}
    async with watched(dsn, engine, 3600.0, newer_release) as (watch, _):
        assert (watch.catalogue(), watch.shadow()) == (read_catalogue(LOWER), read_catalogue(OTHERS))
