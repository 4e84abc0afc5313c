"""The tests a reading failed, and its sequence number: what proves a day's completeness."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for table in ("reading", "latest"):
        op.add_column(table, sa.Column("flags", sa.Integer(), nullable=False, server_default="0"))
        # Until now one word said that a value was out of range (Flag.RANGE).
        op.execute(f"UPDATE {table} SET quality = 'bad', flags = 1 WHERE quality = 'out_of_range'")
    op.add_column("reading", sa.Column("seq", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("reading", "seq")
    for table in ("latest", "reading"):
        op.execute(f"UPDATE {table} SET quality = 'out_of_range' WHERE quality <> 'good'")
        op.drop_column(table, "flags")
