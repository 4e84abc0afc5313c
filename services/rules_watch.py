"""The rules as they are now, for every role of a process: taken up from the store whenever they change.

What the files say is read by whoever opens the watch; it is generic over what comes of that (a catalogue).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from tongluo import bells
from tongluo.clock import wall_now
from tongluo.errors import RuleError
from tongluo.postgres import Listener, wait
from tongluo.store import rules
from tongluo.store.rules import Files, Kept, Standing, Trial
from tongluo.supervise import Pulse

logger = logging.getLogger(__name__)

T = TypeVar("T")
Read = Callable[[Files], T]
"""Files to what they say. Raises RuleError with every fault."""

#: A bell that was not heard, as while the listener's connection was away, is made up for within this time.
POLL_S: Final = 10.0
#: How many versions are gone back over, where the newest do not read, before a start's own files are taken.
_TRIES: Final = 20


@dataclass(frozen=True)
class InForce(Generic[T]):
    """What is judged by: `catalogue`, read from `files`. `version` is None where nothing of the store would read and
    the files of the start stand in."""

    catalogue: T
    files: Files
    version: rules.Version | None


@dataclass(frozen=True)
class OnTrial(Generic[T]):
    """What is judged by beside it, telling nobody."""

    catalogue: T
    trial: Trial


@dataclass(frozen=True)
class Refused:
    """What is stored and cannot be used: version or trial `no`, with the faults of its files."""

    no: int
    error: RuleError


@dataclass(frozen=True)
class _Held(Generic[T]):
    """Everything at once, so that a reader never sees half of a change."""

    standing: Standing
    in_force: InForce[T]
    refused: Refused | None = None
    on_trial: OnTrial[T] | None = None
    trial_refused: Refused | None = None


class RulesWatch(Generic[T]):
    """Holds the newest version that reads, and the trial that runs. Both are immutable and swapped whole, so that
    whoever asks once for a piece of work works on one and the same. Run `run` as a role; make it with `open_rules`."""

    def __init__(
        self, engine: AsyncEngine, listener: Listener, read: Read[T], first: _Held[T], poll_s: float = POLL_S
    ) -> None:
        self._engine = engine
        self._listener = listener
        self._read = read
        self._held = first
        self._poll_s = poll_s
        self._looking = asyncio.Lock()

    def catalogue(self) -> T:
        """The rules as they are now."""
        return self._held.in_force.catalogue

    def shadow(self) -> T | None:
        """The rules on trial."""
        return self._held.on_trial.catalogue if self._held.on_trial is not None else None

    def in_force(self) -> InForce[T]:
        """The rules as they are now, with the files they were read from."""
        return self._held.in_force

    def on_trial(self) -> OnTrial[T] | None:
        """The trial that runs, if its files read."""
        return self._held.on_trial

    def refused(self) -> Refused | None:
        """The newest version, where it cannot be used and an earlier one stays in force."""
        return self._held.refused

    def trial_refused(self) -> Refused | None:
        """The trial that ought to run and cannot be used."""
        return self._held.trial_refused

    async def run(self, pulse: Pulse) -> None:
        """Follow the rules until cancelled. Raises what the store raises: run it again."""
        async with self._listener.bell(bells.RULES) as bell:
            while True:
                bell.clear()
                await self.look()
                pulse.beat()
                await wait(bell, self._poll_s)

    async def look(self) -> None:
        """Take up what is newest, if it is not what is held."""
        async with self._looking:
            found = await rules.standing(self._engine)
            held = self._held
            if found.version != held.standing.version:
                held = await self._with_version(held)
            if found.trial != held.standing.trial:
                held = await self._with_trial(held)
            self._held = held

    async def _with_version(self, held: _Held[T]) -> _Held[T]:
        kept = await rules.newest(self._engine)
        if kept is None or kept.version.no == held.standing.version:
            return held
        in_force, refused = held.in_force, None
        try:
            in_force = await _in_force(self._read, kept)
            logger.info("version %d of the rules taken up", kept.version.no)
        except RuleError as error:
            refused = _refuse("version", kept.version.no, error)
        standing = Standing(kept.version.no, held.standing.trial)
        return _Held(standing, in_force, refused, held.on_trial, held.trial_refused)

    async def _with_trial(self, held: _Held[T]) -> _Held[T]:
        on_trial, refused, no = await _trial(self._engine, self._read)
        standing = Standing(held.standing.version, no)
        return _Held(standing, held.in_force, held.refused, on_trial, refused)


async def open_rules(
    engine: AsyncEngine, listener: Listener, read: Read[T], files: Files, source: str, poll_s: float = POLL_S
) -> tuple[RulesWatch[T], bool]:
    """A watch over the store's rules, and whether those are what `files` say.

    `files` are what the program was started with: they become the rules unless somebody has edited them since. Where
    the newest versions do not read, as after an upgrade, the newest that does is in force; where none does, `files`
    are. Raises RuleError when `files` do not read.
    """
    start = await asyncio.to_thread(read, files)
    taken = await rules.take_up(engine, files, source, wall_now())
    if not taken:
        logger.warning(
            "the rules have been edited and stay as they are; they differ from what comes from: %s", source
        )
    in_force, refused, no = await _newest_that_reads(engine, read)
    on_trial, trial_refused, trial_no = await _trial(engine, read)
    held = _Held(
        Standing(no, trial_no), in_force or InForce(start, files, None), refused, on_trial, trial_refused
    )
    return RulesWatch(engine, listener, read, held, poll_s), taken


async def _newest_that_reads(
    engine: AsyncEngine, read: Read[T]
) -> tuple[InForce[T] | None, Refused | None, int]:
    refused: Refused | None = None
    versions = await rules.history(engine, limit=_TRIES)
    for version in versions:
        kept = await rules.version(engine, version.no)
        if kept is None:
            continue
        try:
            return await _in_force(read, kept), refused, versions[0].no
        except RuleError as error:
            fault = _refuse("version", version.no, error)
            refused = refused or fault
    return None, refused, versions[0].no if versions else 0


async def _in_force(read: Read[T], kept: Kept) -> InForce[T]:
    # A large catalogue takes a while to read, in which the other roles go on.
    return InForce(await asyncio.to_thread(read, kept.files), kept.files, kept.version)


async def _trial(engine: AsyncEngine, read: Read[T]) -> tuple[OnTrial[T] | None, Refused | None, int]:
    trial = await rules.trial(engine)
    if trial is None:
        return None, None, 0
    try:
        return OnTrial(await asyncio.to_thread(read, trial.files), trial), None, trial.no
    except RuleError as error:
        return None, _refuse("trial", trial.no, error), trial.no


def _refuse(what: str, no: int, error: RuleError) -> Refused:
    logger.error("%s %d of the rules cannot be used, what is in force stays: %s", what, no, error)
    return Refused(no, error)
