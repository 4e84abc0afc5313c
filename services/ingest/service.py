"""The ingest role: messages in, readings and refusals to the log, and only then the acknowledgement."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from services.ingest.guests import Guest
from services.ingest.keeper import Keeper
from services.ingest.mqtt import Broker, Message, subscribe
from tongluo.supervise import Pulse

FILTERS: Final = ("tongluo/v1/+/+",)
BATCH_MESSAGES: Final = 500

Before = Callable[[], Awaitable[None]]


def filters(share: str | None) -> tuple[str, ...]:
    """What ingest subscribes to: all of the field, or its share of it in a group of that name."""
    return FILTERS if share is None else tuple(f"$share/{share}/{one}" for one in FILTERS)


class Ingest:
    """Reads the field until cancelled.

    With `share` it takes its part of the field beside the others of a group of that name. `before` is done once, before
    the first message is taken.
    """

    def __init__(
        self,
        broker: Broker,
        keeper: Keeper,
        guests: Sequence[Guest] = (),
        *,
        share: str | None = None,
        before: Before | None = None,
    ) -> None:
        self._broker = broker
        self._keeper = keeper
        self._guests = guests
        self.filters = (*filters(share), *(one for guest in guests for one in guest.filters))
        self._before = before
        self._held = 0
        self._taken = 0

    async def run(self, pulse: Pulse) -> None:
        """Raises OSError when the broker is away; the supervisor starts us again and the broker redelivers."""
        if self._before is not None:
            await self._before()
            self._before = None
        will = next((will for guest in self._guests if (will := guest.will()) is not None), None)
        async with subscribe(self._broker, self.filters, will) as field:
            for guest in self._guests:
                guest.joined(field)
            pulse.beat("subscribed")
            while True:
                messages = await field.batch(BATCH_MESSAGES)
                self._held = len(messages)
                self._taken += len(messages)
                try:
                    await self.take(messages)
                finally:
                    self._held = 0
                # Only now is it safe with us: a crash before this line makes the broker send it again.
                field.acknowledge(messages)
                pulse.count("messages", len(messages))

    async def take(self, messages: Sequence[Message]) -> None:
        """Return when everything the messages hold is durable."""
        own = messages
        for guest in self._guests:
            theirs = [message for message in own if guest.takes(message.topic)]
            if theirs:
                own = [message for message in own if not guest.takes(message.topic)]
                await guest.take(theirs)
        await self._keeper.keep(own)

    async def quiet(self, pulse: Pulse, for_s: float) -> None:
        """Wait until we are subscribed, hold nothing, and nothing has come for `for_s` seconds."""
        seen = -1
        while seen != self._taken or self._held or not pulse.ready.is_set():
            seen = self._taken
            await asyncio.sleep(for_s)
