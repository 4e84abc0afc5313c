"""Old and foreign gateways, end to end: what they send is in the store, under their stations' own names."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import msgspec
import pytest

from services.app import Running
from services.embedded.ports import free_port
from services.ingest.decoders.sparkplug_b_pb2 import Metric, Payload
from services.settings import Settings
from tests.conftest import running, until
from tests.scenarios.field import officer
from tests.services.ingest.decoders import sl651_goldens
from tongluo import testing
from tongluo.region import County, Gateway, Station, StationKind

AT = datetime(2026, 7, 1, 2, 15, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def county() -> County:
    """The small county, with a camera, a telemetry station and an edge node known by their own addresses."""
    small = testing.county()
    gateways = {
        "G-1": msgspec.structs.replace(small.gateways["G-1"], address="lab/edge-7"),
        "G-2": small.gateways["G-2"],
        "G-3": Gateway("G-3", "遥测站", address="0070512301"),
    }
    camera = Station("C-1", "一号瞭望", StationKind.FIRE_CAMERA, "S-1", "G-1", 28.2, 120.4, ())
    telemetry = Station(
        "T-1", "遥测站", StationKind.RAIN_GAUGE, "S-2", "G-3", 28.2, 120.4,
        ("temperature", "humidity", "wind_speed", "phreatic_depth", "battery"), address="0070512301",
    )  # fmt: skip
    return msgspec.structs.replace(
        small, gateways=gateways, stations={**small.stations, "C-1": camera, "T-1": telemetry}
    )


@pytest.fixture
async def field(either: Settings) -> AsyncIterator[Running]:
    given = either.model_copy(update={"sl651_port": free_port(), "snapshots": either.data / "pictures"})
    async with running(given, county()) as found:
        yield found


async def stored(program: Running, station: str, metric: str) -> list[float]:
    async with officer(program.http_url) as api:
        answer = await api.get(
            f"/stations/{station}/series",
            params={"metric": metric, "from": "2025-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"},
        )
    return [point["value"] for point in answer.json()["points"]]


async def test_a_detection_and_its_picture_reach_the_duty_room(field: Running) -> None:
    sent: dict[str, Any] = {
        "camera": "C-1", "time": AT.isoformat(), "kind": "smoke", "confidence": 0.87, "azimuth": 213.4, "cone": 4.0,
        "snapshot": {"mime": "../../etc/passwd", "data": base64.b64encode(PNG).decode()},
    }  # fmt: skip
    async with aiomqtt.Client("127.0.0.1", field.field.gateway_port) as gateway:
        for _ in range(2):  # twice counts once
            await gateway.publish("tongluo/v1/G-1/detections", json.dumps(sent), qos=1)
    async with officer(field.http_url) as api:
        span = {"from": "2026-06-30T00:00:00Z", "to": "2026-07-02T00:00:00Z"}

        async def seen() -> bool:
            return bool((await api.get("/detections", params=span)).json()["items"])

        await until(seen)
        [item] = (await api.get("/detections", params=span)).json()["items"]
        digest = hashlib.sha256(PNG).hexdigest()
        assert (item["camera"], item["site"], item["snapshot"]["digest"]) == ("C-1", "S-1", digest)
        picture = await api.get(f"/snapshots/{digest}")
        assert (picture.content, picture.headers["content-type"]) == (PNG, "image/png")
        assert (await api.get(f"/snapshots/{'0' * 64}")).status_code == 404
        assert (await api.get("/snapshots/..%2f..%2fetc%2fpasswd")).status_code in (404, 422)


async def test_a_telemetry_station_calls_over_tcp_and_is_acknowledged(field: Running) -> None:
    await field.supervisor.ready()
    port = field.settings.sl651_port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sl651_goldens.message("added_33"))
    async with asyncio.timeout(20):
        answer = await reader.read(64)
    assert answer[:2] == b"~~"
    writer.close()

    async def there() -> bool:
        return await stored(field, "T-1", "battery") == [11.98]

    await until(there)
    assert await stored(field, "T-1", "temperature") == [-5.3]


def spark(seq: int, *metrics: Metric) -> bytes:
    at = int(AT.timestamp() * 1000)
    return Payload(timestamp=at, seq=seq, metrics=metrics).SerializeToString()


async def test_an_edge_node_is_heard_and_asked_for_a_birth_that_was_missed(field: Running) -> None:
    async with aiomqtt.Client("127.0.0.1", field.field.gateway_port) as edge:
        await edge.subscribe("spBv1.0/lab/NCMD/edge-7", qos=0)
        await edge.subscribe("spBv1.0/STATE/tongluo", qos=1)
        rain = Metric(alias=1, double_value=0.5)
        await edge.publish("spBv1.0/lab/NDATA/edge-7", spark(4, rain), qos=0)
        told: dict[str, bytes] = {}
        async with asyncio.timeout(20):
            async for message in edge.messages:
                told[str(message.topic)] = bytes(message.payload)
                if len(told) == 2:
                    break
        assert json.loads(told["spBv1.0/STATE/tongluo"])["online"] is True
        command = Payload.FromString(told["spBv1.0/lab/NCMD/edge-7"])
        assert [(one.name, one.boolean_value) for one in command.metrics] == [("Node Control/Rebirth", True)]
        await edge.publish(
            "spBv1.0/lab/NBIRTH/edge-7",
            spark(0, Metric(name="R-1/rain", alias=1, datatype=10, double_value=0.0)),
            qos=0,
        )
        later = Metric(alias=1, double_value=0.5, timestamp=int(AT.timestamp() * 1000) + 300_000)
        await edge.publish("spBv1.0/lab/NDATA/edge-7", spark(1, later), qos=0)
        await edge.publish("spBv1.0/lab/NBIRTH/stranger", spark(0), qos=0)

        async def there() -> bool:
            return await stored(field, "R-1", "rain") == [0.0, 0.5]

        await until(there)
    async with officer(field.http_url) as api:

        async def told_of() -> set[str]:
            return {item["code"] for item in (await api.get("/quarantine")).json()["items"]}

        async def both() -> bool:
            return await told_of() == {"no_birth", "unknown_gateway"}

        await until(both)
