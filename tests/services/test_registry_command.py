"""`tongluo registry`: what it prints, what it changes, and its exit codes, over a real store."""

import asyncio
import os
from pathlib import Path

import pytest

from services import registry as tasks
from services.__main__ import parser
from services.embedded.folder import prepare_folder
from services.embedded.postgres import postgres
from services.embedded.process import in_thread
from services.settings import Settings
from tests.conftest import settings, until
from tongluo import testing
from tongluo.clock import wall_now
from tongluo.county_folder import read_folder
from tongluo.errors import RegistryMoved, SettingsError
from tongluo.store import registry
from tongluo.store.engine import open_store
from tongluo.store.migrate import migrate
from tongluo.store.registry import Edit

EDIT = Edit("test", "test")


@pytest.fixture
async def given(dsn: str, tmp_path: Path) -> Settings:
    async with open_store(dsn) as engine:
        await registry.apply(engine, testing.county(), EDIT, over=0, now=wall_now())
    return settings(tmp_path / "data", store=dsn)


async def run(given: Settings, *words: object) -> int:
    return await tasks.run(parser().parse_args(["registry", *map(str, words)]), given)


async def held(given: Settings) -> registry.Registered:
    async with open_store(given.store.dsn) as engine:  # type: ignore[union-attr]
        found = await registry.newest(engine)
        assert found is not None
        return found


async def test_every_fault_is_printed_with_its_line(
    given: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "stations.csv"
    file.write_text("id,interval_s,gateway\nR-1,0,G-1\nR-2,60,G-9\n", "utf-8")
    for task in ("check", "diff", "import"):
        assert await run(given, task, file) == 1
        printed = capsys.readouterr().out
        assert f"{file}:2: station R-1: interval_s:" in printed
        assert f"{file}:3: station R-2: gateway: gateway G-9 is not registered · 网关 G-9 没有登记" in printed
    assert (await held(given)).version.no == 1


async def test_a_file_is_applied_with_consent_and_comes_back(
    given: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "stations.csv"
    file.write_text("id,interval_s\nR-1,60\n", "utf-8")
    assert await run(given, "check", file) == 0
    assert await run(given, "diff", file) == 0
    assert "interval_s: 300 → 60" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: ASYNC230, SIM115 - nobody to ask
    assert await run(given, "import", file) == 1
    assert "nothing was applied" in capsys.readouterr().out
    assert await run(given, "import", file, "--yes", "--note", "每分钟") == 0
    now = await held(given)
    assert now.county.stations["R-1"].interval_s == 60
    assert (now.version.no, now.version.note, now.version.source) == (2, "每分钟", "file stations.csv")
    assert await run(given, "import", file, "--yes") == 0
    assert (await held(given)).version.no == 2
    capsys.readouterr()
    assert await run(given, "show", 2) == 0
    assert await run(given, "history") == 0
    printed = capsys.readouterr().out
    assert "stations ~1" in printed
    assert "每分钟" in printed
    assert await run(given, "restore", 1, "--yes") == 0
    assert (await held(given)).county == testing.county()
    with pytest.raises(SettingsError, match="no version 9"):
        await run(given, "show", 9)


@pytest.mark.parametrize(
    ("form", "name"), [("toml", "county.toml"), ("geojson", "x.geojson"), ("csv", "folder"), ("csv", "x.zip")]
)
async def test_what_is_exported_is_no_difference(
    given: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, name: str
) -> None:
    out = tmp_path / name
    assert await run(given, "export", "--format", form, "--out", out) == 0
    assert await run(given, "diff", "--replace", out) == 0
    assert "no difference" in capsys.readouterr().out


async def test_an_exported_file_is_a_folder_to_start_from(given: Settings, tmp_path: Path) -> None:
    assert await run(given, "export", "--format", "toml", "--out", tmp_path / "new" / "county.toml") == 0
    assert read_folder(tmp_path / "new") == testing.county()


async def test_what_cannot_be_read_is_named(given: Settings, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.csv"):
        await run(given, "check", tmp_path / "missing.csv")
    with pytest.raises(SettingsError, match="--out"):
        await run(given, "export", "--format", "csv")


async def test_an_edit_while_somebody_is_asked_is_not_overwritten(
    given: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "stations.csv"
    file.write_text("id,interval_s\nR-1,60\n", "utf-8")
    terminal, ours = os.openpty()
    with os.fdopen(ours) as keyboard, os.fdopen(terminal, "w") as officer:
        monkeypatch.setattr("sys.stdin", keyboard)
        asked = asyncio.ensure_future(run(given, "import", file))
        await until(lambda: "apply? [y/N]" in capsys.readouterr().out)
        async with open_store(given.store.dsn) as engine:  # type: ignore[union-attr]
            await registry.apply(engine, testing.county(4), EDIT, over=1, now=wall_now())
        officer.write("y\n")
        officer.flush()
        with pytest.raises(RegistryMoved, match="since version 1"):
            await asked
    assert (await held(given)).county == testing.county(4)


async def test_a_stopped_installation_is_reached_and_left_stopped(tmp_path: Path) -> None:
    data = prepare_folder(tmp_path / "data")
    given = settings(data)
    file = tmp_path / "gateways.csv"
    file.write_text("id,name\nG-9,九号\n", "utf-8")
    with pytest.raises(SettingsError, match="no installation"):
        await run(given, "import", file, "--yes")
    assert await run(given, "check", file) == 1  # no county there to lay it over
    async with in_thread(postgres(data)) as found:
        await asyncio.to_thread(migrate, found.dsn)
        async with open_store(found.dsn) as engine:
            await registry.apply(engine, testing.county(), EDIT, over=0, now=wall_now())
    assert await run(given, "import", file, "--yes") == 0
    assert not (data / "postgres" / "postmaster.pid").exists()
    async with in_thread(postgres(data)) as found, open_store(found.dsn) as engine:
        county = await registry.registered(engine)
    assert county is not None
    assert county.gateways["G-9"].name == "九号"
