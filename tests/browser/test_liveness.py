"""Completeness and quarantine in a real browser: what is missing is seen, and what was refused comes in when asked."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import msgspec
import pytest
from playwright.async_api import Page, expect

from services.app import Running
from services.counties import chosen
from services.settings import Settings
from tests.browser.test_page import HOSTILE, browser, picture
from tests.conftest import running, settings
from tongluo.gateway import GatewayStatus
from tongluo.quality import Flag
from tongluo.reading import Reading
from tongluo.region import County
from tongluo.store import gateways, partitions
from tongluo.store.engine import open_store
from tongluo.store.heard import note
from tongluo.store.readings import by_arrays

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

# Eleven in the morning of a day in July, in Qingtian.
NOW = datetime(2026, 7, 8, 3, tzinfo=UTC)
DAYS = 7


def gauges(county: County) -> list[str]:
    return [station.id for station in county.stations.values() if "rain" in station.metrics]


def busiest(county: County) -> str:
    """The gateway that most stations hang on, of those after the first few gauges."""
    few = {county.stations[name].gateway for name in gauges(county)[:4]}
    behind = Counter(s.gateway for s in county.stations.values() if s.metrics and s.gateway not in few)
    return behind.most_common(1)[0][0]


def sent(county: County) -> list[Reading]:
    """A week of rain gauges: one gateway has died, one gauge is often away, one is flagged, one never spoke."""
    first, second, third, never = gauges(county)[:4]
    dead = busiest(county)
    found: list[Reading] = []
    for station in county.stations.values():
        name = station.id
        if name == never:
            continue
        for n in range(DAYS * 86_400 // station.interval_s):
            minutes_ago = n * station.interval_s // 60
            if station.gateway == dead and minutes_ago < 130:
                continue
            if name == first and (n // 7) % 5 == 1:
                continue
            if name == second and 600 < minutes_ago < 900:
                continue
            flags = Flag.LATE if name == second and 900 <= minutes_ago < 1000 else Flag(0)
            flags |= Flag.SPIKE if name == third and n % 40 == 0 else Flag(0)
            time = NOW - timedelta(minutes=minutes_ago)
            found += [
                Reading(name, metric, time, 0.5, station.site, station.gateway, int(flags), 10_000 - n)
                for metric in station.metrics
                if metric != "battery"
            ]
    return found


async def fill(dsn: str, county: County) -> None:
    readings = sent(county)
    async with open_store(dsn) as engine, engine.begin() as connection:
        await partitions.ensure(connection, engine, (reading.time for reading in readings))
        await by_arrays(connection, readings, NOW)
        await note(connection, readings, None)
        dead = busiest(county)
        for gateway in county.gateways:
            begun = NOW - timedelta(days=3)
            statuses = [GatewayStatus(gateway, online=True, received=begun, battery=12.6)]
            if gateway == dead:
                gone = NOW - timedelta(minutes=128)
                statuses.append(GatewayStatus(gateway, online=False, received=gone))
            await gateways.keep(connection, statuses)


@pytest.fixture
async def duty(dsn: str, tmp_path: Path) -> AsyncIterator[Running]:
    county = chosen(Settings())
    await fill(dsn, county)
    async with running(settings(tmp_path, store=dsn), county) as program:
        yield program


async def enter(page: Page, program: Running, view: str) -> None:
    await page.goto(f"{program.http_url}/#/{view}")
    await page.get_by_test_id("login-account").fill("admin")
    await page.get_by_test_id("login-password").fill(program.admin_password or "")
    await page.get_by_test_id("login-submit").click()


async def test_what_is_missing_is_seen_down_to_the_interval(duty: Running) -> None:
    county = chosen(Settings())
    first = gauges(county)[0]
    async with browser() as page:
        await enter(page, duty, "completeness")
        # All stations behind the dead gateway are one line.
        line = page.get_by_test_id("silence").first
        dead = busiest(county)
        await expect(line).to_contain_text(dead, timeout=20_000)
        await expect(page.get_by_test_id("silence")).to_have_count(1)
        await expect(page.get_by_test_id("county-day")).to_have_count(7)
        await picture(page, Path("build/completeness.png"))
        row = page.locator(f"[data-testid=complete-station][data-station-id={first}]")
        await row.get_by_test_id("day-cell").nth(3).click()
        await expect(page.get_by_test_id("timeline").first).to_be_visible()
        assert await page.get_by_test_id("gap").count() >= 8
        await picture(page, Path("build/completeness-day.png"))
        await page.goto(f"{duty.http_url}/#/stations")
        await expect(page.get_by_test_id("silence").first).to_contain_text(dead)
        await picture(page, Path("build/silence.png"))
    async with browser(width=390, height=844, language="en-US") as page:
        await enter(page, duty, "completeness")
        await expect(page.get_by_test_id("county-day").first).to_be_visible()
        await picture(page, Path("build/completeness-phone.png"))


async def test_what_was_refused_is_found_and_read_again(duty: Running) -> None:
    county = chosen(Settings())
    station = county.stations[gauges(county)[0]]
    async with aiomqtt.Client("127.0.0.1", duty.field.gateway_port) as client:
        topic = f"tongluo/v1/{station.gateway}/readings"
        reading = {"station": "R-NEW", "metric": "rain", "time": NOW.isoformat(), "value": 1.0}
        for n in range(3):
            await client.publish(topic, msgspec.json.encode({**reading, "seq": n}), qos=1)
        await client.publish(topic, HOSTILE, qos=1)
    async with browser(language="zh-CN") as page:
        await enter(page, duty, "quarantine")
        await expect(page.get_by_test_id("quarantined")).to_have_count(4)
        await page.get_by_test_id("quarantine-search").fill("onerror")
        await expect(page.get_by_test_id("quarantined")).to_have_count(1)
        await page.get_by_test_id("quarantine-open").click()
        detail = page.get_by_test_id("quarantine-detail")
        await expect(detail).to_contain_text("52 00 1b 5b 32 4a 3c 69 6d 67")
        await picture(page, Path("build/quarantine-detail.png"))
        await detail.get_by_role("button").first.click()
        await page.get_by_test_id("quarantine-search").fill("")
        await page.get_by_test_id("quarantine-code").filter(has_text="unknown_station").click()
        await expect(page.get_by_test_id("quarantined")).to_have_count(3)
        await page.get_by_test_id("requeue-all").click()
        await page.get_by_test_id("requeue-yes").click()
        # R-NEW is still unknown: each was tried, and says so.
        await expect(page.get_by_text("已重试 1 次")).to_have_count(3, timeout=20_000)
        await picture(page, Path("build/quarantine.png"))
