"""What was refused is read again once the cause is mended: the readings are there with their own times, the entry gone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import msgspec
import pytest
from sqlalchemy import text

from services.app import Running
from services.ingest.mqtt import Message
from services.ingest.requeue import Requeue
from services.settings import Settings
from tests.conftest import running, settings
from tests.scenarios.field import START, officer, publish, rain, settled
from tongluo import testing
from tongluo.clock import wall_now
from tongluo.hazards import Words
from tongluo.postgres import Listener
from tongluo.reading import Refusal
from tongluo.region import County
from tongluo.store import quarantine as quarantining
from tongluo.store import requeue
from tongluo.store.engine import open_store
from tongluo.supervise import Pulse


def without(station: str) -> County:
    county = testing.county()
    del county.stations[station]
    return county


async def items(api: httpx.AsyncClient, **params: str) -> list[dict[str, Any]]:
    answer = await api.get("/quarantine", params=params)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def counted(program: Running, number: int, kind: str = "messages", role: str = "ingest") -> None:
    await program.supervisor.pulses[role].counted(kind, number)
    await settled(program)


async def test_an_unknown_station_is_registered_and_its_readings_come_in(either: Settings) -> None:
    sent = [rain(5 * n, float(n), "R-2") for n in range(1, 4)]
    async with running(either, without("R-2")) as program, officer(program.http_url) as api:
        # Two in one message with a good one between them, and one alone.
        mixed = [sent[0], rain(5, 0.0), sent[1]]
        async with aiomqtt.Client("127.0.0.1", program.field.gateway_port) as client:
            await client.publish("tongluo/v1/G-1/readings", msgspec.json.encode(mixed), qos=1)
        await publish(program.field.gateway_port, [sent[2]])
        await counted(program, 2)
        assert [item["code"] for item in await items(api)] == 3 * ["unknown_station"]
        # Before the cause is mended it is refused again, kept, and counted.
        answer = await api.post("/quarantine/requeue", json={"code": "unknown_station"})
        assert (answer.status_code, answer.json()) == (202, {"requeued": 3})
        await counted(program, 3, "refused again", "requeue")
        kept = await items(api)
        assert {(item["attempts"], item["times"], item["state"]) for item in kept} == {(1, 1, "kept")}
    async with running(either, testing.county()) as program, officer(program.http_url) as api:
        one = kept[0]["id"]
        assert (await api.post(f"/quarantine/{one}/requeue")).json() == {"requeued": 1}
        await counted(program, 1, "accepted", "requeue")
        assert (await api.post("/quarantine/requeue", json={"gateway": "G-1"})).json() == {"requeued": 2}
        await counted(program, 3, "accepted", "requeue")
        assert await items(api) == []
        assert (await api.post(f"/quarantine/{one}/requeue")).status_code == 404
        series = (
            await api.get("/stations/R-2/series", params={"metric": "rain", "from": START.isoformat()})
        ).json()
        assert [(p["time"], p["value"]) for p in series["points"]] == [
            ((START + timedelta(minutes=5 * n)).isoformat(), float(n)) for n in range(1, 4)
        ]


async def test_a_relative_time_is_counted_from_when_it_first_came_in(dsn: str, tmp_path: Path) -> None:
    given = settings(tmp_path, store=dsn)
    async with running(given, without("R-2")) as program, officer(program.http_url) as api:
        async with aiomqtt.Client("127.0.0.1", program.field.gateway_port) as client:
            pack = [{"n": "R-2/rain", "t": -60, "v": 1.5, "u": "mm"}]
            await client.publish("tongluo/v1/G-1/senml", msgspec.json.encode(pack), qos=1)
        await counted(program, 1)
        [item] = await items(api)
        came = datetime.fromisoformat(item["received"])
    async with running(given, testing.county()) as program, officer(program.http_url) as api:
        await api.post(f"/quarantine/{item['id']}/requeue")
        await counted(program, 1, "accepted", "requeue")
        async with program.engine.connect() as connection:
            [(time,)] = await connection.execute(text("SELECT time FROM reading"))
    assert abs(time - (came - timedelta(seconds=60))) < timedelta(seconds=1)


async def test_a_birth_without_a_time_is_of_when_it_first_came_in(dsn: str, tmp_path: Path) -> None:
    given, fewer = settings(tmp_path, store=dsn), testing.county()
    del fewer.gateways["G-1"]
    async with running(given, fewer) as program, officer(program.http_url) as api:
        async with aiomqtt.Client("127.0.0.1", program.field.gateway_port) as client:
            await client.publish("tongluo/v1/G-1/status", b'{"online":true,"battery":12.1}', qos=1)
        await counted(program, 1)
        [item] = await items(api)
        assert item["code"] == "unknown_gateway"
    async with running(given, testing.county()) as program, officer(program.http_url) as api:
        await api.post(f"/quarantine/{item['id']}/requeue")
        await counted(program, 1, "accepted", "requeue")
        gateways = {g["id"]: g for g in (await api.get("/liveness")).json()["gateways"]}
    assert (gateways["G-1"]["online"], gateways["G-1"]["since"]) == (True, item["received"])


async def test_refused_for_another_reason_it_is_known_that_it_was_tried(dsn: str, tmp_path: Path) -> None:
    given = settings(tmp_path, store=dsn)
    foreign = {**rain(5, 1.0, "R-3")}
    county = testing.county()
    async with running(given, without("R-3")) as program, officer(program.http_url) as api:
        await publish(program.field.gateway_port, [foreign, foreign])
        await counted(program, 2)
        [item] = await items(api)
        assert (item["code"], item["times"]) == ("unknown_station", 2)
    async with running(given, county) as program, officer(program.http_url) as api:
        await api.post(f"/quarantine/{item['id']}/requeue")
        await counted(program, 1, "refused again", "requeue")
        [again] = await items(api)
        assert (again["code"], again["times"], again["attempts"]) == ("foreign_station", 2, 1)
        assert (again["received"], again["requeued_by"]) == (item["received"], "admin-token")


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 422), ({"code": "x" * 65}, 422), ({"code": "a", "limit": 0}, 422), ({"code": "none"}, 202)],
)
async def test_all_of_everything_is_not_requeued(
    program: Running, body: dict[str, object], status: int
) -> None:
    async with officer(program.http_url) as api:
        assert (await api.post("/quarantine/requeue", json=body)).status_code == status


# -- what is searched, shown, and cannot be requeued


def refusal(
    payload: bytes,
    code: str = "not_json",
    gateway: str = "G-1",
    minute: int = 0,
    topic: str = "tongluo/v1/G-1/readings",
) -> Refusal:
    reason = Words("报文不是有效的 JSON", "the message is not valid JSON")
    return Refusal(gateway, topic, START + timedelta(minutes=minute), code, reason, payload)


async def fill(program: Running, *refusals: Refusal) -> None:
    async with program.engine.begin() as connection:
        for one in refusals:
            await quarantining.keep(connection, one)


async def test_it_is_searched_and_paged(program: Running) -> None:
    await fill(
        program,
        *(refusal(b"payload %d" % n, minute=n) for n in range(5)),
        refusal(b"\x00\xff100% rain", "not_json", "G-2", 7),
        refusal(b"{}", "missing_field", "G-2", 8),
    )
    async with officer(program.http_url) as api:

        async def heads(**params: str) -> list[str]:
            return [item["head"] for item in await items(api, **params)]

        assert await heads(search="load 3") == ["payload 3"]
        assert await heads(search="100%") == ["\x00\ufffd100% rain"]
        assert await heads(search="%") == ["\x00\ufffd100% rain"]
        assert len(await heads(search="有效的")) == 7
        assert await heads(search="missing_FIELD") == ["{}"]
        assert await heads(gateway="G-2", code="not_json") == ["\x00\ufffd100% rain"]
        begin = (START + timedelta(minutes=2)).isoformat()
        end = (START + timedelta(minutes=4)).isoformat()
        assert await heads(**{"from": begin, "to": end}) == ["payload 3", "payload 2"]
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await api.get("/quarantine", params={"limit": "2", **cursor})).json()
            seen += [item["head"] for item in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert len(seen) == len(set(seen)) == 7
        told = (await api.get("/quarantine/summary", params={"gateway": "G-2"})).json()
        assert {code["code"]: code["entries"] for code in told["codes"]} == {
            "not_json": 1,
            "missing_field": 1,
        }
        assert (told["entries"], told["waiting"], told["keep_days"]) == (7, 0, 90)
        for wrong in ({"cursor": "x"}, {"cursor": "2026-07-01T00:00:00 x"}, {"from": "yesterday"}):
            assert (await api.get("/quarantine", params=wrong)).status_code == 422
        assert (await api.get("/quarantine", params={"search": "\x00"})).status_code == 422


async def test_its_bytes_are_shown_and_handed_out_as_they_came(program: Running) -> None:
    hostile = b"<script>\x00\xff" + bytes(range(256)) * 32
    await fill(program, refusal(hostile))
    async with officer(program.http_url) as api:
        [item] = await items(api)
        shown = (await api.get(f"/quarantine/{item['id']}")).json()
        assert bytes.fromhex(shown["hex"]) == hostile[:4096]
        assert (shown["size"], shown["shown"], shown["why_not"]) == (len(hostile), 4096, None)
        whole = await api.get(f"/quarantine/{item['id']}/payload")
    assert whole.content == hostile
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-disposition"].startswith("attachment;")
    assert whole.headers["x-content-type-options"] == "nosniff"


async def test_what_is_not_whole_says_so_and_is_not_requeued(program: Running) -> None:
    await fill(
        program,
        refusal(b"part", "sl651_picture", topic="tongluo/v1/G-1/sl651"),
        refusal(b"log", "unreadable_entry", topic="readings"),
        refusal(b"long", topic=f"tongluo/v1/{'x' * 100}…"),
    )
    async with officer(program.http_url) as api:
        for item in await items(api):
            answer = await api.post(f"/quarantine/{item['id']}/requeue")
            assert answer.status_code == 409
            assert answer.json()["words"]["zh"]
            assert (await api.get(f"/quarantine/{item['id']}")).json()["why_not"]["en"] == answer.json()[
                "detail"
            ]
        many = await api.post("/quarantine/requeue", json={"search": "JSON"})
    assert many.json() == {"requeued": 0}


# -- what a crash leaves behind


async def test_taken_up_and_left_it_is_taken_up_again(dsn: str) -> None:
    async with open_store(dsn) as engine:
        async with engine.begin() as connection:
            await quarantining.keep(connection, refusal(b"one"))
            [id_] = (await connection.scalars(text("SELECT id FROM quarantine"))).all()
            assert await requeue.ask(connection, [id_], "admin", wall_now()) == 1
            assert await requeue.ask(connection, [id_], "admin", wall_now()) == 0
        now = wall_now()
        async with engine.begin() as connection:
            assert [held.id for held in await requeue.take_up(connection, now, 10, 1000)] == [id_]
        async with engine.begin() as connection:
            assert await requeue.take_up(connection, now, 10, 1000) == []
            later = now + requeue.LEASE + timedelta(seconds=1)
            [held] = await requeue.take_up(connection, later, 10, 1000)
            assert (held.id, held.payload, held.received) == (id_, b"one", START)


async def test_two_processes_share_what_is_asked_for(dsn: str) -> None:
    async with open_store(dsn) as engine:
        async with engine.begin() as connection:
            for n in range(10):
                await quarantining.keep(connection, refusal(b"%d" % n))
            ids = list(await connection.scalars(text("SELECT id FROM quarantine")))
            await requeue.ask(connection, ids, "admin", wall_now())
        async with engine.begin() as one, engine.begin() as other:
            mine = await requeue.take_up(one, wall_now(), 6, 1000)
            theirs = await requeue.take_up(other, wall_now(), 6, 1000)
    assert (len(mine), len(theirs)) == (6, 4)
    assert not {held.id for held in mine} & {held.id for held in theirs}


async def test_no_more_bytes_than_that_at_once_but_always_one(dsn: str) -> None:
    async with open_store(dsn) as engine:
        async with engine.begin() as connection:
            for n in range(4):
                await quarantining.keep(connection, refusal(b"%d" % n * 1000))
            ids = list(await connection.scalars(text("SELECT id FROM quarantine")))
            await requeue.ask(connection, ids, "admin", wall_now())
        async with engine.begin() as connection:
            assert len(await requeue.take_up(connection, wall_now(), 10, 1)) == 1
            assert len(await requeue.take_up(connection, wall_now(), 10, 1500)) == 2


async def test_what_cannot_be_handed_on_stays(program: Running) -> None:
    await fill(program, refusal(b"one"))

    async def take(messages: Sequence[Message]) -> None:
        raise ConnectionError("the log is away")

    async with program.engine.begin() as connection:
        ids = list(await connection.scalars(text("SELECT id FROM quarantine")))
        await connection.execute(text("UPDATE quarantine SET state = 'requeued', requeued = now()"))
    worker = Requeue(program.engine, program.log, Listener("unused"), take)
    with pytest.raises(ConnectionError):
        await worker.some(Pulse("requeue"))
    async with program.engine.connect() as connection:
        [(found, state)] = await connection.execute(text("SELECT id, state FROM quarantine"))
    assert ([found], state) == (ids, "sent")


# -- how long it is kept


async def test_what_is_old_or_too_much_goes_unless_somebody_asked_for_it(dsn: str) -> None:
    async with open_store(dsn) as engine:
        async with engine.begin() as connection:
            for n in range(10):
                await quarantining.keep(connection, refusal(b"%d" % n * 100, minute=n))
            await connection.execute(
                text("UPDATE quarantine SET state = 'requeued', requeued = now() WHERE payload LIKE '3%'")
            )
            before = START + timedelta(minutes=5)
            assert await requeue.expire(connection, before, 10_000) == 4
            assert await requeue.expire(connection, before, 350) == 2
            left = await connection.scalars(text("SELECT payload FROM quarantine ORDER BY received"))
            assert [bytes(payload)[:1] for payload in left] == [b"3", b"7", b"8", b"9"]
