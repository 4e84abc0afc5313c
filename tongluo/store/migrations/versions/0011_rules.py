"""The rules with every version they had, rules on trial, and what those found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "rule_version",
        sa.Column("no", sa.BigInteger, primary_key=True, autoincrement=False),
        _time("at"),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("reported", sa.Boolean, nullable=False),
        sa.Column("files", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "rule_report",
        sa.Column("digest", sa.Text, primary_key=True),
        _time("at"),
        sa.Column("who", sa.Text, nullable=False),
    )
    op.create_table(
        "rule_shadow",
        sa.Column("no", sa.BigInteger, sa.Identity(), primary_key=True),
        _time("since"),
        _time("began"),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("against", sa.BigInteger, nullable=False),
        sa.Column("files", sa.LargeBinary, nullable=False),
        _time("ended", nullable=True),
        sa.Column("ended_by", sa.Text),
    )
    op.create_index(
        "rule_shadow_running_idx",
        "rule_shadow",
        [sa.text("(ended IS NULL)")],
        unique=True,
        postgresql_where=sa.text("ended IS NULL"),
    )
    op.create_table(
        "shadow_finding",
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("rule_version", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("time", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("hazard", sa.Text, nullable=False),
        sa.Column("level", sa.Text),
        sa.Column("drill", sa.Boolean, primary_key=True),
        sa.Column("evidence", JSONB, nullable=False),
        _time("recorded"),
    )


def downgrade() -> None:
    for table in ("shadow_finding", "rule_shadow", "rule_report", "rule_version"):
        op.drop_table(table)
