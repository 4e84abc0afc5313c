"""Who else listens on ingest's connection: a broker may know a process by its user name, and let it in only once."""

from collections.abc import Sequence
from typing import Protocol

import mqtt5

from services.ingest.mqtt import FieldConnection, Message


class Guest(Protocol):
    """Topics of its own on a connection that is shared."""

    filters: tuple[str, ...]

    def takes(self, topic: str) -> bool:
        """Whether a message on this topic is for this guest, and not for ingest itself."""
        ...

    def will(self) -> mqtt5.Will | None:
        """What the broker shall say for us when the connection breaks; one guest at most has one."""
        ...

    def joined(self, field: FieldConnection) -> None:
        """A new connection stands."""
        ...

    async def take(self, messages: Sequence[Message]) -> None:
        """Return when what the messages hold is durable; they are acknowledged after that."""
        ...
