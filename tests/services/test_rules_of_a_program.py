"""Rules of a whole program: applied, and still in force after a restart with other files."""

from pathlib import Path

import pytest

from tests.conftest import running, settings
from tests.scenarios.field import officer
from tests.services.console.rooms import FILES, LOWER
from tongluo import testing


async def test_what_was_applied_survives_a_restart(
    dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content, "utf-8")
    given = settings(tmp_path, store=dsn, rules=folder)
    async with running(given, testing.county()) as program, officer(program.http_url) as api:
        found = (await api.get("/rules")).json()
        assert found["files"] == FILES
        assert found["version"]["source"] == f"folder {folder}"
        applied = await api.put(
            "/rules",
            json={
                "over": found["version"]["no"], "files": LOWER, "without_report": True, "note": "spring",
            },
        )  # fmt: skip
        assert applied.status_code == 200, applied.text
        paths = (await api.get("/openapi.json")).json()["paths"]
        assert {"/api/v1/rules", "/api/v1/rules/shadow", "/api/v1/alerts/{alert_id}/why"} <= set(paths)
    async with running(given, testing.county()) as program, officer(program.http_url) as api:
        assert (await api.get("/rules")).json()["files"] == LOWER
    assert "the rules have been edited and stay as they are" in caplog.text
