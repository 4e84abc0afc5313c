"""Bringing a database to this release's tables."""

import importlib.resources

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

from tongluo.postgres import lock_number
from tongluo.store.engine import sqlalchemy_url


def migrate(dsn: str) -> None:
    """Upgrade to the newest revision. Blocking; two programs that start together wait for each other."""
    engine = create_engine(sqlalchemy_url(dsn))
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": lock_number("migrate")})
            connection.commit()
            command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()


def alembic_config(connection: Connection) -> Config:
    """Alembic over one connection, for its own commands."""
    config = Config()
    config.set_main_option("script_location", str(importlib.resources.files("tongluo.store") / "migrations"))
    config.attributes["connection"] = connection
    return config
