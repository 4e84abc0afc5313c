"""The promises of tongluo/log/port.py, by number, for every backend of the log."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from tests.backends import Backend
from tests.conftest import until
from tongluo.errors import Fenced
from tongluo.log.port import MAX_ENTRY_BYTES, Assigned, Batch, Consumer, Entry, Log, Revoked, Snapshot, Stored
from tongluo.topics import FINDINGS, READINGS

START = datetime(2026, 7, 1, tzinfo=UTC)
Open = Callable[[], AbstractAsyncContextManager[Log]]


@pytest.fixture
async def log(open_backend: Open) -> AsyncIterator[Log]:
    async with open_backend() as opened:
        yield opened


def entry(key: str, number: int) -> Entry:
    return Entry(READINGS, key, f"{key}:{number}".encode(), START + timedelta(minutes=number))


async def take(consumer: Consumer, wanted: int, timeout_s: float = 15.0) -> list[Stored]:
    """Read on until `wanted` entries have come."""
    found: list[Stored] = []
    async with asyncio.timeout(timeout_s):
        while len(found) < wanted:
            event = await consumer.next(timeout_s=0.2)
            if isinstance(event, Batch):
                found += event.entries
    return found


async def quiet(consumer: Consumer) -> bool:
    """Nothing comes for a while."""
    async with asyncio.timeout(10):
        for _ in range(4):
            if isinstance(await consumer.next(timeout_s=0.2), Batch):
                return False
    return True


async def take_nothing(consumer: Consumer) -> None:
    """Wait until the partitions are ours."""
    async with asyncio.timeout(15):
        while not isinstance(await consumer.next(timeout_s=0.2), Assigned):
            pass


async def commit(consumer: Consumer, entries: list[Stored], outputs: Sequence[Entry] = ()) -> None:
    """Commit the position after these entries, partition by partition."""
    for partition, position in Batch(tuple(entries)).positions().items():
        await consumer.commit(partition, position, outputs)


async def test_1_appended_is_durable_and_read_by_another_program(open_backend: Open) -> None:
    async with open_backend() as writer:
        await writer.append([entry("a", n) for n in range(5)])
    async with open_backend() as reader, reader.join("g", READINGS) as consumer:
        assert [e.value for e in await take(consumer, 5)] == [f"a:{n}".encode() for n in range(5)]


async def test_1_an_append_that_fails_leaves_nothing(log: Log) -> None:
    for impossible in (
        Entry(READINGS, "b\x00", b"", START),
        Entry(READINGS, "b", bytes(MAX_ENTRY_BYTES + 1), START),
    ):
        with pytest.raises(ValueError, match=r"NUL|larger"):
            await log.append([entry("a", 1), impossible])
    assert sum((await log.ends(READINGS)).values()) == 0


async def test_2_keys_keep_their_order_under_concurrent_appends(log: Log) -> None:
    async def append(key: str) -> None:
        for number in range(20):
            await log.append([entry(key, number)])

    keys = [f"k{n}" for n in range(8)]
    async with asyncio.TaskGroup() as group:
        for key in keys:
            group.create_task(append(key))
    async with log.join("g", READINGS) as consumer:
        found = await take(consumer, 160)
    for key in keys:
        assert [e.value for e in found if e.key == key] == [f"{key}:{n}".encode() for n in range(20)]
    for partition in range(READINGS.partitions):
        offsets = [e.offset for e in found if e.partition == partition]
        assert offsets == sorted(set(offsets))


async def assigned(consumer: Consumer, into: set[int]) -> None:
    event = await consumer.next(timeout_s=0.1)
    if isinstance(event, Assigned):
        into.update(event.partitions)
    elif isinstance(event, Revoked):
        into.difference_update(event.partitions)


async def test_3_members_share_every_partition_between_them(open_backend: Open) -> None:
    async with open_backend() as one, open_backend() as two:
        async with one.join("g", READINGS) as first, two.join("g", READINGS) as second:
            mine: set[int] = set()
            theirs: set[int] = set()

            async def shared() -> bool:
                await assigned(first, mine)
                await assigned(second, theirs)
                return len(mine) == len(theirs) == READINGS.partitions // 2

            await until(shared)
            assert mine | theirs == set(range(READINGS.partitions))
            assert not mine & theirs


async def test_4_a_dead_members_partitions_are_taken_over(backend: Backend) -> None:
    """kill -9 of a process that owns half of the partitions."""
    async with backend.open() as log, log.join("g", READINGS) as survivor:
        await log.append([entry(f"k{n}", n) for n in range(20)])
        held: set[int] = set()

        async def mine(count: int) -> bool:
            await assigned(survivor, held)
            return len(held) == count

        await until(lambda: mine(READINGS.partitions))
        casualty = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.contracts.member", msgspec.json.encode(backend).decode()),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert casualty.stdout is not None
            await until(lambda: mine(READINGS.partitions // 2))
            while b"Assigned" not in await casualty.stdout.readline():
                pass
        finally:
            casualty.kill()
            await casualty.wait()
        await until(lambda: mine(READINGS.partitions))


async def test_4_and_7_a_hung_member_loses_its_partitions_and_cannot_commit(open_backend: Open) -> None:
    async with open_backend() as one, open_backend() as two, one.join("g", READINGS) as hung:
        await one.append([entry(f"k{n}", n) for n in range(20)])
        taken = await take(hung, 20)
        # From here on it never looks again, but its connection stays open.
        async with two.join("g", READINGS) as survivor:
            again = await take(survivor, 20)
            assert {e.value for e in again} == {e.value for e in taken}
            await commit(survivor, again)
            with pytest.raises(Fenced):
                await commit(hung, taken, [Entry(FINDINGS, "k", b"zombie", START)])
            assert sum((await two.ends(FINDINGS)).values()) == 0


async def test_5_what_is_not_committed_comes_again(log: Log) -> None:
    await log.append([entry("a", n) for n in range(6)])
    async with log.join("g", READINGS) as consumer:
        found = await take(consumer, 6)
        await commit(consumer, found[:4])
    async with log.join("g", READINGS) as consumer:
        assert [e.value for e in await take(consumer, 2)] == [b"a:4", b"a:5"]
        assert await quiet(consumer)


async def test_6_outputs_snapshots_and_positions_are_committed_together(log: Log) -> None:
    await log.append([entry("a", n) for n in range(3)])
    async with log.join("g", READINGS) as consumer:
        found = await take(consumer, 3)
        partition = found[0].partition
        snapshot = Snapshot(found[-1].offset + 1, b"state")
        await consumer.commit(partition, snapshot.offset, [Entry(FINDINGS, "a", b"found", START)], snapshot)
        assert await consumer.committed(partition) == snapshot.offset
        assert await consumer.snapshot(partition) == snapshot
    async with log.join("g2", FINDINGS) as reader:
        assert [e.value for e in await take(reader, 1)] == [b"found"]


async def test_6_a_snapshot_may_be_large_and_only_the_newest_counts(open_backend: Open) -> None:
    states = [random.Random(n).randbytes(size) for n, size in enumerate((3_000_000, 10, 0, 1_500_000))]  # noqa: S311
    async with open_backend() as log:
        await log.append([entry("a", n) for n in range(len(states))])
        async with log.join("g", READINGS) as consumer:
            for found, state in zip(await take(consumer, len(states)), states, strict=True):
                written = Snapshot(found.offset + 1, state)
                await consumer.commit(found.partition, found.offset + 1, (), written)
                assert await consumer.snapshot(found.partition) == written
                # A commit without a state leaves the one before.
                await consumer.commit(found.partition, found.offset + 1)
                assert await consumer.snapshot(found.partition) == written
    async with open_backend() as log, log.join("g", READINGS) as consumer:
        await take_nothing(consumer)
        assert await consumer.snapshot(found.partition) == written


async def test_6_positions_alone_may_be_told_and_leave_the_state(log: Log) -> None:
    await log.append([entry("a", n) for n in range(4)])
    async with log.join("g", READINGS) as consumer:
        found = await take(consumer, 4)
        partition, first, last = found[0].partition, found[0].offset, found[-1].offset
        state = Snapshot(first + 1, b"state")
        await consumer.commit(partition, first + 1, (), state)
        assert await consumer.advance({partition: last + 1}) == {partition: last + 1}
    async with log.join("g", READINGS) as consumer:
        assert await quiet(consumer)
        assert await consumer.committed(partition) == last + 1
        assert await consumer.snapshot(partition) == state


async def test_7_positions_of_what_was_given_back_are_not_told(open_backend: Open) -> None:
    async with open_backend() as one, open_backend() as two, one.join("g", READINGS) as first:
        await one.append([entry(f"k{n}", n) for n in range(20)])
        taken = Batch(tuple(await take(first, 20))).positions()
        async with two.join("g", READINGS):
            async with asyncio.timeout(10):
                while not isinstance(event := await first.next(timeout_s=0.1), Revoked):
                    pass
            assert not (await first.advance(taken)).keys() & set(event.partitions)


async def test_6_a_commit_that_fails_writes_nothing(log: Log) -> None:
    await log.append([entry("a", 0)])
    async with log.join("g", READINGS) as consumer:
        [found] = await take(consumer, 1)
        bad = [Entry(FINDINGS, "a", b"found", START), Entry(FINDINGS, "a\x00", b"", START)]
        with pytest.raises(ValueError, match="NUL"):
            await consumer.commit(
                found.partition, found.offset + 1, bad, Snapshot(found.offset + 1, b"state")
            )
        assert await consumer.committed(found.partition) == 0
        assert await consumer.snapshot(found.partition) is None
    assert sum((await log.ends(FINDINGS)).values()) == 0


async def test_7_what_was_given_back_cannot_be_committed(open_backend: Open) -> None:
    async with open_backend() as one, open_backend() as two, one.join("g", READINGS) as first:
        await one.append([entry(f"k{n}", n) for n in range(20)])
        taken = await take(first, 20)
        async with two.join("g", READINGS):
            async with asyncio.timeout(10):
                while not isinstance(event := await first.next(timeout_s=0.1), Revoked):
                    pass
            lost = [e for e in taken if e.partition in event.partitions]
            with pytest.raises(Fenced):
                await commit(first, lost)


async def test_8_a_batch_is_bounded(log: Log) -> None:
    await log.append([entry(f"k{n}", n) for n in range(200)])
    async with log.join("g", READINGS, batch_size=16) as consumer:
        found = 0
        async with asyncio.timeout(15):
            while found < 200:
                event = await consumer.next(timeout_s=0.2)
                if isinstance(event, Batch):
                    assert len(event.entries) <= 16
                    found += len(event.entries)


async def test_9_reading_starts_again_from_a_point_in_event_time(log: Log) -> None:
    await log.append([entry("a", n) for n in range(10)])
    found = await log.positions_at(READINGS, START + timedelta(minutes=7))
    async with log.join("g", READINGS) as consumer:
        partition = (await take(consumer, 10))[0].partition
        consumer.seek(partition, found[partition])
        assert [e.value for e in await take(consumer, 3)] == [b"a:7", b"a:8", b"a:9"]
    later = await log.positions_at(READINGS, START + timedelta(days=1))
    assert later == await log.ends(READINGS)


async def test_10_groups_do_not_disturb_each_other(log: Log) -> None:
    await log.append([entry("a", n) for n in range(3)])
    async with log.join("g1", READINGS) as first, log.join("g2", READINGS) as second:
        await commit(first, await take(first, 3))
        assert len(await take(second, 3)) == 3
    assert await log.positions("g1", READINGS) == await log.ends(READINGS)
    assert sum((await log.positions("g2", READINGS)).values()) == 0


async def test_an_entry_wakes_a_waiting_consumer(log: Log) -> None:
    waker: Callable[[], Awaitable[None]] = lambda: log.append([entry("a", 1)])  # noqa: E731
    async with log.join("g", READINGS) as consumer:
        while await consumer.next(timeout_s=0.05) is not None:
            pass
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(take(consumer, 1))
            await asyncio.sleep(0)
            group.create_task(waker())  # type: ignore[arg-type]
        assert reading.result()[0].value == b"a:1"
