"""The desk: findings become alerts, alerts become reports, reports become deliveries, all in one transaction.

In this release every report is released at once; the duty officer's release will stand here, between report and
delivery.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notify import report
from services.notify.subscribers import Subscription, wanted
from tongluo import bells, wire
from tongluo.alert import Alert, State, transition
from tongluo.clock import wall_now
from tongluo.errors import WireError
from tongluo.finding import Finding, Level
from tongluo.log.port import Log, Stored
from tongluo.region import County
from tongluo.store import changes, quarantine, tables
from tongluo.store.consume import StoreConsumer
from tongluo.supervise import Pulse
from tongluo.topics import FINDINGS

GROUP: Final = "desk"
# Small, so that the first alerts of a county-wide storm are told before the last are stored.
BATCH_FINDINGS: Final = 100


class Step(msgspec.Struct, frozen=True):
    """One transition: the alert before and after, and what is said about it."""

    before: Alert | None
    after: Alert
    said: report.Said

    @property
    def level_from(self) -> Level | None:
        return self.before.level if self.before is not None and self.before.open else None


class Desk:
    """Applies findings until cancelled."""

    def __init__(self, log: Log, engine: AsyncEngine, county: Callable[[], County]) -> None:
        self._log = log
        self._engine = engine
        self._county = county

    async def run(self, pulse: Pulse) -> None:
        consumer = StoreConsumer(
            self._log, self._engine, GROUP, FINDINGS, self._apply, batch_size=BATCH_FINDINGS
        )
        await consumer.run(pulse)

    async def _apply(self, connection: AsyncConnection, entries: Sequence[Stored]) -> None:
        findings: list[Finding] = []
        for entry in entries:
            try:
                findings.append(wire.FINDING.decode(entry.value))
            except WireError as error:
                await quarantine.set_aside(connection, FINDINGS, entry, error)
        steps = walk(await _current(connection, findings), findings, self._county())
        if not steps:
            return
        now = wall_now()
        await _write_alerts(connection, steps)
        await _write_reports(connection, steps, now)
        await _write_deliveries(connection, steps, now)
        noted = [changes.Change(step.after.id) for step in steps]
        await changes.note(connection, noted, now, also_ring=bells.OUTBOX)


#: What has one course: a hazard at a site, an exercise apart from what is real.
Course = tuple[str, str, bool]


def course(about: Finding | Alert) -> Course:
    """Hazard, site, and whether it is a drill."""
    return about.hazard, about.site, about.drill


def walk(current: Mapping[Course, Alert], findings: Iterable[Finding], county: County) -> list[Step]:
    """Apply findings in order to the alerts they are about; findings that change nothing leave no step."""
    alerts = dict(current)
    steps: list[Step] = []
    for finding in findings:
        before = alerts.get(course(finding))
        after = transition(before, finding)
        if after is not None:
            alerts[course(finding)] = after
            steps.append(Step(before, after, report.say(county, after)))
    return steps


# Each by its own descent of the index, whatever the planner knows of a table that has just grown.
_CURRENT: Final = text(
    "SELECT a.* FROM unnest(CAST(:hazards AS text[]), CAST(:sites AS text[]), CAST(:drills AS boolean[])) "
    "AS w(hazard, site, drill), LATERAL (SELECT id FROM alert WHERE hazard = w.hazard AND site = w.site "
    "  AND drill = w.drill ORDER BY onset DESC LIMIT 1) AS newest "
    "JOIN alert a ON a.id = newest.id ORDER BY a.id FOR UPDATE OF a"
)


async def _current(connection: AsyncConnection, findings: Sequence[Finding]) -> dict[Course, Alert]:
    """The newest alert of each course concerned, its row locked until the transaction ends."""
    wanted_ = sorted({course(finding) for finding in findings})
    columns = zip(*wanted_, strict=True) if wanted_ else ([], [], [])
    given = dict(zip(("hazards", "sites", "drills"), map(list, columns), strict=True))
    found = [_as_alert(row) for row in (await connection.execute(_CURRENT, given)).mappings()]
    return {course(alert): alert for alert in found}


def _as_alert(row: Any) -> Alert:
    return msgspec.convert({name: row[name] for name in Alert.__struct_fields__}, Alert)


async def _write_alerts(connection: AsyncConnection, steps: Sequence[Step]) -> None:
    last = {step.after.id: step.said for step in steps}
    rows = [_alert_row(last[alert]) for alert in sorted(last)]
    statement = upsert(tables.alert)
    moving = {
        name: statement.excluded[name]
        for name in ("level", "peak", "state", "updated", "report_no", "evidence", "headline")
    }
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=moving), rows)


def _alert_row(said: report.Said) -> dict[str, Any]:
    row = msgspec.to_builtins(said.alert, builtin_types=(datetime,))
    row["headline"] = msgspec.to_builtins(said.headline)
    row["evidence"] = msgspec.to_builtins(said.alert.evidence)
    return dict(row)


async def _write_reports(connection: AsyncConnection, steps: Sequence[Step], now: datetime) -> None:
    await connection.execute(
        insert(tables.report),
        [
            {
                "alert": step.after.id,
                "no": step.after.report_no,
                "time": step.after.updated,
                "transition": str(step.after.state),
                "level_from": step.level_from.value if step.level_from else None,
                "level_to": step.after.level.value if step.after.level else None,
                "evidence": msgspec.to_builtins(step.after.evidence),
                "headline": msgspec.to_builtins(step.said.headline),
                "recorded": now,
            }
            for step in steps
        ],
    )


async def _write_deliveries(connection: AsyncConnection, steps: Sequence[Step], now: datetime) -> None:
    subscriptions = await _subscriptions(connection)
    told = await _told(connection, {step.after.id for step in steps if step.after.state is not State.RAISED})
    rows: list[dict[str, Any]] = []
    for step in steps:
        alert, division = step.after, step.said.about.division
        body = report.body(step.said)
        for subscription in subscriptions:
            if not wanted(subscription, alert, division, known=(alert.id, subscription.id) in told):
                continue
            told.add((alert.id, subscription.id))
            rows.append(_delivery_row(alert, subscription, body, now))
    if not rows:
        return
    await _supersede(connection, [row for row in rows if row["report_no"] > 1])
    await connection.execute(insert(tables.delivery), rows)


async def _supersede(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """A report still waiting for its next attempt gives way: a red must not wait behind a late orange."""
    if not rows:
        return
    await connection.execute(
        text(
            "UPDATE delivery d SET state = 'superseded' "
            "FROM unnest(CAST(:alerts AS text[]), CAST(:subscriptions AS text[])) AS n(alert, subscription) "
            "WHERE d.alert = n.alert AND d.subscription = n.subscription AND d.state = 'pending' AND d.attempts > 0"
        ),
        {"alerts": [row["alert"] for row in rows], "subscriptions": [row["subscription"] for row in rows]},
    )


def _delivery_row(alert: Alert, subscription: Subscription, body: bytes, now: datetime) -> dict[str, Any]:
    return {
        "id": delivery_id(alert, subscription.id),
        "subscription": subscription.id,
        "alert": alert.id,
        "report_no": alert.report_no,
        "body": body,
        "state": "pending",
        "attempts": 0,
        "due": now,
        "created": now,
    }


def delivery_id(alert: Alert, subscription: str) -> str:
    """(report, recipient, channel): the `webhook-id`, the same over every attempt and every replay."""
    return f"{alert.id}-{alert.report_no}-{subscription}"


async def _subscriptions(connection: AsyncConnection) -> list[Subscription]:
    columns = [tables.subscription.c[name] for name in Subscription.__struct_fields__]
    rows = await connection.execute(
        select(*columns).where(tables.subscription.c.ended.is_(None)).order_by("id")
    )
    return [Subscription(row.id, row.hazards, Level(row.min_level), row.areas) for row in rows]


async def _told(connection: AsyncConnection, alerts: set[str]) -> set[tuple[str, str]]:
    """Who has been told of which of these alerts before."""
    if not alerts:
        return set()
    rows = await connection.execute(
        text("SELECT DISTINCT alert, subscription FROM delivery WHERE alert = ANY(:alerts)"),
        {"alerts": sorted(alerts)},
    )
    return {(row[0], row[1]) for row in rows}
