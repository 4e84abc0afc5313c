"""The bells that are rung in the store and heard across processes (see tongluo/postgres.py)."""

from typing import Final

READINGS: Final = "readings"
CHANGES: Final = "changes"
OUTBOX: Final = "outbox"
COMMANDS: Final = "commands"
