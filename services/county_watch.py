"""The county as it is now, for every role of a process: taken up from the store whenever the registry changes."""

import logging
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from tongluo import bells
from tongluo.postgres import Listener, wait
from tongluo.region import County
from tongluo.store.registry import Registered, newest, number
from tongluo.supervise import Pulse

logger = logging.getLogger(__name__)

#: A bell that was not heard, as while the listener's connection was away, is made up for within this time.
POLL_S: Final = 10.0


class CountyWatch:
    """Holds the registry's newest version. The county is immutable and swapped whole, so that whoever asks once for
    a piece of work works on one and the same. Run `run` as a role."""

    def __init__(
        self, engine: AsyncEngine, listener: Listener, found: Registered, poll_s: float = POLL_S
    ) -> None:
        self._engine = engine
        self._listener = listener
        self._held = found
        self._poll_s = poll_s

    def county(self) -> County:
        """The county as it is now."""
        return self._held.county

    async def run(self, pulse: Pulse) -> None:
        """Follow the registry until cancelled. Raises what the store raises: run it again."""
        async with self._listener.bell(bells.REGISTRY) as bell:
            while True:
                bell.clear()
                await self.look()
                pulse.beat()
                await wait(bell, self._poll_s)

    async def look(self) -> None:
        """Take up the newest version, if it is not the one held."""
        if await number(self._engine) == self._held.version.no:
            return
        found = await newest(self._engine)
        # Two may look at once; the later version stays.
        if found is not None and found.version.no > self._held.version.no:
            self._held = found
            logger.info("registry version %d taken up", found.version.no)
