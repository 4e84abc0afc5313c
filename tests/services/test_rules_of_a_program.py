"""Rules of a whole program: replayed, applied, and still in force after a restart with other files."""

from pathlib import Path

from services.app import start
from tests.conftest import running, settings, until
from tests.scenarios.field import officer
from tests.services.console.rooms import FILES, LOWER, PERIOD
from tongluo import testing


async def test_what_was_applied_survives_a_restart(dsn: str, tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content, "utf-8")
    given = settings(tmp_path, store=dsn, rules=folder)
    async with running(given, testing.county()) as program, officer(program.http_url) as api:
        found = (await api.get("/rules")).json()
        assert found["files"] == FILES
        assert found["version"]["source"] == f"folder {folder}"
        replay = (await api.post("/rules/replay", json={"files": LOWER, **PERIOD})).json()["id"]

        async def over() -> bool:
            return (await api.get(f"/rules/replay/{replay}")).json()["state"] not in ("waiting", "running")

        await until(over)
        applied = await api.put("/rules", json={"over": found["version"]["no"], "files": LOWER})
        assert applied.status_code == 200, applied.text
        paths = (await api.get("/openapi.json")).json()["paths"]
        assert {"/api/v1/rules", "/api/v1/rules/shadow", "/api/v1/alerts/{alert_id}/why"} <= set(paths)
    said: list[str] = []
    async with start(given, testing.county(), said.append) as program, officer(program.http_url) as api:
        assert (await api.get("/rules")).json()["files"] == LOWER
    assert any("rules have been edited" in line for line in said)
