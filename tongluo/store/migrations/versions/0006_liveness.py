"""When stations were heard, what gateways say of themselves, silence as events; quarantine that can be requeued."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _gateways()
    _heard()
    _events()
    op.add_column("quarantine", sa.Column("state", sa.Text(), nullable=False, server_default="kept"))
    op.add_column("quarantine", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("quarantine", sa.Column("requeued", sa.DateTime(timezone=True)))
    op.add_column("quarantine", sa.Column("requeued_by", sa.Text()))
    op.create_index(
        "quarantine_requeued_idx",
        "quarantine",
        ["requeued", "id"],
        postgresql_where=sa.text("state <> 'kept'"),
    )


def downgrade() -> None:
    op.drop_index("quarantine_requeued_idx", "quarantine")
    for column in ("requeued_by", "requeued", "attempts", "state"):
        op.drop_column("quarantine", column)
    for table in (
        "silence_watch",
        "station_silence",
        "station_event",
        "heard_gap",
        "station_heard",
        "station_since",
        "gateway_status",
    ):
        op.drop_table(table)


def _gateways() -> None:
    op.create_table(
        "gateway_status",
        sa.Column("gateway", sa.Text(), primary_key=True),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heard", sa.DateTime(timezone=True), nullable=False),
        sa.Column("battery", sa.Double()),
        sa.Column("said", sa.DateTime(timezone=True)),
        sa.Column("went", sa.DateTime(timezone=True)),
    )


def _heard() -> None:
    op.create_table(
        "station_since",
        sa.Column("station", sa.Text(), primary_key=True),
        sa.Column("registered", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "station_heard",
        sa.Column("station", sa.Text(), primary_key=True),
        sa.Column("first", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "heard_gap",
        sa.Column("station", sa.Text(), primary_key=True),
        sa.Column("began", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=False),
    )
    # What is there was heard when it was measured, as far as can be known now.
    op.execute(
        "INSERT INTO station_heard (station, first, last, first_time) "
        "SELECT l.station, min(f.time), max(l.time), min(f.time) FROM latest l, LATERAL "
        "(SELECT time FROM reading r WHERE r.station = l.station AND r.metric = l.metric ORDER BY time LIMIT 1) f "
        "GROUP BY l.station"
    )


def _events() -> None:
    op.create_table(
        "station_event",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False, unique=True),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True)),
        sa.Column("cause", sa.Text()),
        sa.Column("words", JSONB(), nullable=False),
        sa.Column("recorded", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told", sa.DateTime(timezone=True)),
    )
    op.create_index("station_event_station_time_idx", "station_event", ["station", "time"])
    op.create_index(
        "station_event_untold_idx", "station_event", ["seq"], postgresql_where=sa.text("told IS NULL")
    )
    op.create_table(
        "station_silence",
        sa.Column("station", sa.Text(), primary_key=True),
        sa.Column("event", sa.Text(), sa.ForeignKey("station_event.id"), nullable=False),
    )
    op.create_table(
        "silence_watch",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("judged", sa.DateTime(timezone=True), nullable=False),
        sa.Column("watched", sa.DateTime(timezone=True)),
    )
