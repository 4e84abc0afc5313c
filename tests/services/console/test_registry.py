"""The registry over HTTP: who may change it, over which version, and how faults are told."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import text

from services.app import Running
from services.console.accounts import reset_password
from tests.scenarios.field import officer
from tongluo import testing
from tongluo.clock import wall_now
from tongluo.registry import File, propose

GAUGE = {
    "name": "新站", "kind": "rain_gauge", "site": "S-1", "gateway": "G-1", "latitude": 28.2, "longitude": 120.4,
    "metrics": ["rain"], "limits": {"rain": {"highest": 80.0}}, "thresholds": {"rain_3h": {"blue": 30.0, "red": 90.0}},
}  # fmt: skip
CSV = "id,interval_s\nR-1,60\nR-2,60\n"


@pytest.fixture
async def api(program: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with officer(program.http_url) as client:
        yield client


async def number(api: httpx.AsyncClient) -> int:
    return int((await api.get("/registry")).json()["version"]["no"])


async def test_an_entry_is_made_changed_and_removed(api: httpx.AsyncClient) -> None:
    made = await api.put(
        "/registry/stations/R-9", json=GAUGE, headers={"if-none-match": "*"}, params={"note": "新"}
    )
    assert made.status_code == 201
    assert made.json()["entry"]["limits"] == {"rain": {"highest": 80.0}}
    # The very next answer shows it.
    assert "R-9" in [station["id"] for station in (await api.get("/stations")).json()]
    found = await api.get("/registry/stations/R-9")
    assert found.json() == made.json()["entry"]
    assert found.headers["etag"] == made.headers["etag"]
    tag = {"if-match": found.headers["etag"]}
    changed = await api.put(
        "/registry/stations/R-9", json={**found.json(), "interval_s": 60, "limits": {}}, headers=tag
    )
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag["if-match"]
    assert (await api.put("/registry/stations/R-9", json=GAUGE, headers=tag)).status_code == 412
    assert (await api.delete("/registry/stations/R-9", headers=tag)).status_code == 412
    now = {"if-match": changed.headers["etag"]}
    assert (await api.delete("/registry/stations/R-9", headers=now)).status_code == 204
    assert (await api.delete("/registry/stations/R-9", headers=now)).status_code == 404
    history = (await api.get("/registry/history")).json()["items"]
    assert [(each["no"], each["who"], each["summary"]) for each in history[:3]] == [
        (4, "admin-token", {"station": {"removed": 1}}),
        (3, "admin-token", {"station": {"changed": 1}}),
        (2, "admin-token", {"station": {"added": 1}}),
    ]
    assert history[2]["note"] == "新"


async def test_an_edit_of_another_entry_is_no_conflict(api: httpx.AsyncClient) -> None:
    first, other = (await api.get("/registry/gateways/G-1")), (await api.get("/registry/gateways/G-2"))
    for name, seen in (("G-1", first), ("G-2", other)):
        answer = await api.put(
            f"/registry/gateways/{name}", json={"name": "改名"}, headers={"if-match": seen.headers["etag"]}
        )
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("stations/R-9", GAUGE, {}, 428),
        ("stations/R-1", GAUGE, {"if-none-match": "*"}, 412),
        ("stations/R-9", GAUGE, {"if-match": "*"}, 412),
        ("stations/R-9", {**GAUGE, "latitude": "north"}, {"if-none-match": "*"}, 422),
        ("stations/R-9", {**GAUGE, "metrics": ["rian"]}, {"if-none-match": "*"}, 422),
        ("stations/R-9", {**GAUGE, "name": "\0"}, {"if-none-match": "*"}, 422),
        ("stations/R 9", GAUGE, {"if-none-match": "*"}, 422),
        ("stations/R-9", [], {"if-none-match": "*"}, 422),
        ("villages/R-9", GAUGE, {"if-none-match": "*"}, 422),
    ],
)
async def test_what_cannot_be_registered_is_refused(
    api: httpx.AsyncClient, path: str, body: object, headers: dict[str, str], status: int
) -> None:
    answer = await api.put(f"/registry/{path}", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await number(api) == 1


async def test_what_others_need_is_not_removed(api: httpx.AsyncClient) -> None:
    tag = {"if-match": (await api.get("/registry/gateways/G-1")).headers["etag"]}
    answer = await api.delete("/registry/gateways/G-1", headers=tag)
    assert answer.status_code == 409
    assert [(fault["kind"], fault["id"], fault["field"]) for fault in answer.json()["faults"]] == [
        ("station", "R-1", "gateway"),
        ("station", "R-2", "gateway"),
    ]
    assert answer.json()["faults"][0]["words"]["zh"]


async def test_a_file_is_checked_compared_and_laid_over_that_very_version(api: httpx.AsyncClient) -> None:
    name = {"filename": "stations.csv"}
    wrong = (await api.post("/registry/check", params=name, content=CSV + "R-9,-1\n")).json()
    assert not wrong["well"]
    assert {fault["line"] for fault in wrong["faults"]} == {4}
    seen = (await api.post("/registry/diff", params=name, content=CSV)).json()
    assert [(c["id"], c["what"]) for c in seen["changes"]] == [("R-1", "changed"), ("R-2", "changed")]
    assert await number(api) == 1
    over = {**name, "version": seen["version"], "note": "按分钟"}
    applied = await api.post("/registry/import", params=over, content=CSV)
    assert (applied.status_code, applied.json()["version"]["no"]) == (200, 2)
    assert applied.json()["version"]["source"] == "file stations.csv"
    late = await api.post("/registry/import", params=over, content="id,interval_s\nR-1,90\n")
    assert late.status_code == 409
    refused = await api.post(
        "/registry/import", params={**over, "version": 2}, content="id,interval_s\nR-1,x\n"
    )
    assert refused.status_code == 422
    assert refused.json()["faults"][0]["line"] == 2
    assert await number(api) == 2


async def test_an_earlier_version_is_seen_and_comes_back(api: httpx.AsyncClient) -> None:
    over = {"filename": "stations.csv", "version": 1}
    await api.post("/registry/import", params=over, content=CSV)
    first = (await api.get("/registry/history/1")).json()
    assert first["current"] == 2
    assert [c["fields"] for c in first["restoring"]] == [[{"field": "interval_s", "old": 60, "new": 300}]] * 2
    assert (await api.post("/registry/restore/1", params={"version": 1})).status_code == 409
    restored = await api.post("/registry/restore/1", params={"version": 2})
    assert restored.json()["version"]["no"] == 3
    assert (await api.get("/registry/stations/R-1")).json().get("interval_s", 300) == 300
    for missing in ("99", "0", "99999999999999999999"):
        assert (await api.get(f"/registry/history/{missing}")).status_code == 404


@pytest.mark.parametrize(("form", "name"), [("toml", "x.toml"), ("csv", "x.zip"), ("geojson", "x.geojson")])
async def test_what_is_exported_is_the_registry(api: httpx.AsyncClient, form: str, name: str) -> None:
    answer = await api.get("/registry/export", params={"format": form})
    assert "attachment" in answer.headers["content-disposition"]
    assert propose(None, [File(name, answer.content)]).county == testing.county()


async def test_who_is_no_administrator_looks_and_changes_nothing(program: Running) -> None:
    async with program.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO account (name, password_hash, role, created) VALUES ('duty', '', 'officer', :now)"
            ),
            {"now": wall_now()},
        )
    password = await reset_password(program.engine, "duty")
    async with httpx.AsyncClient(base_url=f"{program.http_url}/api/v1", timeout=10) as api:
        await api.post("/session", json={"account": "duty", "password": password})
        assert (await api.get("/registry")).status_code == 200
        diff = await api.post("/registry/diff", params={"filename": "stations.csv"}, content=CSV)
        assert diff.status_code == 200
        tag = {"if-match": "*"}
        over = {"filename": "stations.csv", "version": 1}
        for answer in (
            await api.put("/registry/gateways/G-1", json={"name": "x"}, headers=tag),
            await api.delete("/registry/gateways/G-1", headers=tag),
            await api.post("/registry/import", params=over, content=CSV),
            await api.post("/registry/restore/1", params={"version": 1}),
        ):
            assert answer.status_code == 403
        assert await number(api) == 1


async def test_files_are_larger_than_other_bodies_but_not_endless(api: httpx.AsyncClient) -> None:
    name = {"filename": "gateways.csv"}
    many = "id,name\n" + "".join(f"X-{n},网关{n}\n" for n in range(19_999))
    assert len(many) > 256 * 1024
    seen = (await api.post("/registry/diff", params=name, content=many)).json()
    assert len(seen["changes"]) == 19_999
    more = (await api.post("/registry/diff", params=name, content=many + "Y,y\nZ,z\n")).json()
    assert [fault["words"]["en"] for fault in more["faults"]] == ["has more than 20000 rows"]
    answer = await api.post("/registry/diff", params=name, content=b"x" * (8 * 1024 * 1024 + 1))
    assert answer.status_code == 413
