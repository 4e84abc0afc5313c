"""Drills beside real alerts, and evidence that says in sentences and measures what was found."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from tongluo.finding_v1 import evidence_in_version_2

revision = "0010"
down_revision = "0009"

_KEYS = {"alert": ("id",), "report": ("alert", "no")}


def upgrade() -> None:
    op.add_column("alert", sa.Column("drill", sa.Boolean(), nullable=False, server_default="false"))
    op.drop_index("alert_site_onset_idx", table_name="alert")
    op.create_index("alert_site_onset_idx", "alert", ["hazard", "site", "drill", "onset"])
    for table in _KEYS:
        _rewrite(table, "indicators_mm", evidence_in_version_2)


def downgrade() -> None:
    # The earlier release knows no drills, and would take them for real.
    drills = "(SELECT id FROM alert WHERE drill)"
    for table in ("delivery", "change", "report"):
        op.execute(f"DELETE FROM {table} WHERE alert IN {drills}")
    op.execute("DELETE FROM alert WHERE drill")
    op.drop_index("alert_site_onset_idx", table_name="alert")
    op.drop_column("alert", "drill")
    op.create_index("alert_site_onset_idx", "alert", ["hazard", "site", "onset"])
    for table in _KEYS:
        _rewrite(table, "sentence", _evidence_in_version_1)


def _rewrite(table: str, having: str, new: Any) -> None:
    """Evidence with that member, a thousand rows at a time."""
    rows = sa.table(table, sa.column("evidence", JSONB), *(sa.column(name) for name in _KEYS[table]))
    key = [rows.c[name] for name in _KEYS[table]]
    connection, after = op.get_bind(), None
    while True:
        query = sa.select(*key, rows.c.evidence).where(rows.c.evidence.has_key(having)).order_by(*key)
        if after is not None:
            query = query.where(sa.tuple_(*key) > sa.tuple_(*(sa.literal(value) for value in after)))
        found = connection.execute(query.limit(1000)).all()
        for *values, evidence in found:
            same = [column == value for column, value in zip(key, values, strict=True)]
            connection.execute(sa.update(rows).where(*same).values(evidence=new(evidence)))
            after = values
        if not found:
            return


def _evidence_in_version_1(new: Mapping[str, Any]) -> dict[str, Any]:
    """What the earlier release can show of it: rolling rain sums, and a line on one of them."""
    sums = {
        one["indicator"].removeprefix("rain_"): one["value"]
        for one in new.get("measures", ())
        if one["indicator"].startswith("rain_")
    }
    criterion = new.get("criterion")
    window = criterion["indicator"].removeprefix("rain_") if criterion is not None else ""
    return {
        **{name: new[name] for name in ("rule", "rule_version", "station", "time")},
        "indicators_mm": sums,
        "criterion": {"level": criterion["level"], "window": window, "reach_mm": criterion["reach"]}
        if criterion is not None and window in sums
        else None,
    }
