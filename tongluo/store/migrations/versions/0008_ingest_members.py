"""Ingest processes that share the field, and when each was last at work."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "ingest_member",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("share", sa.Text(), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("client", name="ingest_member_pkey"),
    )


def downgrade() -> None:
    op.drop_table("ingest_member")
