"""The reason of a refusal in the users' languages, each by itself."""

from alembic import op

revision = "0003"
down_revision = "0002"

# Until now one text, "zh · en". What has no such mark is said the same in both.
_SPLIT = (
    "jsonb_build_object('zh', split_part(reason, ' · ', 1), 'en', CASE WHEN strpos(reason, ' · ') > 0 "
    "THEN substr(reason, strpos(reason, ' · ') + 3) ELSE reason END)"
)


def upgrade() -> None:
    op.execute(f"ALTER TABLE quarantine ALTER COLUMN reason TYPE jsonb USING {_SPLIT}")


def downgrade() -> None:
    op.execute(
        "ALTER TABLE quarantine ALTER COLUMN reason TYPE text USING "
        "CASE WHEN reason->>'zh' = reason->>'en' THEN reason->>'zh' ELSE concat_ws(' · ', reason->>'zh', reason->>'en') END"
    )
