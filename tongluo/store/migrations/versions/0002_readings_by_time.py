"""Readings lie by time: a TimescaleDB hypertable with its aggregates, or monthly partitions on plain PostgreSQL.

Rows that are there are kept, both ways. Here is how they lie; the housekeeping role refreshes, compresses and drops
(tongluo/store/upkeep.py) and no policy of TimescaleDB's does: docs/decisions/0010-readings-by-time.md.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from tongluo.errors import MissingPartError

revision = "0002"
down_revision = "0001"

# time_bucket with an origin inside a continuous aggregate came with this version.
LEAST_TIMESCALEDB = (2, 15)

# A bucket holds what came after its start up to and including its end, and TimescaleDB's is the other way round:
# moved by the smallest step there is, the two are the same.
ORIGIN = "timestamptz '2000-01-01 00:00:00.000001+00'"


def upgrade() -> None:
    op.drop_column("change", "kind")
    if _timescaledb():
        _hypertable()
        _aggregates()
    else:
        _partitions()


def downgrade() -> None:
    """Every reading stays. Aggregates of readings that retention has dropped are lost: only they knew of them."""
    op.add_column("change", sa.Column("kind", sa.Text(), nullable=True))
    op.execute("UPDATE change SET kind = CASE WHEN delivery IS NULL THEN 'alert' ELSE 'delivery' END")
    op.alter_column("change", "kind", nullable=False)
    _set_aside()
    _create()
    op.execute(
        "INSERT INTO reading SELECT station, metric, time, value, quality, recorded FROM reading_before"
    )
    op.execute("DROP TABLE reading_before CASCADE")


def _timescaledb() -> bool:
    """Whether this database is to use TimescaleDB; made ready for it. Raises MissingPartError with the mend."""
    if _scalar("SELECT current_setting('tongluo.timescaledb', true)") == "off":
        return False
    if not _scalar("SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'"):
        return False
    try:
        op.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except sa.exc.DBAPIError as error:
        words = str(error.orig).strip().partition("\n")[0]
        raise MissingPartError(
            f"this PostgreSQL offers TimescaleDB, but it cannot be used ({words}): load it (shared_preload_libraries = "
            "'timescaledb') and let an administrator run CREATE EXTENSION timescaledb in this database; or do "
            "without it for good: ALTER DATABASE … SET tongluo.timescaledb = 'off'"
        ) from error
    version = str(_scalar("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"))
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_TIMESCALEDB:
        raise MissingPartError(
            f"TimescaleDB {version} is too old: update it to {'.'.join(map(str, LEAST_TIMESCALEDB))} or newer, "
            "or do without it for good: ALTER DATABASE … SET tongluo.timescaledb = 'off'"
        )
    if _scalar("SELECT current_setting('timescaledb.license', true)") == "apache":
        raise MissingPartError(
            "this TimescaleDB lacks compression and continuous aggregates (timescaledb.license = 'apache'): install "
            "the Community edition, or do without it for good: ALTER DATABASE … SET tongluo.timescaledb = 'off'"
        )
    return True


def _hypertable() -> None:
    op.execute(
        "SELECT create_hypertable('reading', 'time', chunk_time_interval => interval '7 days', "
        "create_default_indexes => false, migrate_data => true)"
    )
    _columnstore("TABLE reading", "time")


def _aggregates() -> None:
    """Good readings by five minutes, hour and day, each made from the one before; empty, they ask the readings."""
    _aggregate("reading_5m", "5 minutes", "reading WHERE quality = 'good'", "time", "value", "count(*)")
    _aggregate("reading_1h", "1 hour", "reading_5m", "bucket", None, "sum(count)::bigint")
    _aggregate("reading_1d", "1 day", "reading_1h", "bucket", None, "sum(count)::bigint")
    _columnstore("MATERIALIZED VIEW reading_5m", "bucket")
    _columnstore("MATERIALIZED VIEW reading_1h", "bucket")


def _aggregate(name: str, width: str, source: str, time: str, value: str | None, count: str) -> None:
    columns = ", ".join(f"{kind}({value or kind}) AS {kind}" for kind in ("sum", "min", "max"))
    op.execute(
        f"CREATE MATERIALIZED VIEW {name} WITH (timescaledb.continuous, timescaledb.materialized_only = false, "
        "timescaledb.create_group_indexes = false) AS "
        f"SELECT station, metric, time_bucket(interval '{width}', {time}, {ORIGIN}) AS bucket, "
        f"{columns}, {count} AS count FROM {source} GROUP BY 1, 2, 3 WITH NO DATA"
    )
    op.execute(f"CREATE INDEX {name}_idx ON {name} (station, metric, bucket)")


def _columnstore(what: str, time: str) -> None:
    """A chart asks for one metric of one station over time: so it lies on disk when a chunk is compressed."""
    op.execute(
        f"ALTER {what} SET (timescaledb.compress, timescaledb.compress_segmentby = 'station, metric', "
        f"timescaledb.compress_orderby = '{time}')"
    )


def _partitions() -> None:
    """The recorder makes further months as readings come (tongluo/store/partitions.py)."""
    _set_aside()
    _create(postgresql_partition_by="RANGE (time)")
    months = op.get_bind().execute(
        sa.text(
            "SELECT to_char(m, 'YYYY_MM'), m, m + interval '1 month' FROM "
            "(SELECT DISTINCT date_trunc('month', time AT TIME ZONE 'UTC') AS m FROM reading_before) AS months"
        )
    )
    for name, begin, end in months.all():
        op.execute(
            f"CREATE TABLE reading_{name} PARTITION OF reading FOR VALUES FROM ('{begin}+00') TO ('{end}+00')"
        )
    op.execute("INSERT INTO reading SELECT * FROM reading_before")
    op.execute("DROP TABLE reading_before")


def _set_aside() -> None:
    op.execute("ALTER TABLE reading RENAME TO reading_before")
    op.execute("ALTER TABLE reading_before RENAME CONSTRAINT reading_pkey TO reading_before_pkey")


def _create(**options: Any) -> None:
    op.create_table(
        "reading",
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("quality", sa.Text(), nullable=False),
        sa.Column("recorded", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("station", "metric", "time", name=op.f("reading_pkey")),
        **options,
    )


def _scalar(sql: str) -> Any:
    return op.get_bind().scalar(sa.text(sql))
