"""What rules on trial found, and beside it what those in force found: the first of an identity stays."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from tongluo.finding import Finding, Level
from tongluo.shadow import Change
from tongluo.store.tables import shadow_finding

# Of those in force, each report is a change of level by the rule that its evidence names.
_OLD: Final = text(
    "SELECT r.evidence->>'rule' AS rule, a.site, r.time, r.level_to AS level FROM report r JOIN alert a ON a.id = r.alert "
    "WHERE NOT a.drill AND r.time > :since AND r.evidence->>'rule' = ANY(:rules) ORDER BY r.time LIMIT :most"
)
_NEW: Final = text(
    "SELECT f.rule, f.site, f.time, f.level FROM shadow_finding f "
    "JOIN unnest(CAST(:rules AS text[]), CAST(:versions AS text[])) AS v(rule, version) "
    "ON v.rule = f.rule AND v.version = f.rule_version "
    "WHERE NOT f.drill AND f.time > :since ORDER BY f.time LIMIT :most"
)


async def keep(connection: AsyncConnection, findings: Sequence[Finding], now: datetime) -> None:
    """Write them in the caller's transaction."""
    rows = [
        {
            "rule": one.rule,
            "rule_version": one.evidence.rule_version,
            "site": one.site,
            "time": one.time,
            "hazard": one.hazard,
            "level": one.level.value if one.level is not None else None,
            "drill": one.drill,
            "evidence": msgspec.to_builtins(one.evidence),
            "recorded": now,
        }
        for one in findings
    ]
    if rows:
        await connection.execute(upsert(shadow_finding).on_conflict_do_nothing(), rows)


async def found_in_force(
    connection: AsyncConnection, rules: Collection[str], since: datetime, most: int
) -> list[Change]:
    """Changes of level by these rules (ids) that alerts were told of after `since`: the earliest `most`. Exercises are
    left out."""
    rows = await connection.execute(_OLD, {"rules": list(rules), "since": since, "most": most})
    return [_change(row) for row in rows.mappings()]


async def found_on_trial(
    connection: AsyncConnection, versions: Mapping[str, str], since: datetime, most: int
) -> list[Change]:
    """What rules of these versions (by id) found after `since`: the earliest `most`. Exercises are left out."""
    given: dict[str, Any] = {"rules": list(versions), "versions": list(versions.values())}
    rows = await connection.execute(_NEW, {**given, "since": since, "most": most})
    return [_change(row) for row in rows.mappings()]


def _change(row: RowMapping) -> Change:
    return Change(row["rule"], row["site"], row["time"], Level(row["level"]) if row["level"] else None)
