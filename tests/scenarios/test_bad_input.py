"""Bad input of every kind among good: each in quarantine with its reason, the good ones through, nothing lost."""

import aiomqtt
import msgspec
import pytest

from services.app import Running
from tests.conftest import until
from tests.scenarios.field import START, alerts, officer, publish, rain, settled, storm
from tongluo.quality import Quality

GATEWAY = "tongluo/v1/G-1/readings"

BAD: dict[str, tuple[str, bytes]] = {
    "not_json": (GATEWAY, b"rain: 0.5"),
    "wrong_type": (GATEWAY, msgspec.json.encode(rain(1, "0.5"))),
    "not_finite": (
        GATEWAY,
        b'{"station":"R-1","metric":"rain","time":"2026-07-01T00:05:00+00:00","value":NaN}',
    ),
    "unknown_station": (GATEWAY, msgspec.json.encode(rain(1, 0.5, "R-77"))),
    "unknown_metric": (GATEWAY, msgspec.json.encode({**rain(1, 0.5), "metric": "rian"})),
    "too_large": (GATEWAY, b'{"station":"' + b"x" * 1_000_000 + b'"}'),
    "foreign_station": (GATEWAY, msgspec.json.encode(rain(1, 0.5, "R-3"))),
    "unknown_topic": ("tongluo/v1/G-1/raedings", msgspec.json.encode(rain(1, 0.5))),
}


async def test_each_bad_message_is_quarantined_and_the_pipeline_goes_on(anywhere: Running) -> None:
    port = anywhere.field.gateway_port
    async with aiomqtt.Client("127.0.0.1", port) as client:
        for reading, (topic, payload) in zip(storm(), BAD.values(), strict=False):
            await client.publish(topic, payload, qos=1)
            await client.publish(GATEWAY, msgspec.json.encode(reading), qos=1)
        for topic, payload in list(BAD.values())[6:]:
            await client.publish(topic, payload, qos=1)
    async with officer(anywhere.http_url) as api:

        async def all_there() -> bool:
            return len((await api.get("/quarantine")).json()["items"]) == len(BAD)

        await until(all_there)
        await settled(anywhere)
        items = {item["code"]: item for item in (await api.get("/quarantine")).json()["items"]}
        assert set(items) == set(BAD)
        for code, (topic, payload) in BAD.items():
            assert items[code]["size"] == len(payload)
            assert items[code]["topic"] == topic
            reason = items[code]["reason"]
            assert set(reason) == {"zh", "en"}
            assert reason["en"].isascii()
            assert not reason["zh"].isascii()
        [alert] = await alerts(api)
        assert alert["level"] == "orange"
        series = (await api.get("/stations/R-1/series", params={"metric": "rain"})).json()
        assert len(series["points"]) == 6


async def test_the_same_bad_message_is_one_row_that_counts(program: Running) -> None:
    topic, payload = BAD["not_json"]
    async with aiomqtt.Client("127.0.0.1", program.field.gateway_port) as client:
        for _ in range(5):
            await client.publish(topic, payload, qos=1)
    async with officer(program.http_url) as api:

        async def counted() -> bool:
            return [item["times"] for item in (await api.get("/quarantine")).json()["items"]] == [5]

        await until(counted)


async def test_hostile_words_do_not_stop_a_county(program: Running) -> None:
    """Half a character, markup, NUL in a station: each would stop a pipeline that writes down what it got.

    A topic with NUL is no MQTT: the gate hangs up on who sends it, and on nobody else.
    """
    reading = '{"station":"R-1","metric":"rain","time":"2026-07-01T00:00:00+00:00","value":%s}'
    hostile = [
        reading % '"\\ud800"',
        reading % '"<script>alert(1)</script>"',
        (reading % "1").replace("R-1", "R\\u0000"),
    ]
    async with aiomqtt.Client("127.0.0.1", program.field.gateway_port) as client:
        for payload in hostile:
            await client.publish(GATEWAY, payload, qos=1)
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client("127.0.0.1", program.field.gateway_port, timeout=2) as other:
                await other.publish("tongluo/v1/a\x00b/readings", reading % "1", qos=1)
    await publish(program.field.gateway_port, storm())
    async with officer(program.http_url) as api:

        async def raised_beside_three() -> bool:
            items = (await api.get("/quarantine")).json()["items"]
            return len(items) == 3 and len(await alerts(api)) == 1

        await until(raised_beside_three)


async def test_large_messages_by_the_dozen_are_taken_in_pieces(anywhere: Running) -> None:
    async with aiomqtt.Client("127.0.0.1", anywhere.field.gateway_port) as client:
        for number in range(30):
            await client.publish(GATEWAY, b"%d" % number + b" " * 3_000_000, qos=1)
    async with officer(anywhere.http_url) as api:

        async def all_there() -> bool:
            return len((await api.get("/quarantine")).json()["items"]) == 30

        await until(all_there)


@pytest.mark.parametrize("value", [-1.0, 100_000.0])
async def test_an_implausible_value_is_kept_flagged_and_raises_nothing(
    program: Running, value: float
) -> None:
    await publish(program.field.gateway_port, [rain(0, value)])
    await program.supervisor.pulses["ingest"].counted("messages", 1)
    await settled(program)
    async with officer(program.http_url) as api:
        series = (
            await api.get(
                "/stations/R-1/series",
                params={"metric": "rain", "from": START.replace(year=2025).isoformat()},
            )
        ).json()
        assert [(p["value"], p["quality"]) for p in series["points"]] == [(value, Quality.BAD)]
        assert await alerts(api) == []
