"""Keeps the roles running: the one place that catches every exception, waits, and starts a role again."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from tongluo.errors import TongluoError

logger = logging.getLogger(__name__)

FIRST_WAIT_S: Final = 0.05
LONGEST_WAIT_S: Final = 5.0
# A role that ran this long before it failed starts over with the shortest wait.
STEADY_AFTER_S: Final = 30.0


class Pulse:
    """What a role says of itself, for /readyz and for whoever waits for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = "starting"
        self.fault: str | None = None
        self.ready = asyncio.Event()
        self.counts: dict[str, int] = {}
        self._moved = asyncio.Event()

    def beat(self, state: str = "running") -> None:
        """The role does its work."""
        self.state, self.fault = state, None
        self.ready.set()

    def fail(self, fault: str) -> None:
        """The role cannot work for now."""
        self.state, self.fault = "waiting", fault
        self.ready.clear()

    def count(self, name: str, number: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + number
        self._moved.set()

    async def counted(self, name: str, number: int) -> None:
        """Wait until `name` has reached `number`."""
        while self.counts.get(name, 0) < number:
            self._moved.clear()
            await self._moved.wait()


Role = Callable[[Pulse], Awaitable[None]]

# What the outside world does to us; anything else is a mistake of ours and is logged with its place.
_EXPECTED: Final = (OSError, TimeoutError, TongluoError, psycopg.Error, SQLAlchemyError)


class Supervisor:
    """Runs roles side by side; a role that fails is started again, the others go on."""

    def __init__(self) -> None:
        self._roles: dict[str, Role] = {}
        self.pulses: dict[str, Pulse] = {}

    def add(self, name: str, role: Role) -> None:
        self._roles[name] = role
        self.pulses[name] = Pulse(name)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the roles for as long as the context is open."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._keep(role, self.pulses[name]), name=name)
                for name, role in self._roles.items()
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def ready(self) -> None:
        """Wait until every role has said that it works."""
        for pulse in self.pulses.values():
            await pulse.ready.wait()

    def readiness(self) -> dict[str, Any]:
        """What /readyz says: every role's state, and the fault it waits for."""
        return {
            "ready": all(pulse.ready.is_set() for pulse in self.pulses.values()),
            "roles": {
                name: {"state": pulse.state, "fault": pulse.fault, "counts": pulse.counts}
                for name, pulse in self.pulses.items()
            },
        }

    @staticmethod
    async def _keep(role: Role, pulse: Pulse) -> None:
        loop = asyncio.get_running_loop()
        wait_s = FIRST_WAIT_S
        while True:
            started_s = loop.time()
            try:
                await role(pulse)
                fault = "it ended by itself"
            except Exception as error:
                cause = _innermost(error)
                # Some libraries explain themselves over several lines; the first one names the fault.
                fault = f"{type(cause).__name__}: {str(cause).partition(chr(10))[0]}"
                if not isinstance(cause, _EXPECTED):
                    logger.exception("%s met something unforeseen", pulse.name)
            if loop.time() - started_s > STEADY_AFTER_S:
                wait_s = FIRST_WAIT_S
            pulse.fail(fault)
            logger.warning("%s stopped and starts again in %.1f s: %s", pulse.name, wait_s, fault)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _innermost(error: Exception) -> BaseException:
    """A task group wraps what happened in one of its tasks."""
    cause: BaseException = error
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause
