"""What cameras saw."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "detection",
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("track", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("azimuth_deg", sa.Double(), nullable=False),
        sa.Column("cone_deg", sa.Double(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text()),
        sa.Column("image", sa.Text()),
        sa.Column("size_bytes", sa.Integer()),
        sa.Column("recorded", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("camera", "kind", "time", "track", name="detection_pkey"),
    )
    op.create_index("detection_time_idx", "detection", ["time"])
    op.create_index("detection_digest_idx", "detection", ["digest"])


def downgrade() -> None:
    op.drop_table("detection")
