"""What the duty room knows of rules: it reads and shows them through what services/app.py hands it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console.replays import Finished, Replays, ReplayWish
from services.rules_watch import RulesWatch
from tongluo.clock import wall_now
from tongluo.store import rules
from tongluo.store.rules import Files

T = TypeVar("T")


class Book(msgspec.Struct, frozen=True):
    """A catalogue as the API says it: its version, and each rule's summary (services/rules/summary.py)."""

    version: str
    rules: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Rulebook(Generic[T]):
    """`read` reads files against the county as it is now, and raises RuleError with every fault."""

    watch: RulesWatch[T]
    read: Callable[[Files], T]
    describe: Callable[[T], Book]
    replays: Replays

    def in_force(self) -> Book:
        """The rules as they are now."""
        return self.describe(self.watch.catalogue())

    def book(self, files: Files) -> Book:
        """What files say. Raises RuleError."""
        return self.describe(self.read(files))


def noting(engine: AsyncEngine) -> Finished:
    """Remembers, for good, that what some files would have done was reported."""

    async def finished(wish: ReplayWish) -> None:
        await rules.report_shown(engine, wish.files, wish.who, wall_now())

    return finished
