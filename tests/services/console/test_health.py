"""Probes and metrics: of a process without the page, and of consumers that are behind."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from services.app import Running
from services.console.health import exposition
from services.embedded.ports import free_port
from services.lag import lags
from tests.conftest import running, settings, until
from tongluo import testing, wire
from tongluo.log.port import Entry
from tongluo.reading import Reading
from tongluo.readings import gathered
from tongluo.store.engine import open_store
from tongluo.topics import READINGS


def samples(text: str) -> dict[tuple[str, ...], float]:
    """What a scraper makes of it: name and label values to value."""
    families: Iterable[Metric] = text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def lag(found: dict[tuple[str, ...], float], group: str, topic: str) -> float:
    return sum(value for key, value in found.items() if key[:3] == ("tongluo_log_lag_entries", group, topic))


async def test_a_worker_without_the_page_answers_probes_and_tells_the_lag(dsn: str, tmp_path: Path) -> None:
    port = free_port()
    given = settings(tmp_path, store=dsn, roles="rules", health_port=port)
    async with running(given, testing.county()) as worker:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            assert (await client.get("/healthz")).json() == {"status": "alive"}
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["ready"]) == (200, True)
            assert {"rules", "health"} <= set(ready.json()["roles"])
            assert (await client.get("/")).status_code == 404
            await worker.log.append([entry(n) for n in range(7)])

            async def judged() -> bool:
                return lag(samples((await client.get("/metrics")).text), "rules", "readings") == 0

            await until(judged)
            answer = await client.get("/metrics")
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            found = samples(answer.text)
    # Nobody records here.
    assert lag(found, "record", "readings") == 7
    assert lag(found, "desk", "findings") == 0
    assert found["tongluo_role_ready", "rules"] == 1
    assert found["tongluo_log_lag_known",] == 1
    assert worker.http_url == ""


def entry(number: int) -> Entry:
    time = datetime(2026, 7, 1, 0, number, tzinfo=UTC)
    reading = Reading("R-1", "rain", time, 0.1, "S-1", "G-1")
    return Entry(READINGS, reading.site, wire.READINGS.encode(gathered([reading])), time)


async def test_the_page_has_them_too(program: Running) -> None:
    async with httpx.AsyncClient(base_url=program.http_url, timeout=10) as client:
        found = samples((await client.get("/metrics")).text)
    assert found["tongluo_role_ready", "ingest"] == 1
    assert found["tongluo_log_lag_known",] == 1


async def test_while_the_store_is_away_the_roles_are_told_all_the_same(program: Running) -> None:
    async with open_store("postgresql://nobody@127.0.0.1:1/x") as away:
        found = await lags(program.log, away)
    assert found is None
    told = samples(
        exposition({"roles": {"rules": {"state": "waiting", "fault": "OSError", "counts": {}}}}, found)
    )
    assert told == {("tongluo_role_ready", "rules"): 0, ("tongluo_log_lag_known",): 0}


async def test_a_process_that_keeps_no_server_needs_no_folder(dsn: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    given = settings(tmp_path / "file", store=dsn, roles="record,notify")
    async with running(given, testing.county()) as worker:
        assert worker.supervisor.readiness()["ready"]
