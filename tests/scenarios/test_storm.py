"""The whole way in one program: rain over MQTT, an alert, a signed webhook, the all-clear; each step once."""

import asyncio
import json
import subprocess

import httpx
import pytest
from sqlalchemy import text

from services.app import Running
from services.console.hub import Hub
from tests.conftest import until
from tests.scenarios.field import (
    START,
    alerts,
    dry,
    history,
    officer,
    publish,
    rain,
    settled,
    storm,
    subscribe,
)
from tongluo import testing
from tongluo.clock import EventClock
from tongluo.postgres import Listener
from tongluo.store import changes
from tongluo.store.engine import open_store
from tongluo.supervise import Supervisor


async def test_sixty_millimetres_in_three_hours_raise_one_orange_alert_and_calm_clears_it(
    anywhere: Running,
) -> None:
    async with testing.receiver() as township, officer(anywhere.http_url) as api:
        township.secret = (await subscribe(api, township.url))["secret"]
        await publish(anywhere.field.gateway_port, storm())
        await until(lambda: len(township.received) == 1)
        [raised] = await alerts(api)
        assert (raised["level"], raised["state"], raised["site"]["id"]) == ("orange", "raised", "S-1")
        line = raised["evidence"]["criterion"]
        assert (line["level"], line["reach"]) == ("orange", 50.0)

        await publish(anywhere.field.gateway_port, dry())
        await until(lambda: township.types()[-1:] == ["alert.cleared"])
        await settled(anywhere)
        [cleared] = await alerts(api)
        assert cleared["id"] == raised["id"]
        assert await history(api, raised["id"]) == ["raised orange", "eased yellow", "eased blue", "cleared"]
        assert township.types() == ["alert.raised", "alert.updated", "alert.updated", "alert.cleared"]
        assert all(item.verified for item in township.received)
        assert [item.id for item in township.received] == [
            f"{raised['id']}-{n}-{_sub(township)}" for n in (1, 2, 3, 4)
        ]


def _sub(township: testing.Receiver) -> str:
    return township.received[0].id.rsplit("-", 1)[1]


@pytest.mark.mosquitto
async def test_a_reading_by_mosquitto_pub_is_in_the_series(program: Running) -> None:
    await asyncio.to_thread(
        subprocess.run,
        ["mosquitto_pub", "-p", str(program.field.gateway_port), "-q", "1", "-t", "tongluo/v1/G-1/readings",
         "-m", json.dumps(rain(15, 0.5))],
        check=True,
    )  # fmt: skip
    async with officer(program.http_url) as api:

        async def there() -> bool:
            series = (await api.get("/stations/R-1/series", params={"metric": "rain"})).json()
            return [point["value"] for point in series["points"]] == [0.5]

        await until(there)
        [station] = [s for s in (await api.get("/stations")).json() if s["id"] == "R-1"]
        assert station["latest"]["rain"]["value"] == 0.5


async def test_the_same_readings_again_change_nothing(anywhere: Running) -> None:
    async with testing.receiver() as township, officer(anywhere.http_url) as api:
        await subscribe(api, township.url)
        for _ in range(3):
            await publish(anywhere.field.gateway_port, storm())
        await anywhere.supervisor.pulses["ingest"].counted("messages", 18)
        await settled(anywhere)
        assert len(await alerts(api)) == 1
        assert len(township.received) == 1
        series = (await api.get("/stations/R-1/series", params={"metric": "rain"})).json()
        assert len(series["points"]) == 6


async def test_two_sites_have_two_alerts_and_areas_choose_among_them(anywhere: Running) -> None:
    async with (
        testing.receiver() as everybody,
        testing.receiver() as elsewhere,
        officer(anywhere.http_url) as api,
    ):
        await subscribe(api, everybody.url, areas=["331121101000"])
        refused = await api.post(
            "/subscriptions", json={"name": "x", "url": elsewhere.url, "areas": ["331124"]}
        )
        assert refused.status_code == 422
        await publish(anywhere.field.gateway_port, [*storm("R-1"), *storm("R-2")])
        await until(lambda: len(everybody.received) == 2)
        assert {alert["site"]["id"] for alert in await alerts(api)} == {"S-1", "S-2"}


async def test_the_stream_tells_of_the_alert_and_resumes_where_it_broke_off(anywhere: Running) -> None:
    async with officer(anywhere.http_url) as api:
        first = await _listen(api, anywhere, storm("R-1"), "alert")
        assert json.loads(first["data"])["level"] == "orange"
        # While nobody listens, a second alert; the stream then goes on after the first.
        await publish(anywhere.field.gateway_port, storm("R-2"))
        await settled(anywhere)
        async with api.stream("GET", "/stream", headers={"last-event-id": first["id"]}) as stream:
            missed = await _next(stream, "alert")
        assert json.loads(missed["data"])["site"]["id"] == "S-2"


async def _listen(
    api: httpx.AsyncClient, program: Running, readings: list[dict[str, object]], kind: str
) -> dict[str, str]:
    async with api.stream("GET", "/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        await publish(program.field.gateway_port, readings)
        return await _next(stream, kind)


async def _next(stream: httpx.Response, kind: str) -> dict[str, str]:
    event: dict[str, str] = {}
    async with asyncio.timeout(15):
        async for line in stream.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif event.get("event") == kind:
                return event
            else:
                event = {}
    raise AssertionError("the stream ended")


async def test_a_resumed_stream_misses_nothing_however_much_has_happened(program: Running) -> None:
    async with officer(program.http_url) as api:
        first = await _listen(api, program, storm("R-1"), "alert")
        async with program.engine.begin() as connection:
            # Six hundred changes of one alert, and behind them another alert.
            alert = json.loads(first["data"])["id"]
            await changes.note(connection, [changes.Change(alert)] * 600, START)
        await publish(program.field.gateway_port, storm("R-2"))
        await settled(program)
        async with api.stream("GET", "/stream", headers={"last-event-id": first["id"]}) as stream:
            assert await _next(stream, "reset")


async def test_the_page_hears_of_what_was_committed_while_the_hub_was_away(dsn: str) -> None:
    async with open_store(dsn) as engine:
        listener = Listener(dsn)
        hub = Hub(engine, listener, testing.county, EventClock(START))
        page = hub.open()
        await _run_hub(hub, listener)
        async with engine.begin() as connection:
            await connection.execute(
                text(
                    "INSERT INTO alert (id, hazard, site, onset, level, peak, state, updated, report_no, evidence, headline) "
                    "VALUES ('a', 'rainstorm', 'S-1', :now, 'blue', 'blue', 'raised', :now, 1, '{}', '{}')"
                ),
                {"now": START},
            )
            await changes.note(connection, [changes.Change("a")], START)
        await _run_hub(hub, listener)
        heard = []
        hub.close()
        while (event := await page.get()) is not None:
            heard.append(event.event)
        assert "alert" in heard


async def _run_hub(hub: Hub, listener: Listener) -> None:
    """The role for a moment, as the supervisor would run it between two faults."""
    supervisor = Supervisor()
    supervisor.add("listener", listener.run)
    supervisor.add("hub", hub.run)
    async with supervisor.running():
        await supervisor.ready()
        await asyncio.sleep(0.3)
