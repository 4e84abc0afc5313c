"""The bells that are rung in the store and heard across processes (see tongluo/postgres.py)."""

from typing import Final

READINGS: Final = "readings"
CHANGES: Final = "changes"
OUTBOX: Final = "outbox"
REGISTRY: Final = "registry"
RULES: Final = "rules"
EVENTS: Final = "events"
REQUEUE: Final = "requeue"
COMMANDS: Final = "commands"
