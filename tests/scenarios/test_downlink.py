"""A storm reaches back into the field: stations sample densely while it lasts, and are released."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.app import Running
from services.ingest.downlink.judgement import HOLDS
from services.settings import ClockKind, MqttAddress, Settings
from tests.conftest import running, until
from tests.scenarios.conftest import forget_session
from tests.scenarios.field import officer, publish
from tests.services.ingest.downlink.gateways import Gateway, entry, finding
from tongluo import testing
from tongluo.finding import Level


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def live(either: Settings) -> AsyncIterator[Running]:
    """A whole program over the small county, on either kind of servers, by the wall's clock."""
    given = either.model_copy(update={"clock": ClockKind.WALL})
    async with running(given, testing.county()) as found:
        yield found
    if isinstance(given.mqtt, MqttAddress):
        address = f"mqtt://{given.mqtt.host}:{given.mqtt.port}"
        await forget_session(address, f"{given.mqtt_client}-downlink")


async def newest(program: Running, station: str = "R-1") -> dict[str, Any]:
    async with officer(program.http_url) as api:
        items = (await api.get("/commands", params={"station": station, "limit": 1})).json()["items"]
        return dict(items[0]) if items else {}


async def came_to(program: Running, state: str) -> dict[str, Any]:
    async def so() -> bool:
        return (await newest(program)).get("state") == state

    await until(so)
    return await newest(program)


def rain(ago: timedelta, mm: float) -> dict[str, Any]:
    return {"station": "R-1", "metric": "rain", "time": (now() - ago).isoformat(), "value": mm}


async def test_a_storm_makes_a_station_sample_densely_and_its_end_releases_it(live: Running) -> None:
    port = live.field.gateway_port
    async with Gateway(port, "G-1").listening() as ours, Gateway(port, "G-2").listening() as other:
        await publish(port, [rain(timedelta(minutes=n), 11.0) for n in (50, 40, 30, 20, 10)])
        accepted = await came_to(live, "accepted")
        [dense] = ours.heard
        assert dense["command"] == "sampling"
        assert (dense["station"], dense["interval_s"], dense["id"]) == ("R-1", 60, accepted["id"])
        lasts = datetime.fromisoformat(dense["until"]) - now()
        assert HOLDS - timedelta(minutes=1) < lasts <= HOLDS
        assert (accepted["level"], accepted["in_force_s"], accepted["gateway"]) == ("orange", 60, "G-1")

        ours.answer = lambda command: b'{"accepted": true}'
        await live.log.append([entry(finding(None, now()))])
        await until(lambda: len(ours.heard) == 2)
        released = await came_to(live, "accepted")
        assert "until" not in ours.heard[1]
        assert (ours.heard[1]["interval_s"], released["until"]) == (300, None)
        assert other.heard == []


async def test_a_refusal_is_shown_with_its_reason(live: Running) -> None:
    async with Gateway(live.field.gateway_port, "G-1").listening() as ours:
        ours.answer = lambda command: msgspec.json.encode(
            {"accepted": False, "reason": "旧记录仪\x00\x1b[2J"}
        )
        await live.log.append([entry(finding(Level.RED, now()))])
        assert (await came_to(live, "refused"))["reason"] == "旧记录仪  [2J"
        assert len(ours.heard) == 1
    async with officer(live.http_url) as api:
        assert (await api.get("/commands", params={"state": "accepted"})).json() == {"items": []}
        assert (await api.get("/commands", params={"state": "perhaps"})).status_code == 422


async def test_in_replay_mode_nothing_is_commanded(program: Running) -> None:
    async with Gateway(program.field.gateway_port, "G-1").listening() as ours:
        await program.log.append([entry(finding(Level.RED, now()))])
        await program.supervisor.pulses["ingest sampling"].counted("findings", 1)
        assert await newest(program) == {}
        assert "ingest downlink" not in program.supervisor.pulses
        assert ours.heard == []
