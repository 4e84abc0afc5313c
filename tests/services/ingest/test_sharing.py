"""Who takes what a dead member left, and that the dead one may come back at any time."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.mqtt import Broker, FieldConnection, adopt, subscribe
from services.ingest.service import filters
from services.ingest.sharing import AWAY_AFTER, Members, orphans
from tongluo.store.engine import open_store

NOW = datetime(2026, 7, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=1)
MEMBERS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.integers(0, 90).map(lambda s: NOW - timedelta(seconds=s)), min_size=1
)


@given(MEMBERS)
def test_every_dead_member_is_adopted_by_one_of_the_living(seen: dict[str, datetime]) -> None:
    living = [name for name, at in seen.items() if NOW - at < AWAY_AFTER]
    adopted = [dead for me in living for dead in orphans(seen, me, LONG_AGO, NOW)]
    assert sorted(adopted) == (sorted(set(seen) - set(living)) if living else [])


@given(MEMBERS, st.integers(0, 29))
def test_nobody_judges_before_it_has_been_at_work_for_a_while(
    seen: dict[str, datetime], seconds: int
) -> None:
    """After the store was away everybody looks dead."""
    assert all(orphans(seen, me, NOW - timedelta(seconds=seconds), NOW) == [] for me in seen)


def test_a_member_that_does_not_know_itself_dead_adopts_but_not_itself() -> None:
    assert orphans({"a": LONG_AGO, "b": LONG_AGO}, "a", LONG_AGO, NOW) == ["b"]


async def test_the_store_knows_the_members_of_a_share_and_forgets_only_who_stayed_away(dsn: str) -> None:
    async with open_store(dsn) as engine:
        ours, others = Members(engine, "ours"), Members(engine, "others")
        await others.beat("x")
        first, _ = await ours.beat("a")
        seen, now = await ours.beat("b")
        assert set(seen) == {"a", "b"}
        assert seen["a"] == first["a"] < seen["b"] <= now
        await ours.beat("a")
        await ours.forget("a", seen["a"])
        assert set((await ours.beat("b"))[0]) == {"a", "b"}
        again, _ = await ours.beat("b")
        await ours.forget("a", again["a"])
        assert set((await ours.beat("b"))[0]) == {"b"}


@pytest.fixture
def port(stack: Callable[[str], str]) -> int:
    """Mosquitto's: the embedded broker does not outlive it when a share's last member goes (decision 14)."""
    return int(stack("mqtt").rpartition(":")[2])


async def publish(port: int, topic: str, number: int) -> None:
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        for n in range(number):
            await client.publish(topic, b"%d" % n, qos=1)


async def take(field: FieldConnection, quiet_s: float = 1.0) -> set[bytes]:
    found: set[bytes] = set()
    try:
        while True:
            async with asyncio.timeout(quiet_s):
                found |= {message.payload for message in await field.batch(100)}
    except TimeoutError:
        return found


async def until_lost(field: FieldConnection) -> None:
    while True:
        await field.batch(100)


async def test_who_comes_back_has_its_session_again_and_nothing_is_lost(port: int) -> None:
    group, topic = f"g{uuid4().hex}", f"tongluo/v1/{uuid4().hex}/readings"
    shared = filters(group)
    one, other = (Broker("127.0.0.1", port, f"{group}-{n}") for n in range(2))
    async with subscribe(one, shared) as field:
        async with subscribe(other, shared):
            pass
        await publish(port, topic, 40)
        found = await take(field)
        async with adopt(other, shared) as adopter:
            assert adopter is not None
            # It has them, but not yet acknowledged, when the other comes back.
            await take(adopter)
            async with subscribe(other, shared) as back:
                with pytest.raises(ConnectionResetError):
                    await until_lost(adopter)
                found |= await take(back)
                back.end_session()
        found |= await take(field)
        field.end_session()
    assert found == {b"%d" % n for n in range(40)}
