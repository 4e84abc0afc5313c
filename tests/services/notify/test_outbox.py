"""Deliveries to a real receiver: signed, in order, retried, never lost, and nobody waits for a slow neighbour."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notify import backoff
from services.notify.outbox import Outbox
from tests.conftest import until
from tongluo import testing
from tongluo.postgres import Listener
from tongluo.store.engine import open_store, ring
from tongluo.store.tables import delivery, subscription
from tongluo.supervise import Supervisor
from tongluo.testing import Receiver

NOW = datetime(2026, 7, 1, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@pytest.fixture
async def engine(dsn: str) -> AsyncIterator[AsyncEngine]:
    async with open_store(dsn) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with testing.receiver() as opened:
        opened.secret = SECRET
        yield opened


# As many attempts as in earnest, in less time.
IMPATIENT = (0.05,) * len(backoff.WAITS_S)


@asynccontextmanager
async def sending(dsn: str, engine: AsyncEngine) -> AsyncIterator[None]:
    listener = Listener(dsn)
    supervisor = Supervisor()
    supervisor.add("listener", listener.run)
    supervisor.add("outbox", Outbox(engine, listener, waits_s=IMPATIENT).run)
    async with supervisor.running():
        await supervisor.ready()
        yield


async def subscribe(engine: AsyncEngine, name: str, url: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            insert(subscription).values(
                id=name, name=name, url=url, secret=SECRET, hazards=[], min_level="blue", areas=[], enabled=True,
                created=NOW,
            )
        )  # fmt: skip


async def put(engine: AsyncEngine, name: str, alert_id: str, *numbers: int) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO alert (id, hazard, site, onset, level, peak, state, updated, report_no, evidence, headline) "
                "VALUES (:id, 'rainstorm', 'S-1', :now, 'blue', 'blue', 'raised', :now, 1, '{}', '{}') "
                "ON CONFLICT DO NOTHING"
            ),
            {"id": alert_id, "now": NOW},
        )
        await connection.execute(
            insert(delivery),
            [
                {
                    "id": f"{alert_id}-{number}-{name}", "subscription": name, "alert": alert_id, "report_no": number,
                    "body": f'{{"type":"alert.updated","data":{{"no":{number}}}}}'.encode(), "state": "pending",
                    "attempts": 0, "due": NOW, "created": NOW,
                }
                for number in numbers
            ],
        )  # fmt: skip
        await ring(connection, "outbox")


async def states(engine: AsyncEngine) -> dict[str, str]:
    async with engine.connect() as connection:
        return {row[0]: row[1] for row in await connection.execute(text("SELECT id, state FROM delivery"))}


async def all_are(engine: AsyncEngine, *wanted: str) -> None:
    async def true() -> bool:
        return set((await states(engine)).values()) <= set(wanted)

    await until(true)


async def test_a_delivery_is_signed_so_that_the_library_verifies_it(
    dsn: str, engine: AsyncEngine, receiver: Receiver
) -> None:
    await subscribe(engine, "s1", receiver.url)
    async with sending(dsn, engine):
        await put(engine, "s1", "a1", 1)
        await all_are(engine, "delivered")
    [received] = receiver.received
    assert received.verified
    assert received.id == "a1-1-s1"


async def test_a_failing_subscriber_is_tried_again_with_the_same_id_and_body(
    dsn: str, engine: AsyncEngine, receiver: Receiver
) -> None:
    receiver.answer = lambda nth: 200 if nth > 3 else 503
    await subscribe(engine, "s1", receiver.url)
    async with sending(dsn, engine):
        await put(engine, "s1", "a1", 1)
        await all_are(engine, "delivered")
    assert len(receiver.received) == 4
    assert len({(item.id, item.raw) for item in receiver.received}) == 1
    assert all(item.verified for item in receiver.received)


async def test_reports_of_one_alert_arrive_in_order(
    dsn: str, engine: AsyncEngine, receiver: Receiver
) -> None:
    await subscribe(engine, "s1", receiver.url)
    async with sending(dsn, engine):
        for number in range(20):
            await put(engine, "s1", f"a{number}", 3, 1, 2)
        await all_are(engine, "delivered")
    for number in range(20):
        ids = [item.id for item in receiver.received if item.id.startswith(f"a{number}-")]
        assert ids == [f"a{number}-{n}-s1" for n in (1, 2, 3)]


async def test_a_report_that_failed_gives_way_to_a_newer_one(
    dsn: str, engine: AsyncEngine, receiver: Receiver
) -> None:
    receiver.answer = lambda nth: 200 if nth > 1 else 500
    await subscribe(engine, "s1", receiver.url)
    await put(engine, "s1", "a1", 1, 2)
    async with sending(dsn, engine):
        await all_are(engine, "delivered", "superseded")
    assert await states(engine) == {"a1-1-s1": "superseded", "a1-2-s1": "delivered"}
    assert [item.id for item in receiver.received] == ["a1-1-s1", "a1-2-s1"]


async def test_who_never_answers_is_given_up_and_the_reason_kept(
    dsn: str, engine: AsyncEngine, receiver: Receiver
) -> None:
    receiver.answer = lambda nth: 500
    await subscribe(engine, "s1", receiver.url)
    async with sending(dsn, engine):
        await put(engine, "s1", "a1", 1)
        await all_are(engine, "failed")
    assert len(receiver.received) == len(backoff.WAITS_S) + 1
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT error FROM delivery")) == "HTTP 500"


async def test_gone_means_gone(dsn: str, engine: AsyncEngine, receiver: Receiver) -> None:
    receiver.answer = lambda nth: 410
    await subscribe(engine, "s1", receiver.url)
    async with sending(dsn, engine):
        await put(engine, "s1", "a1", 1)
        await all_are(engine, "failed")
    assert len(receiver.received) == 1
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT enabled FROM subscription")) is False


async def test_a_redirect_is_not_followed(dsn: str, engine: AsyncEngine, receiver: Receiver) -> None:
    """A signed warning goes where it was subscribed to, and nowhere else."""
    async with testing.receiver() as elsewhere:
        receiver.headers = {"location": elsewhere.url}
        receiver.answer = lambda nth: 307 if nth == 1 else 200
        await subscribe(engine, "s1", receiver.url)
        async with sending(dsn, engine):
            await put(engine, "s1", "a1", 1)
            await all_are(engine, "delivered")
        assert len(receiver.received) == 2
        assert elsewhere.received == []


async def test_slow_subscribers_delay_nobody_else(dsn: str, engine: AsyncEngine, receiver: Receiver) -> None:
    stuck = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stuck.wait()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for name in range(12):
            await subscribe(engine, f"slow{name}", f"http://127.0.0.1:{port}/")
            for number in range(30):
                await put(engine, f"slow{name}", f"a{number}", 1)
        await subscribe(engine, "quick", receiver.url)
        async with sending(dsn, engine):
            for number in range(30):
                await put(engine, "quick", f"a{number}", 1)
            await until(lambda: len(receiver.received) == 30, timeout_s=5)
            stuck.set()


async def test_a_thousand_reports_after_a_quiet_time_are_told_at_once(
    dsn: str, engine: AsyncEngine, receiver: Receiver
) -> None:
    """A query plan made for one waiting report has taken minutes over a thousand."""
    await subscribe(engine, "s1", receiver.url)
    async with sending(dsn, engine):
        for number in range(30):
            await put(engine, "s1", f"quiet{number}", 1)
            await until(lambda: len(receiver.received) == number + 1)  # noqa: B023 - awaited at once
        for number in range(1000):
            await put(engine, "s1", f"storm{number}", 1)
        await until(lambda: len(receiver.received) == 1030, timeout_s=30)


async def test_an_unusable_secret_harms_only_its_own_subscription(
    dsn: str, engine: AsyncEngine, receiver: Receiver
) -> None:
    for name, secret in (("empty", ""), ("nonsense", "whsec_%%%"), ("good", SECRET)):
        await subscribe(engine, name, receiver.url)
        async with engine.begin() as connection:
            await connection.execute(
                text("UPDATE subscription SET secret = :secret WHERE id = :id"),
                {"secret": secret, "id": name},
            )
        await put(engine, name, f"a-{name}", 1)
    async with sending(dsn, engine):
        await all_are(engine, "delivered", "failed")
    found = await states(engine)
    assert found["a-good-1-good"] == "delivered"
    assert found["a-empty-1-empty"] == "failed"


async def test_a_claim_left_by_a_crash_is_taken_over_with_the_same_id(
    dsn: str, engine: AsyncEngine, receiver: Receiver
) -> None:
    await subscribe(engine, "s1", receiver.url)
    await put(engine, "s1", "a1", 1)
    async with engine.begin() as connection:
        # As a program leaves it that was killed after sending and before writing the outcome.
        await connection.execute(
            text("UPDATE delivery SET state = 'sending', attempts = 1, due = :due"),
            {"due": datetime.now(UTC) + timedelta(seconds=0.5)},
        )
    async with sending(dsn, engine):
        await all_are(engine, "delivered")
    assert [item.id for item in receiver.received] == ["a1-1-s1"]


async def test_a_disabled_subscription_keeps_its_reports(
    dsn: str, engine: AsyncEngine, receiver: Receiver
) -> None:
    await subscribe(engine, "s1", receiver.url)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE subscription SET enabled = false"))
    await put(engine, "s1", "a1", 1)
    async with sending(dsn, engine):
        await asyncio.sleep(0.2)
        assert not receiver.received
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE subscription SET enabled = true"))
            await ring(connection, "outbox")
        await all_are(engine, "delivered")
