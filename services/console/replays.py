"""Runs of rules over the past: one at a time, with progress, cancelled on demand, their reports kept for an hour."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from tongluo.errors import TongluoError
from tongluo.store.rules import Files
from tongluo.supervise import Pulse

logger = logging.getLogger(__name__)

KEPT_S: Final = 3600.0
MOST_KEPT: Final = 8


@dataclass(frozen=True)
class Report:
    """What came of it: for the page, and as a page of its own."""

    json: dict[str, Any]
    html: str


@dataclass(frozen=True)
class ReplayWish:
    """`files` judged over the stored readings with begin < time <= end, beside the rules `in_force`.

    `events_csv`: what truly happened, to be counted against. `progress` takes the share that is done, from 0 to 1.
    """

    files: Files
    in_force: Files
    begin: datetime
    end: datetime
    events_csv: str | None
    who: str
    progress: Callable[[float], None]


Replay = Callable[[ReplayWish], Awaitable[Report]]
"""Does it. Raises TongluoError with words for whoever wished it; it is cancelled like any coroutine."""
Finished = Callable[[ReplayWish], Awaitable[None]]
"""Told of every run that ended with a report, before anybody sees that report."""


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        return self in (State.DONE, State.FAILED, State.CANCELLED)


@dataclass
class Job:
    """One run and what became of it."""

    id: str
    wish: ReplayWish
    begun: datetime
    state: State = State.WAITING
    progress: float = 0.0
    error: str | None = None
    report: Report | None = None
    ended_s: float | None = None
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)


class Busy(Exception):
    """Another run is under way."""

    def __init__(self, job: Job) -> None:
        self.job = job
        super().__init__(f"replay {job.id} of {job.wish.who} is under way")


class Replays:
    """Keeps the runs. Run `run` as a role; `kept_s` is how long a report stays."""

    def __init__(self, replay: Replay, finished: Finished, *, kept_s: float = KEPT_S) -> None:
        self._replay = replay
        self._finished = finished
        self._kept_s = kept_s
        self._jobs: dict[str, Job] = {}
        self._waiting: asyncio.Queue[Job] = asyncio.Queue()

    def start(self, wish: Callable[[Callable[[float], None]], ReplayWish], now: datetime) -> Job:
        """Put a run in line; `wish` is given where its progress goes. Raises Busy while another is under way."""
        self._forget()
        for job in self._jobs.values():
            if not job.state.over:
                raise Busy(job)
        made: list[Job] = []

        def progress(share: float) -> None:
            made[0].progress = min(1.0, max(made[0].progress, share))

        job = Job(secrets.token_urlsafe(9), wish(progress), now)
        made.append(job)
        self._jobs[job.id] = job
        self._waiting.put_nowait(job)
        return job

    def get(self, job_id: str) -> Job | None:
        """A run by its id, while it is kept."""
        self._forget()
        return self._jobs.get(job_id)

    def cancel(self, job_id: str) -> bool:
        """End a run; False where it is over or unknown."""
        job = self._jobs.get(job_id)
        if job is None or job.state.over:
            return False
        _end(job, State.CANCELLED)
        if job.task is not None:
            job.task.cancel()
        return True

    async def run(self, pulse: Pulse) -> None:
        """Take the runs one after the other until cancelled."""
        pulse.beat()
        while True:
            job = await self._waiting.get()
            if job.state.over:
                continue
            # A task of its own, which can be cancelled without ending this role.
            async with asyncio.TaskGroup() as group:
                job.task = group.create_task(self._do(job), name=f"replay {job.id}")
            pulse.count("replays", 1)

    async def _do(self, job: Job) -> None:
        job.state = State.RUNNING
        try:
            report = await self._replay(job.wish)
            await self._finished(job.wish)
            job.report, job.progress = report, 1.0
            _end(job, State.DONE)
        except TongluoError as error:
            job.error = str(error)
            _end(job, State.FAILED)
        finally:
            if not job.state.over:
                job.error = (
                    "the replay met a fault of the program or was interrupted; the program's log says more"
                )
                _end(job, State.FAILED)

    def _forget(self) -> None:
        """Let go of what is old, and of the oldest beyond a few."""
        now_s = asyncio.get_running_loop().time()
        over = [job for job in self._jobs.values() if job.ended_s is not None]
        for nth, job in enumerate(reversed(over), start=1):
            if nth > MOST_KEPT or now_s - (job.ended_s or 0.0) > self._kept_s:
                del self._jobs[job.id]


def _end(job: Job, state: State) -> None:
    job.state, job.ended_s = state, asyncio.get_running_loop().time()
