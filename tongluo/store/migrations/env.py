"""Alembic's environment: runs on the connection that migrate() hands over."""

from alembic import context

from tongluo.store.tables import metadata

# The log's tables are the log backend's own business (tongluo/log/postgres_schema.sql), the months of `reading` the
# recorder's.
_OTHERS = ("log_", "reading_")

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_name=lambda name, kind, parents: not (kind == "table" and str(name).startswith(_OTHERS)),
)
with context.begin_transaction():
    context.run_migrations()
