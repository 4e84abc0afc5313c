"""The registry with every version it ever had, instead of the one description that held."""

import hashlib
import zlib

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "registry_version",
        sa.Column("no", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("summary", JSONB, nullable=False),
        sa.Column("description", sa.LargeBinary, nullable=False),
    )
    held = op.get_bind().execute(sa.text("SELECT description, registered FROM county LIMIT 1")).first()
    if held is not None:
        op.get_bind().execute(
            sa.text(
                "INSERT INTO registry_version (no, at, who, source, note, digest, summary, description) "
                "VALUES (1, :at, 'start', 'earlier release', '', :digest, '{}', :description)"
            ),
            {
                "at": held.registered,
                "digest": hashlib.sha256(held.description).hexdigest(),
                "description": zlib.compress(held.description, 9),
            },
        )
    op.drop_table("county")


def downgrade() -> None:
    op.create_table(
        "county",
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("description", sa.LargeBinary, nullable=False),
        sa.Column("registered", sa.DateTime(timezone=True), nullable=False),
    )
    newest = sa.text("SELECT description, at FROM registry_version ORDER BY no DESC LIMIT 1")
    held = op.get_bind().execute(newest).first()
    if held is not None:
        op.get_bind().execute(
            sa.text(
                "INSERT INTO county (code, description, registered) "
                "VALUES (convert_from(:description, 'UTF8')::jsonb->>'code', :description, :at)"
            ),
            {"description": zlib.decompress(held.description), "at": held.at},
        )
    op.drop_table("registry_version")
