"""The rules over HTTP: looked at, compared, applied only after their replay, restored, tried beside those in force."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console.accounts import reset_password
from services.console.replays import ReplayWish, Report
from services.ingest import recorder
from tests.conftest import opened_log, until
from tests.services.console.rooms import FILES, FIRE, LOWER, PERIOD, POND, RAIN, WRONG, Duty, duty, ended
from tongluo import testing, wire
from tongluo.clock import EventClock, wall_now
from tongluo.errors import SettingsError
from tongluo.finding import Finding, Level
from tongluo.log.port import Entry
from tongluo.store import rules as store
from tongluo.store import tables
from tongluo.store.engine import open_store
from tongluo.supervise import Supervisor
from tongluo.topics import SHADOW

NOON = datetime(2026, 7, 1, 4, tzinfo=UTC)


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    async with open_store(dsn) as opened:
        yield opened


@pytest.fixture
async def here(engine: AsyncEngine) -> AsyncIterator[Duty]:
    async with duty(engine, EventClock(NOON)) as opened:
        yield opened


async def tried(api: httpx.AsyncClient, files: dict[str, str]) -> None:
    answer = await api.post("/rules/replay", json={"files": files, **PERIOD})
    assert answer.status_code == 202
    assert (await ended(api, answer.json()["id"]))["state"] == "done"


async def applied(api: httpx.AsyncClient, over: int, files: dict[str, str], **given: Any) -> httpx.Response:
    return await api.put("/rules", json={"over": over, "files": files, **given})


def given(item: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines whose reach the rule itself gives; the others are left to tables."""
    return [line for line in item["lines"] if line["reach"] is not None]


async def test_what_is_in_force_is_shown_with_its_lines(here: Duty) -> None:
    found = (await here.api.get("/rules")).json()
    assert found["files"] == FILES
    assert (found["version"]["no"], found["version"]["source"], found["refused"]) == (1, "built in", None)
    [rule] = found["rules"]
    assert (rule["id"], rule["hazard"], rule["kind"], rule["source"]) == (
        "rainstorm", "rainstorm", "station", "invented",
    )  # fmt: skip
    assert rule["name"] == {"zh": "暴雨", "en": "Rainstorm"}
    [item] = rule["items"]
    assert item["metric"] == "rain"
    assert [(one["name"], one["unit"], one["window_s"]) for one in item["indicators"]] == [
        ("rain_1h", "mm", 3600.0), ("rain_3h", "mm", 10_800.0),
    ]  # fmt: skip
    assert [(one["level"], one["reach"], one["release"], one["side"]) for one in given(item)] == [
        ("orange", 50.0, 40.0, "above"), ("red", 100.0, 80.0, "above"),
    ]  # fmt: skip


async def test_a_line_below_which_it_is_dangerous_is_released_above(engine: AsyncEngine) -> None:
    async with duty(engine, files={"pond.toml": POND}) as here:
        [rule] = (await here.api.get("/rules")).json()["rules"]
        [line] = given(rule["items"][0])
        assert (line["reach"], line["release"], line["side"]) == (40.0, 48.0, "below")
        assert rule["items"][0]["indicators"][0]["window_s"] is None


async def test_a_check_tells_every_fault_by_line_and_changes_nothing(here: Duty) -> None:
    found = (await here.api.post("/rules/check", json={"files": WRONG})).json()
    assert not found["well"]
    assert len(found["faults"]) >= 2
    lines = RAIN.splitlines()
    for fault in found["faults"]:
        assert fault["file"] == "rainstorm.toml"
        assert fault["words"]["zh"]
        assert fault["words"]["en"]
    assert {lines[fault["line"] - 1].partition(" ")[0] for fault in found["faults"]} <= {"rain_1h", "rain_3h"}
    assert (await here.api.get("/rules")).json()["files"] == FILES


async def test_a_check_says_in_words_what_differs(here: Duty) -> None:
    found = (await here.api.post("/rules/check", json={"files": {**LOWER, "pond.toml": POND}})).json()
    assert (found["well"], found["faults"], found["reported"]) == (True, [], False)
    told = [words["en"] for words in found["diff"]]
    assert (
        "Rainstorm (rainstorm) rain_3h orange: from 50 mm (released at 40) → from 40 mm (released at 32)"
        in told
    )
    assert "new rule Tailings pond (tailings)" in told
    assert "new file pond.toml" in told
    assert "file rainstorm.toml: +1 −1 lines" in told
    assert [(one["file"], one["change"]) for one in found["files"]] == [
        ("pond.toml", "added"), ("rainstorm.toml", "changed"),
    ]  # fmt: skip
    assert "+rain_3h = { orange = 40.0, red = 100.0 }" in found["files"][1]["lines"]
    same = (await here.api.post("/rules/check", json={"files": FILES})).json()
    assert (same["diff"], same["files"]) == ([], [])


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"../rain.toml": RAIN},
        {"rain.exe": RAIN},
        {"rain.toml": 5},
        {f"{number}.toml": "" for number in range(65)},
        {"rain.toml": "x" * (4 * 1024 * 1024 + 1)},
    ],
)
async def test_what_is_no_set_of_files_is_refused(here: Duty, files: Any) -> None:
    for method, path in (("POST", "/rules/check"), ("PUT", "/rules/shadow")):
        assert (await here.api.request(method, path, json={"files": files})).status_code == 422


async def test_rules_are_applied_only_after_their_own_replay(here: Duty) -> None:
    refused = await applied(here.api, 1, LOWER, note="spring")
    assert (refused.status_code, refused.json()["reported"]) == (409, False)
    assert "POST rules/replay" in refused.json()["detail"]
    # That of other files counts for nothing.
    await tried(here.api, {**LOWER, "pond.toml": POND})
    assert (await applied(here.api, 1, LOWER)).status_code == 409
    await tried(here.api, LOWER)
    done = await applied(here.api, 1, LOWER, note="spring")
    assert done.status_code == 200
    assert done.json()["diff"][0]["en"].startswith("Rainstorm (rainstorm) rain_3h orange")
    found = (await here.api.get("/rules")).json()
    assert found["files"] == LOWER
    assert given(found["rules"][0]["items"][0])[0]["reach"] == 40.0
    assert {name: found["version"][name] for name in ("no", "by", "note", "source", "reported")} == {
        "no": 2, "by": "admin-token", "note": "spring", "source": "console", "reported": True,
    }  # fmt: skip


async def test_without_a_report_somebody_must_say_why(here: Duty) -> None:
    assert (await applied(here.api, 1, LOWER, without_report=True, note=" ")).status_code == 422
    done = await applied(here.api, 1, LOWER, without_report=True, note="the gauge was replaced")
    assert (done.status_code, done.json()["version"]["reported"]) == (200, False)


async def test_a_replay_that_failed_or_was_cancelled_shows_nothing(here: Duty) -> None:
    async def fails(wish: ReplayWish) -> Report:
        raise SettingsError("events.csv:3: no such site")

    here.trier.course = fails
    answer = await here.api.post("/rules/replay", json={"files": LOWER, **PERIOD})
    found = await ended(here.api, answer.json()["id"])
    assert (found["state"], found["error"], found["report"]) == ("failed", "events.csv:3: no such site", None)
    assert (await applied(here.api, 1, LOWER)).status_code == 409


async def test_files_with_faults_are_never_applied(here: Duty) -> None:
    answer = await applied(here.api, 1, WRONG, without_report=True, note="now")
    assert answer.status_code == 422
    assert {fault["file"] for fault in answer.json()["faults"]} == {"rainstorm.toml"}
    for method, path in (("PUT", "/rules/shadow"), ("POST", "/rules/replay")):
        body = {"files": WRONG, **(PERIOD if path.endswith("replay") else {})}
        answer = await here.api.request(method, path, json=body)
        assert (answer.status_code, bool(answer.json()["faults"])) == (422, True)
    assert (await store.standing(here.room.engine)) == store.Standing(1, 0)


async def test_of_two_editors_the_slower_compares_anew(here: Duty) -> None:
    assert (await applied(here.api, 1, LOWER, without_report=True, note="first")).status_code == 200
    for over in (0, 1, 3):
        answer = await applied(here.api, over, FILES, without_report=True, note="second")
        assert answer.status_code == 409
        assert f"since version {over}" in answer.json()["detail"]


async def test_every_version_can_be_seen_and_restored(here: Duty) -> None:
    await applied(here.api, 1, LOWER, without_report=True, note="spring")
    history = (await here.api.get("/rules/versions")).json()
    assert [(one["no"], one["by"], one["note"]) for one in history] == [
        (2, "admin-token", "spring"), (1, "start", ""),
    ]  # fmt: skip
    first = (await here.api.get("/rules/versions/1")).json()
    assert first["files"] == FILES
    assert [one["change"] for one in first["changed"]] == ["added"]
    assert [one["change"] for one in first["restoring"]] == ["changed"]
    assert (await here.api.post("/rules/restore/1", params={"over": 1})).status_code == 409
    assert (await here.api.post("/rules/restore/9")).status_code == 404
    back = await here.api.post("/rules/restore/1", params={"note": "too low"})
    assert (back.status_code, back.json()["version"]["source"]) == (200, "version 1")
    assert (await here.api.get("/rules")).json()["files"] == FILES
    assert (await here.api.get("/rules/versions/99999999999999999999")).status_code == 404


async def test_a_version_that_does_not_read_stays_out_of_force_and_can_be_followed(
    engine: AsyncEngine,
) -> None:
    by_hand = store.Edit("release before", "console")
    await store.apply(engine, FILES, by_hand, over=0, now=wall_now())
    await store.apply(engine, {"rainstorm.toml": "another language"}, by_hand, over=1, now=wall_now())
    async with duty(engine) as here:
        found = (await here.api.get("/rules")).json()
        assert (found["version"]["no"], found["files"]) == (1, FILES)
        assert found["refused"]["no"] == 2
        assert found["refused"]["faults"][0]["file"] == "rainstorm.toml"
        assert (await here.api.post("/rules/restore/2")).status_code == 422
        for over in (0, 3):
            assert (await applied(here.api, over, LOWER, without_report=True, note="x")).status_code == 409
        # Over what people look at: the version in force.
        assert (await applied(here.api, 1, LOWER, without_report=True, note="mended")).status_code == 200
        found = (await here.api.get("/rules")).json()
        assert (found["version"]["no"], found["files"], found["refused"]) == (3, LOWER, None)


async def test_who_may_only_look_changes_nothing(here: Duty) -> None:
    async with here.room.engine.begin() as connection:
        await connection.execute(
            insert(tables.account).values(name="chen", password_hash="", role="viewer", created=NOON)
        )
    password = await reset_password(here.room.engine, "chen")
    async with httpx.AsyncClient(transport=here.api._transport, base_url=here.api.base_url) as chen:
        assert (await chen.get("/rules")).status_code == 401
        await chen.post("/session", json={"account": "chen", "password": password})
        for path in ("/rules", "/rules/versions", "/rules/versions/1", "/rules/shadow"):
            assert (await chen.get(path)).status_code == 200
        assert (await chen.post("/rules/check", json={"files": LOWER})).status_code == 200
        body = {"over": 1, "files": LOWER, "without_report": True, "note": "me"}
        assert (await chen.put("/rules", json=body)).status_code == 403
        assert (await chen.post("/rules/restore/1")).status_code == 403
        assert (await chen.put("/rules/shadow", json={"files": LOWER})).status_code == 403
        assert (await chen.delete("/rules/shadow")).status_code == 403
        assert (await chen.post("/rules/replay", json=PERIOD)).status_code == 403
        assert (await chen.delete("/rules/replay/x")).status_code == 403


async def test_a_replay_tells_how_far_it_is_and_what_came_of_it(here: Duty) -> None:
    go = asyncio.Event()

    async def course(wish: ReplayWish) -> Report:
        wish.progress(0.25)
        await go.wait()
        wish.progress(0.1)
        return Report({"hits": 3}, "<h1>回放</h1>")

    here.trier.course = course
    begun = await here.api.post("/rules/replay", json={**PERIOD, "events_csv": "site,time\n"})
    assert begun.status_code == 202
    name = begun.json()["id"]
    await until(lambda: bool(here.trier.wishes))
    await asyncio.sleep(0)
    running = (await here.api.get(f"/rules/replay/{name}")).json()
    assert (running["state"], running["progress"], running["report"], running["html"]) == (
        "running", 0.25, None, None,
    )  # fmt: skip
    busy = await here.api.post("/rules/replay", json=PERIOD)
    assert (busy.status_code, busy.json()["replay"]) == (409, name)
    go.set()
    done = await ended(here.api, name)
    assert (done["state"], done["progress"], done["report"], done["html"]) == (
        "done", 1.0, {"hits": 3}, "<h1>回放</h1>",
    )  # fmt: skip
    [wish] = here.trier.wishes
    assert (wish.files, wish.in_force, wish.events_csv) == (FILES, FILES, "site,time\n")
    assert (wish.end - wish.begin, wish.begin.astimezone(UTC).hour) == (timedelta(days=30), 16)


async def test_a_replay_can_be_cancelled(here: Duty) -> None:
    stopped = asyncio.Event()

    async def forever(wish: ReplayWish) -> Report:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    here.trier.course = forever
    name = (await here.api.post("/rules/replay", json=PERIOD)).json()["id"]
    await until(lambda: bool(here.trier.wishes))
    assert (await here.api.delete(f"/rules/replay/{name}")).status_code == 204
    await stopped.wait()
    assert (await here.api.get(f"/rules/replay/{name}")).json()["state"] == "cancelled"
    assert (await here.api.delete(f"/rules/replay/{name}")).status_code == 204
    assert (await here.api.delete("/rules/replay/none")).status_code == 404
    assert (await here.api.get("/rules/replay/none")).status_code == 404
    # The next one runs.
    here.trier.course = lambda wish: asyncio.sleep(0, Report({}, ""))
    await tried(here.api, LOWER)


@pytest.mark.parametrize(
    "period",
    [
        {"from": PERIOD["to"], "to": PERIOD["from"]},
        {"from": "2020-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00", "to": "2026-01-02T00:00:00Z"},
        {"to": PERIOD["to"]},
    ],
)
async def test_a_period_that_is_none_is_not_replayed(here: Duty, period: dict[str, str]) -> None:
    assert (await here.api.post("/rules/replay", json=period)).status_code == 422


async def shadowed(dsn: str, engine: AsyncEngine, findings: list[Finding]) -> None:
    """Through the log, each told twice, as after a restart of whoever found them."""
    async with opened_log(dsn) as log:
        supervisor = Supervisor()
        supervisor.add("record shadow", recorder.shadow(log, engine).run)
        entries = [Entry(SHADOW, one.site, wire.FINDING.encode(one), one.time) for one in findings]
        async with supervisor.running():
            await supervisor.ready()
            await log.append([*entries, *entries, Entry(SHADOW, "S-1", b"nonsense", NOON)])
            await supervisor.pulses["record shadow"].counted("shadow", 2 * len(entries) + 1)


async def report(
    engine: AsyncEngine,
    site: str,
    minute: int,
    level: Level | None,
    *,
    drill: bool = False,
    rule: str = "rainstorm",
) -> None:
    """What the desk writes of a finding of the rules in force."""
    alert, time = f"{'drill-' if drill else ''}{site}", NOON + timedelta(minutes=minute)
    evidence = msgspec.to_builtins(testing.evidence(time, level=level, rule=rule))
    said = level.value if level is not None else None
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO alert (id, hazard, site, onset, level, peak, state, updated, report_no, evidence, headline, "
                "drill) VALUES (:id, 'rainstorm', :site, :now, 'red', 'red', 'raised', :now, 1, '{}', '{}', :drill) "
                "ON CONFLICT DO NOTHING"
            ),
            {"id": alert, "site": site, "now": time, "drill": drill},
        )
        await connection.execute(
            insert(tables.report).values(
                alert=alert, no=minute + 1000, time=time, transition="raised", level_to=said, evidence=evidence,
                headline={}, recorded=time,
            )
        )  # fmt: skip


async def test_rules_on_trial_are_compared_with_those_in_force(dsn: str, here: Duty) -> None:
    engine, api = here.room.engine, here.api
    assert (await api.get("/rules/shadow")).json() is None
    assert (await api.delete("/rules/shadow")).status_code == 404
    await api.put("/rules/shadow", json={"files": {**LOWER, "fire.toml": FIRE}, "note": "lower"})
    begun = (await api.get("/rules/shadow")).json()
    assert (begun["since"], begun["by"], begun["note"], begun["against"]) == (
        NOON.isoformat(), "admin-token", "lower", 1,
    )  # fmt: skip
    assert any(words["en"].startswith("Rainstorm (rainstorm) rain_3h orange") for words in begun["diff"])
    # What is in force stays in force.
    assert (await api.get("/rules")).json()["files"] == FILES
    shadow = here.room.rulebook.watch.shadow()
    version = shadow.station_rules[0].version

    def found(site: str, minute: int, level: Level | None, **given: Any) -> Finding:
        time = NOON + timedelta(minutes=minute)
        evidence = testing.evidence(time, rule_version=given.pop("version", version))
        return Finding("rainstorm", "rainstorm", site, time, level, evidence, **given)

    await report(engine, "S-1", -5, Level.RED)  # before the trial
    await report(engine, "S-1", 30, Level.ORANGE)
    await report(engine, "S-1", 90, None)
    await report(engine, "S-2", 40, Level.RED)
    await report(engine, "S-2", 41, Level.BLUE, drill=True)
    # What judges the whole county is not on trial.
    await report(engine, "S-2", 42, Level.BLUE, rule="forest_fire")
    findings = [
        found("S-1", 20, Level.ORANGE),
        found("S-1", 90, None),
        found("S-3", 50, Level.ORANGE),
        found("S-3", 55, Level.RED, drill=True),
        found("S-3", 56, Level.RED, version="of another trial"),
        found("S-3", -9, Level.RED),
    ]
    await shadowed(dsn, engine, findings)
    seen = (await api.get("/rules/shadow")).json()
    assert [(one["site"], one["level"], one["later_s"]) for one in seen["both"]] == [
        ("S-1", "orange", -600.0), ("S-1", None, 0.0),
    ]  # fmt: skip
    assert (seen["rules"], seen["not_tried"]) == (["rainstorm"], ["forest_fire"])
    assert [(one["site"], one["level"]) for one in seen["only_live"]] == [("S-2", "red")]
    assert [(one["site"], one["level"], one["hazard"]) for one in seen["only_shadow"]] == [
        ("S-3", "orange", "rainstorm")
    ]
    assert seen["live"] == {"alerts": 2, "levels": {"orange": 1, "none": 1, "red": 1}, "skill": None}
    assert seen["shadow"] == {"alerts": 2, "levels": {"orange": 2, "none": 1}, "skill": None}
    assert [(one["site"], one["live"], one["shadow"]) for one in seen["differences"]] == [
        ("S-2", "red", None), ("S-3", None, "orange"),
    ]  # fmt: skip
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM shadow_finding")) == len(findings)
        assert await connection.scalar(text("SELECT count(*) FROM alert WHERE site = 'S-3'")) == 0
        assert await connection.scalar(text("SELECT topic FROM quarantine")) == "shadow"
    assert (await api.delete("/rules/shadow")).status_code == 204
    assert (await api.get("/rules/shadow")).json() is None
    assert here.room.rulebook.watch.shadow() is None


async def test_large_files_pass_the_door_and_endless_ones_do_not(here: Duty) -> None:
    table = "\n".join(f"# {number:0100d}" for number in range(9000))
    many = {"rainstorm.toml": f"{RAIN}\n{table}\n"}
    assert len(many["rainstorm.toml"]) > 256 * 1024
    found = (await here.api.post("/rules/check", json={"files": many})).json()
    assert found["well"], found["faults"]
    # Too long to be compared line by line.
    assert found["files"] == [{"file": "rainstorm.toml", "change": "changed", "lines": []}]
    assert [words["en"] for words in found["diff"]] == ["file rainstorm.toml changed"]
    endless = {"files": {"rainstorm.toml": "x" * (9 * 1024 * 1024)}}
    assert (await here.api.post("/rules/check", json=endless)).status_code == 413
