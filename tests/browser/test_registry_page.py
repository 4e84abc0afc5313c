"""The registry in a real browser: an entry is edited, a file laid over, a version restored; edits outlive a restart."""

import asyncio
import sys
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.test_page import browser, log_in, picture
from tests.scenarios.command import Command, command
from tests.scenarios.field import officer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

WRONG = "id,纬度,经度,interval_s\nQT-R-001,119.78,28.25,60\nQT-R-002,28.2,119.9,-5\n"
RIGHT = "id,interval_s,thresholds.rain_3h.red\nQT-R-002,60,95\n"
NEW = "id,name,kind,site,gateway,latitude,longitude,metrics\nQT-R-090,新站,rain_gauge,QT-SC-001,QT-GW-205,28.25,119.78,rain\n"


async def choose(page: Page, content: str, encoding: str = "utf-8") -> None:
    file = {"name": "stations.csv", "mimeType": "text/csv", "buffer": content.encode(encoding)}
    await page.get_by_test_id("registry-file").set_input_files(file)  # type: ignore[arg-type]


async def typed(program: Command, file: Path) -> str:
    """`tongluo registry import` on a terminal beside the running program."""
    words = [sys.executable, "-m", "services", "registry", "import", str(file), "--yes"]
    process = await asyncio.create_subprocess_exec(
        *words, env=program.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def test_the_registry_is_edited_and_stays_so(tmp_path: Path) -> None:
    with command(tmp_path, "demo", TONGLUO_CLOCK="event") as program:
        await program.started()
        password = program.wait_for(r"password (\S+)")[1]
        async with browser(language="en-US") as page:
            await log_in(page, program, password)
            await page.get_by_test_id("nav-registry").click()
            await edit_an_entry(page)
            await lay_a_file_over(page)
            await restore_a_version(page)
            # From a terminal, too; the page hears of it and shows the station without a reload.
            file = tmp_path / "stations.csv"
            file.write_text(NEW, "utf-8")
            await typed(program, file)
            await page.get_by_test_id("nav-stations").click()
            await expect(page.locator("[data-testid=station-row][data-station-id=QT-R-090]")).to_be_visible(
                timeout=15_000
            )
        program.kill()
        # The folder the demonstration starts from does not take back what was edited.
        await program.started()
        async with officer(program.url) as api:
            assert (await api.get("/registry/stations/QT-R-090")).status_code == 200
            assert (await api.get("/registry")).json()["version"]["no"] == 5
        assert any("the registry has been edited and stays" in line for line in program.output)


async def edit_an_entry(page: Page) -> None:
    await page.get_by_test_id("registry-search").fill("QT-R-001")
    await page.locator("[data-entry-id=QT-R-001]").click()
    await page.get_by_test_id("registry-field-interval_s").fill("0")
    await page.get_by_test_id("registry-limit-rain-lowest").fill("900")
    await page.get_by_test_id("registry-save").click()
    await expect(page.get_by_test_id("registry-fault")).to_have_count(2)
    await expect(page.get_by_test_id("registry-field-interval_s")).to_have_attribute("aria-invalid", "true")
    await picture(page, Path("build/registry-refused.png"))
    await page.get_by_test_id("registry-field-interval_s").fill("60")
    await page.get_by_test_id("registry-limit-rain-lowest").fill("0")
    await page.get_by_test_id("registry-note").fill("every minute")
    await page.get_by_test_id("registry-save").click()
    await expect(page.get_by_test_id("registry-said")).to_contain_text("version 2")
    await expect(page.get_by_test_id("registry-field-interval_s")).to_have_value("60")
    await picture(page, Path("build/registry.png"))


async def lay_a_file_over(page: Page) -> None:
    await page.get_by_test_id("registry-tab-files").click()
    await choose(page, WRONG, "gb18030")
    faults = page.get_by_test_id("registry-fault")
    await expect(faults).to_have_count(2)
    assert [await fault.get_attribute("data-line") for fault in await faults.all()] == ["2", "3"]
    await expect(page.get_by_test_id("registry-apply")).to_have_count(0)
    await choose(page, RIGHT)
    await expect(page.locator("[data-change-id=QT-R-002]")).to_contain_text("300 → 60")
    await picture(page, Path("build/registry-diff.png"))
    await page.get_by_test_id("registry-apply").click()
    await expect(page.get_by_test_id("registry-said")).to_contain_text("version 3")


async def restore_a_version(page: Page) -> None:
    await page.get_by_test_id("registry-tab-history").click()
    await page.locator("[data-version='2']").click()
    await expect(page.get_by_test_id("registry-change").filter(has_text="60 → 300")).to_be_visible()
    await page.get_by_test_id("registry-restore").click()
    await expect(page.get_by_test_id("registry-said")).to_contain_text("version 4")
    await picture(page, Path("build/registry-history.png"))
