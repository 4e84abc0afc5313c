"""The duty room's HTTP face: who may enter, what is answered, and how errors are told."""

from datetime import timedelta

import httpx
import pytest

from services.app import Running
from tests.conftest import until
from tests.scenarios.field import START, alerts, dry, officer, publish, rain, settled, storm, subscribe
from tongluo import testing


@pytest.fixture
async def stranger(program: Running):  # type: ignore[no-untyped-def]
    async with httpx.AsyncClient(base_url=program.http_url, timeout=10) as client:
        yield client


async def log_in(client: httpx.AsyncClient, password: str | None) -> httpx.Response:
    return await client.post("/api/v1/session", json={"account": "admin", "password": password})


async def test_nothing_is_told_to_strangers(stranger: httpx.AsyncClient) -> None:
    described = (await stranger.get("/api/v1/openapi.json")).json()
    for path, methods in described["paths"].items():
        if path.startswith("/api/v1/") and "session" not in path:
            for method in methods:
                answer = await stranger.request(method, path.replace("{", "").replace("}", ""))
                assert answer.status_code == 401, path
                assert answer.headers["content-type"] == "application/problem+json"


async def test_the_generated_password_opens_a_session_that_ends(
    program: Running, stranger: httpx.AsyncClient
) -> None:
    assert (await log_in(stranger, "wrong")).status_code == 401
    answer = await log_in(stranger, program.admin_password)
    assert answer.json() == {"account": "admin", "role": "admin"}
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert (await stranger.get("/api/v1/alerts")).status_code == 200
    assert (await stranger.delete("/api/v1/session")).status_code == 204
    assert (await stranger.get("/api/v1/alerts")).status_code == 401


async def test_guessing_is_slowed_down(program: Running, stranger: httpx.AsyncClient) -> None:
    for _ in range(8):
        assert (await log_in(stranger, "guess")).status_code == 401
    refused = await log_in(stranger, program.admin_password)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


async def test_a_wrong_token_is_refused(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/api/v1/alerts", headers={"authorization": "Bearer nonsense"})
    assert answer.status_code == 401


async def test_a_series_is_raw_or_summed(program: Running) -> None:
    await publish(program.field.gateway_port, [rain(5 * n, 1.0) for n in range(1, 25)])
    await program.supervisor.pulses["ingest"].counted("messages", 24)
    await settled(program)
    span = {"metric": "rain", "from": START.isoformat(), "to": (START + timedelta(hours=2)).isoformat()}
    async with officer(program.http_url) as api:
        raw = (await api.get("/stations/R-1/series", params=span)).json()
        hourly = (await api.get("/stations/R-1/series", params={**span, "bucket": "1h"})).json()
    assert len(raw["points"]) == 24
    # 24 readings of 1 mm; the one stamped 01:00 fell in the hour before.
    assert [(p["time"], p["value"]) for p in hourly["points"]] == [
        ("2026-07-01T00:00:00+00:00", 12.0),
        ("2026-07-01T01:00:00+00:00", 12.0),
    ]
    assert hourly["aggregate"] == "sum"


@pytest.mark.parametrize(
    ("path", "params", "status", "words"),
    [
        ("/stations/R-9/series", {"metric": "rain"}, 404, "R-9"),
        ("/stations/R-1/series", {"metric": "rian"}, 422, "rian"),
        ("/stations/R-1/series", {"metric": "rain", "bucket": "7m"}, 422, "bucket"),
        ("/stations/R-1/series", {"metric": "rain", "from": "2026-07-01T00:00:00"}, 422, "from"),
        ("/stations/R-1/series", {"metric": "rain", "from": "2030-01-01T00:00:00Z", "to": "2029-01-01T00:00:00Z"}, 422, "before"),
        ("/alerts/none", {}, 404, "none"),
        ("/alerts", {"level": "purple"}, 422, "level"),
        ("/alerts", {"limit": "100000"}, 422, "limit"),
        ("/nothing", {}, 404, ""),
    ],
)  # fmt: skip
async def test_errors_are_problem_documents(
    program: Running, path: str, params: dict[str, str], status: int, words: str
) -> None:
    async with officer(program.http_url) as api:
        answer = await api.get(path, params=params)
    assert answer.status_code == status
    if path != "/nothing":
        assert answer.headers["content-type"] == "application/problem+json"
        assert words in answer.json()["detail"]


async def test_alerts_are_filtered_and_paged(program: Running) -> None:
    await publish(program.field.gateway_port, [*storm("R-1"), *storm("R-2"), *dry("R-2")])
    await publish(program.field.gateway_port, storm("R-3"), gateway="G-2")
    await program.supervisor.pulses["ingest"].counted("messages", 6 * 3 + len(dry()))
    await settled(program)
    async with officer(program.http_url) as api:

        async def found(**params: str) -> list[str]:
            return [item["site"]["id"] for item in (await api.get("/alerts", params=params)).json()["items"]]

        assert sorted(await found()) == ["S-1", "S-2", "S-3"]
        assert sorted(await found(state="open")) == ["S-1", "S-3"]
        assert await found(state="cleared") == ["S-2"]
        assert await found(area="331124") == []
        assert len(await found(area="331121101000")) == 3
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await api.get("/alerts", params={"limit": "1", **cursor})).json()
            seen += [item["site"]["id"] for item in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert sorted(seen) == ["S-1", "S-2", "S-3"]
        assert len(await alerts(api)) == 3


@pytest.mark.parametrize(
    "wish",
    [
        {"name": "x", "url": "ftp://example.org/"},
        {"name": "x", "url": "http://"},
        {"name": "x", "url": "http://user:secret@example.org/"},
        {"name": "", "url": "http://example.org/"},
        {"name": "x", "url": "http://example.org/", "min_level": "purple"},
    ],
)
async def test_a_useless_subscription_is_refused(program: Running, wish: dict[str, str]) -> None:
    async with officer(program.http_url) as api:
        answer = await api.post("/subscriptions", json=wish)
    assert answer.status_code == 422
    assert answer.json()["faults"]


async def test_a_subscription_lives_and_its_secret_is_told_once(program: Running) -> None:
    async with officer(program.http_url) as api:
        made = (await api.post("/subscriptions", json={"name": "x", "url": "http://127.0.0.1:9/"})).json()
        assert made["secret"].startswith("whsec_")
        [listed] = (await api.get("/subscriptions")).json()
        assert "secret" not in listed
        assert (await api.post(f"/subscriptions/{made['id']}/test")).status_code == 202
        assert (await api.patch(f"/subscriptions/{made['id']}", json={"enabled": False})).json()[
            "enabled"
        ] is False
        assert (await api.delete(f"/subscriptions/{made['id']}")).status_code == 204
        assert (await api.delete(f"/subscriptions/{made['id']}")).status_code == 404


async def test_the_program_says_that_it_is_ready(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/healthz")).json() == {"status": "alive"}
    ready = await stranger.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["roles"]["ingest"]["state"] == "subscribed"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/alerts?hazard=%00", None),
        ("GET", "/alerts?cursor=%00", None),
        ("GET", "/alerts/%00", None),
        ("GET", "/quarantine?gateway=%00", None),
        ("GET", "/stations/R-1/series?metric=rain&to=0001-01-01T00:00:00Z", None),
        ("GET", "/stations/R-1/series?metric=rain&from=9999-12-31T23:59:59Z", None),
        ("POST", "/session", {"account": "\x00", "password": "x"}),
        ("POST", "/subscriptions", {"name": "\x00", "url": "http://127.0.0.1:9/"}),
        ("POST", "/subscriptions", {"name": "x", "url": "http://127.0.0.1:99999/"}),
        ("POST", "/subscriptions", {"name": "x", "url": "http://127.0.0.1:9/", "hazards": ["rainstrom"]}),
        ("DELETE", "/subscriptions/%00", None),
    ],
)
async def test_hostile_requests_are_answered_with_a_problem(
    program: Running, method: str, path: str, body: dict[str, object] | None
) -> None:
    async with officer(program.http_url) as api:
        answer = await api.request(method, path, json=body)
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_huge_body_is_refused_before_it_is_read(stranger: httpx.AsyncClient) -> None:
    async def endless():  # type: ignore[no-untyped-def]
        for _ in range(10_000):
            yield b" " * 65_536

    try:
        answer = await stranger.post("/api/v1/session", content=endless())
    except httpx.TransportError:
        return  # closed in our face, which is an answer too
    assert answer.status_code == 413


async def test_who_was_told_is_known_after_the_subscription_has_ended(program: Running) -> None:
    async with testing.receiver() as township, officer(program.http_url) as api:
        made = await subscribe(api, township.url)
        await publish(program.field.gateway_port, storm())
        await until(lambda: len(township.received) == 1)
        await settled(program)
        await api.delete(f"/subscriptions/{made['id']}")
        [alert] = await alerts(api)
        [delivery] = (await api.get(f"/alerts/{alert['id']}")).json()["deliveries"]
        assert (delivery["state"], delivery["subscription"]["name"]) == ("delivered", "township")
        await publish(program.field.gateway_port, dry())
        await until(lambda: _cleared(api))
        assert len(township.received) == 1


async def _cleared(api: httpx.AsyncClient) -> bool:
    return [alert["state"] for alert in await alerts(api)] == ["cleared"]


async def test_reports_wait_for_a_disabled_subscription(program: Running) -> None:
    async with testing.receiver() as township, officer(program.http_url) as api:
        made = await subscribe(api, township.url)
        await publish(program.field.gateway_port, storm())
        await until(lambda: len(township.received) == 1)
        await api.patch(f"/subscriptions/{made['id']}", json={"enabled": False})
        await publish(program.field.gateway_port, dry())
        await until(lambda: _cleared(api))
        assert len(township.received) == 1
        await api.patch(f"/subscriptions/{made['id']}", json={"enabled": True})
        await until(lambda: township.types()[-1] == "alert.cleared")
