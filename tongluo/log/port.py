"""The event log as a port: what every backend promises, and the words in which it is used.

Promises (tests/contracts/test_log.py binds every backend to them by these numbers):

 1. `append` returns only when all entries are durable. An entry no backend could hold is refused before anything is
    written; after any other failure some may be there: whoever appends again appends them twice, which identities
    make harmless.
 2. Entries with one key keep their order.
 3. A group's members share the partitions, each partition having one owner; none is left out.
 4. When a member dies or hangs, the others take over its partitions.
 5. What is not committed comes again, to whoever owns the partition then.
 6. `commit` is atomic: outputs, snapshot and position of a partition are all written or none.
 7. A member that no longer owns a partition cannot commit for it: it gets `Fenced`.
 8. A batch is bounded; a slow consumer holds back nobody but itself.
 9. Reading can start again from a point in event time.
10. Groups do not disturb each other.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Final, Protocol

import msgspec

from tongluo.topics import Topic


class Entry(msgspec.Struct, frozen=True):
    """Something to append. `time` is its event time; entries of one `key` keep their order."""

    topic: Topic
    key: str
    value: bytes
    time: datetime


class Stored(msgspec.Struct, frozen=True):
    """An entry as it stands in the log."""

    partition: int
    offset: int
    key: str
    value: bytes


class Snapshot(msgspec.Struct, frozen=True):
    """State of one partition after every entry below `offset`."""

    offset: int
    value: bytes


class Assigned(msgspec.Struct, frozen=True):
    """These partitions are now mine; each is read from its committed position unless I `seek`."""

    partitions: tuple[int, ...]


class Revoked(msgspec.Struct, frozen=True):
    """These partitions are no longer mine."""

    partitions: tuple[int, ...]


class Batch(msgspec.Struct, frozen=True):
    """Entries in order within each partition; never empty."""

    entries: tuple[Stored, ...]

    def positions(self) -> dict[int, int]:
        """The position after this batch, by partition."""
        return {entry.partition: entry.offset + 1 for entry in self.entries}

    def by_partition(self) -> dict[int, list[Stored]]:
        """The entries of each partition, in order."""
        found: dict[int, list[Stored]] = {}
        for entry in self.entries:
            found.setdefault(entry.partition, []).append(entry)
        return found


Event = Assigned | Revoked | Batch

# The largest value of an entry: the largest MQTT message ingest accepts, refused and kept whole, in Base64.
MAX_ENTRY_BYTES: Final = 12 * 1024 * 1024


def check(entries: Sequence[Entry]) -> None:
    """Refuse what not every backend can hold, before anything is written. Raises ValueError (promise 1)."""
    for entry in entries:
        if "\x00" in entry.key:
            raise ValueError(f"the key {entry.key[:40]!r} of an entry for {entry.topic.name} contains NUL")
        if len(entry.value) > MAX_ENTRY_BYTES:
            raise ValueError(
                f"an entry of {len(entry.value)} bytes for {entry.topic.name} is larger than {MAX_ENTRY_BYTES}"
            )


class Consumer(Protocol):
    """One member of a group, reading one topic."""

    async def next(self, timeout_s: float) -> Event | None:
        """The next thing that happened, or None after `timeout_s` seconds of quiet."""
        ...

    async def committed(self, partition: int) -> int:
        """The group's committed position: the offset of the next entry to process (0 at first)."""
        ...

    async def snapshot(self, partition: int) -> Snapshot | None:
        """The newest committed snapshot of the group's state for a partition."""
        ...

    def seek(self, partition: int, offset: int) -> None:
        """Read an owned partition from `offset` on."""
        ...

    async def commit(
        self,
        partition: int,
        position: int,
        outputs: Sequence[Entry] = (),
        snapshot: Snapshot | None = None,
    ) -> None:
        """Write outputs, snapshot and position in one transaction, or raise `Fenced` and write nothing.

        After `Fenced` the partition is lost to this member, the others are not.

        A crash of the log itself may undo the newest commits, in order: their entries then come again (promise 5).
        """
        ...

    async def advance(self, positions: Mapping[int, int]) -> Mapping[int, int]:
        """Commit positions alone, for entries that led to nothing; returns those that were written.

        Cheaper than `commit`, and never wrong to repeat: what is not written, as while the group is sharing its
        partitions out anew, is asked for again later.
        """
        ...


class Log(Protocol):
    """An append-only, partitioned, durable log."""

    async def append(self, entries: Sequence[Entry]) -> None:
        """Make entries durable, in order (promise 1)."""
        ...

    def join(
        self, group: str, topic: Topic, *, batch_size: int = 1000, commits: bool = True
    ) -> AbstractAsyncContextManager[Consumer]:
        """Become a member of `group` on `topic` for as long as the context is open.

        `commits` is False for a member that keeps its place elsewhere: it is spared the cost of being able to.
        """
        ...

    async def ends(self, topic: Topic) -> dict[int, int]:
        """The position after the last entry, by partition."""
        ...

    async def positions(self, group: str, topic: Topic) -> dict[int, int]:
        """A group's committed positions, by partition."""
        ...

    async def positions_at(self, topic: Topic, time: datetime) -> dict[int, int]:
        """By partition, the first position whose entry has an event time at or after `time`."""
        ...

    async def trim(self, taken: Mapping[Topic, Mapping[int, int]]) -> int:
        """Delete entries older than their topic keeps them; returns how many.

        Never what somebody still needs: nothing above a snapshot of a group that keeps its place here, nor above the
        position that `taken` gives for the slowest consumer that keeps its place elsewhere.
        """
        ...
