"""The page in a real browser: the alert arrives without a reload, and a lost stream cannot be overlooked."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.scenarios.command import Command, command
from tests.scenarios.field import gateways, officer, publish_stubbornly, storm

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

# The picture of the README is written where SCREENSHOT says (`make screenshot`), else beside what was built.
PICTURE = Path(os.environ.get("SCREENSHOT", "build/duty-room.png"))

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A payload as a broken gateway sends it, or a wicked one.
HOSTILE = b"R\x00\x1b[2J<img src=x onerror=alert(1)>"

# Whatever the page's own security policy forbids: a style in markup, a picture from elsewhere.
VIOLATIONS = """
addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI, sourceFile, lineNumber, sample }) =>
  tellViolation(`policy: ${effectiveDirective} ${blockedURI} ${sourceFile}:${lineNumber} ${sample}`))
"""


@asynccontextmanager
async def browser(width: int = 1440, height: int = 900, language: str = "zh-CN") -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        context = await chromium.new_context(
            viewport={"width": width, "height": height}, locale=language, timezone_id="Asia/Shanghai"
        )
        page = await context.new_page()
        # Nothing may come from the internet: the duty room works when it is gone.
        outside: list[str] = []
        page.on(
            "request", lambda request: outside.append(request.url) if "127.0.0.1" not in request.url else None
        )
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.expose_function("tellViolation", lambda violation: faults.append(str(violation)))
        await page.add_init_script(VIOLATIONS)
        yield page
        # What was on its way from the page when the test ended is told before the answer to this.
        await page.evaluate("0")
        assert faults == []
        assert outside == []
        await chromium.close()


async def picture(page: Page, file: Path) -> bytes:
    """A screenshot, when the chart and the map have had a moment to draw."""
    await page.wait_for_timeout(1000)
    file.parent.mkdir(parents=True, exist_ok=True)
    # Else the caret would be hidden by a style element, which the page's policy forbids.
    return await page.screenshot(path=file, caret="initial")


async def log_in(page: Page, program: Command, password: str) -> None:
    await page.goto(program.url)
    await page.get_by_test_id("login-account").fill("admin")
    await page.get_by_test_id("login-password").fill(password)
    await page.get_by_test_id("login-submit").click()


async def test_the_alert_arrives_without_a_reload(tmp_path: Path) -> None:
    with command(tmp_path, "demo") as program:
        await program.started()
        password = program.wait_for(r"password (\S+)")[1]
        async with browser() as page:
            await log_in(page, program, password)
            await expect(page.get_by_test_id("live-indicator")).to_have_attribute("data-state", "live")
            # A mark on the document that a reload would take away.
            await page.evaluate("document.documentElement.dataset.mark = 'here'")
            orange = page.locator("[data-testid=alert-card][data-level=orange]").first
            await expect(orange).to_be_visible(timeout=60_000)
            await expect(page.get_by_test_id("county-status")).to_have_attribute("data-level", "orange")
            assert await page.evaluate("document.documentElement.dataset.mark") == "here"
            await orange.click()
            await expect(page.get_by_test_id("station-chart").first).to_be_visible()
            await expect(page.get_by_text(re.compile("预警"), exact=False).first).to_be_visible()
            # The charts and the map take a moment to draw; for the README the storm may spread a little.
            await page.wait_for_timeout(110_000 if "SCREENSHOT" in os.environ else 3000)
            assert len(await picture(page, PICTURE)) > 50_000
            # The storm has made a gauge sample more densely, and its gateway has said so.
            async with officer(program.url) as api:
                [asked, *_] = (await api.get("/commands", params={"state": "accepted"})).json()["items"]
            await page.goto(f"{program.url}/#/stations/{asked['station']}")
            sampling = page.get_by_test_id("station-sampling")
            await expect(sampling).to_have_text(re.compile("加密观测：每 60 秒，至 .*（网关已确认）"))


async def test_a_lost_stream_is_shown_and_mends_itself(tmp_path: Path) -> None:
    with command(tmp_path, "demo", TONGLUO_CLOCK="event") as program:
        await program.started()
        password = program.wait_for(r"password (\S+)")[1]
        async with browser(width=390, height=844, language="en-US") as page:
            await log_in(page, program, password)
            await expect(page.get_by_test_id("live-indicator")).to_have_attribute("data-state", "live")
            program.kill()
            await expect(page.get_by_test_id("stale-banner")).to_be_visible(timeout=25_000)
            await expect(page.get_by_test_id("live-indicator")).to_have_attribute("data-state", "stale")
            await program.started()
            await expect(page.get_by_test_id("stale-banner")).to_be_hidden(timeout=25_000)
            await expect(page.get_by_test_id("live-indicator")).to_have_attribute("data-state", "live")


async def test_every_view_keeps_to_the_security_policy(tmp_path: Path) -> None:
    """Chart and map style what they show, tooltips too, from scripts; and hostile bytes are shown, not run."""
    with command(tmp_path, "demo", TONGLUO_CLOCK="event") as program:
        await program.started()
        password = program.wait_for(r"password (\S+)")[1]
        async with officer(program.url) as api:
            gateway = await gateways(api)
        await publish_stubbornly(program.mqtt_port, storm("QT-R-001"), gateway)
        async with aiomqtt.Client("127.0.0.1", program.mqtt_port) as client:
            await client.publish(f"tongluo/v1/{gateway['QT-R-001']}/readings", HOSTILE, qos=1)
        async with browser(language="en-US") as page:
            policy = (await page.request.get(program.url)).headers["content-security-policy"]
            assert "unsafe" not in policy
            await log_in(page, program, password)
            await page.get_by_test_id("alert-card").first.click()
            chart = page.get_by_test_id("station-chart")
            await expect(chart).to_have_attribute("data-points", re.compile("[1-9]"))
            await chart.hover()
            await expect(chart.get_by_text("Cumulative")).to_be_visible()
            await page.get_by_test_id("station-marker").first.hover()
            await expect(page.locator(".station-tip")).to_be_visible()
            await picture(page, Path("build/alert.png"))
            for view in ("stations", "stations/QT-R-001", "subscriptions", "quarantine"):
                await page.goto(f"{program.url}/#/{view}")
                await picture(page, Path(f"build/{view.replace('/', '-')}.png"))
            await expect(page.locator(".head")).to_have_text(r"R\x00\x1b[2J<img src=x onerror=alert(1)>")


async def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    with command(tmp_path, "demo", TONGLUO_CLOCK="event") as program:
        await program.started()
        async with browser(language="en-US") as page:
            await log_in(page, program, "nonsense")
            await expect(page.get_by_role("alert")).to_be_visible()
            await expect(page.get_by_test_id("login-submit")).to_be_visible()
