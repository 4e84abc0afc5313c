"""Commands to gateways, and the levels they follow."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "sampling_level",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("hazard", sa.Text(), nullable=False),
        sa.Column("level", sa.Text()),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("site", "hazard", name="sampling_level_pkey"),
    )
    op.create_table(
        "command",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("interval_s", sa.Integer(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True)),
        sa.Column("hazard", sa.Text(), nullable=False),
        sa.Column("level", sa.Text()),
        sa.Column("found", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent", sa.DateTime(timezone=True)),
        sa.Column("answered", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text()),
        sa.Column("in_force_s", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="command_pkey"),
    )
    op.create_index("command_station_idx", "command", ["station", "seq"])
    op.create_index("command_site_idx", "command", ["site", "station", "seq"])
    op.create_index("command_seq_idx", "command", ["seq"])
    op.create_index(
        "command_due_idx", "command", ["due"], postgresql_where=sa.text("state IN ('pending', 'sent')")
    )


def downgrade() -> None:
    op.drop_table("command")
    op.drop_table("sampling_level")
