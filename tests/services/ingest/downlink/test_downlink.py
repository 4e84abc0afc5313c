"""Commands on the way to gateways that are not ours: sent, answered, sent again, given up, released."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.embedded.broker import EmbeddedBroker
from services.ingest.downlink import commands
from services.ingest.downlink.demand import Demand
from services.ingest.downlink.downlink import WAITS_S, Downlink, read
from services.ingest.downlink.judgement import HOLDS, Wanted
from services.ingest.intake import Intake
from services.ingest.keeper import Keeper
from services.ingest.mqtt import Broker, Message
from services.ingest.pipeline import Limits
from services.ingest.service import Ingest
from services.ingest.snapshots import Snapshots
from tests.conftest import opened_log, until
from tests.services.ingest.downlink.gateways import YES, Gateway, entry, finding
from tongluo import testing
from tongluo.clock import WallClock
from tongluo.finding import Level
from tongluo.postgres import Listener
from tongluo.sampling import DenseIntervals, read_intervals
from tongluo.store.engine import open_store
from tongluo.supervise import Supervisor

POLICY = read_intervals("yellow=120s,orange=60s,red=60s")
# As many times as in earnest, in less time.
IMPATIENT = (0.2,) * len(WAITS_S)


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def store(dsn: str) -> AsyncIterator[AsyncEngine]:
    async with open_store(dsn) as engine:
        yield engine


@asynccontextmanager
async def sending(
    dsn: str, engine: AsyncEngine, mqtt: EmbeddedBroker, name: str, policy: DenseIntervals = POLICY
) -> AsyncIterator[Supervisor]:
    listener = Listener(dsn)
    async with opened_log(dsn) as log:
        demand = Demand(log, engine, testing.county, policy)
        broker = Broker("127.0.0.1", mqtt.port_v5, name)
        downlink = Downlink(engine, dsn, listener, demand, waits_s=IMPATIENT)
        intake = Intake(testing.county, WallClock(), Limits(None, None), None, name)
        keeper = Keeper(log, intake, Snapshots(Path("unused"), 2**20))
        supervisor = Supervisor()
        supervisor.add("listener", listener.run)
        supervisor.add("sampling", demand.run)
        supervisor.add("downlink", downlink.run)
        supervisor.add("ingest", Ingest(broker, keeper, [downlink]).run)
        async with supervisor.running():
            await supervisor.ready()
            yield supervisor


def wanted(gateway: str, number: int = 1, until_: datetime | None = None) -> Wanted:
    return Wanted(
        "R-1", gateway, "S-1", 60, until_ or now() + HOLDS, "rainstorm", Level.RED, now(), number=number
    )


async def put(engine: AsyncEngine, *some: Wanted) -> None:
    async with engine.begin() as connection:
        await commands.put(connection, some, now())


async def states(engine: AsyncEngine) -> Mapping[str, tuple[str, int]]:
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT id, state, attempts FROM command"))
        return {row.id: (row.state, row.attempts) for row in rows}


async def test_who_never_answers_is_asked_again_and_then_given_up_but_may_still_answer(
    dsn: str, mqtt: EmbeddedBroker
) -> None:
    one = wanted("G-mute")
    async with store(dsn) as engine, Gateway(mqtt.port, "G-mute").listening() as mute:
        mute.answer = lambda command: None
        async with sending(dsn, engine, mqtt, "mute"):
            await put(engine, one)

            async def given_up() -> bool:
                return (await states(engine))[one.id] == ("unanswered", len(IMPATIENT))

            await until(given_up)
            assert len(mute.heard) == len(IMPATIENT)
            assert {command["id"] for command in mute.heard} == {one.id}
            async with aiomqtt.Client("127.0.0.1", mqtt.port) as late:
                await late.publish(f"tongluo/v1/G-mute/commands/{one.id}", YES, qos=1)

            async def mended() -> bool:
                return (await states(engine))[one.id][0] == "accepted"

            await until(mended)


async def test_an_answer_counts_only_from_the_commands_own_gateway_and_only_if_it_is_one(
    dsn: str, mqtt: EmbeddedBroker
) -> None:
    one = wanted("G-own")
    hostile = [
        ("G-own", one.id, b"\xff" * 100), ("G-own", one.id, b"[" * 4000), ("G-own", one.id, b"{}"),
        ("G-own", one.id, b'{"accepted": "yes"}'), ("G-own", one.id, b'{"accepted": false}'),
        ("G-own", one.id, msgspec.json.encode({"accepted": True, "reason": "x" * 10_000})),
        ("G-own", one.id, b'{"accepted": true, "interval_s": 1e300}'), ("G-own", "unknown", YES),
        ("G-own", "' OR 1=1", YES), ("G-own", "x" * 900, YES), ("G-other", one.id, YES),
    ]  # fmt: skip
    async with store(dsn) as engine, Gateway(mqtt.port, "G-own").listening() as own:
        own.answer = lambda command: None
        async with sending(dsn, engine, mqtt, "own") as supervisor:
            await put(engine, one)
            await until(lambda: bool(own.heard))
            async with aiomqtt.Client("127.0.0.1", mqtt.port) as wicked:
                for gateway, id_, payload in hostile:
                    await wicked.publish(f"tongluo/v1/{gateway}/commands/{id_}", payload, qos=1)
                assert (await states(engine))[one.id][0] == "sent"
                await wicked.publish(f"tongluo/v1/G-own/commands/{one.id}", YES, qos=1)
                await wicked.publish(
                    f"tongluo/v1/G-own/commands/{one.id}", b'{"accepted": false, "reason": "no"}', qos=1
                )
            # Every one of these messages has been taken; the first true answer is the one that counts.
            await supervisor.pulses["ingest"].counted("messages", len(hostile) + 2)
            assert (await states(engine))[one.id][0] == "accepted"


async def test_a_newer_command_silences_the_older_and_what_is_over_is_not_sent(
    dsn: str, mqtt: EmbeddedBroker
) -> None:
    async with store(dsn) as engine, Gateway(mqtt.port, "G-new").listening() as gateway:
        gateway.answer = lambda command: None
        over = wanted("G-new", 1, now() - timedelta(seconds=1))
        old, new = wanted("G-new", 2), wanted("G-new", 3)
        await put(engine, old, new)
        await put(engine, new)
        async with sending(dsn, engine, mqtt, "new"):
            await until(lambda: len(gateway.heard) >= 2)
            assert {command["id"] for command in gateway.heard} == {new.id}
            found = await states(engine)
            assert found[old.id] == ("superseded", 0)
            await put(engine, over)

            async def expired() -> bool:
                return (await states(engine))[over.id] == ("expired", 0)

            await until(expired)
            assert over.id not in {command["id"] for command in gateway.heard}


async def test_two_processes_one_of_them_stands_by_and_takes_over(dsn: str, mqtt: EmbeddedBroker) -> None:
    async with store(dsn) as engine, AsyncExitStack() as later:
        async with sending(dsn, engine, mqtt, "first") as first:
            await until(lambda: first.pulses["downlink"].state == "connected")
            second = await later.enter_async_context(sending(dsn, engine, mqtt, "second"))
            assert second.pulses["downlink"].state == "standing by"
        await until(lambda: second.pulses["downlink"].state == "connected")


async def test_a_claim_left_by_a_crash_is_sent_again(dsn: str, mqtt: EmbeddedBroker) -> None:
    one = wanted("G-crash")
    async with store(dsn) as engine, Gateway(mqtt.port, "G-crash").listening() as gateway:
        await put(engine, one)
        async with engine.begin() as connection:
            # As a program leaves it that was killed between storing and publishing.
            claimed = await commands.claim(connection, IMPATIENT, 10, now())
        assert [(due.gateway, due.command.id) for due in claimed] == [("G-crash", one.id)]
        async with sending(dsn, engine, mqtt, "crash"):
            await until(lambda: [command["id"] for command in gateway.heard] == [one.id])


async def test_what_holds_is_renewed_and_only_when_every_finding_is_read(dsn: str) -> None:
    """The clock is an argument: two hours pass at once."""
    later = [timedelta()]
    async with store(dsn) as engine, opened_log(dsn) as log:
        demand = Demand(log, engine, testing.county, POLICY, lambda: now() + later[0])
        supervisor = Supervisor()
        supervisor.add("sampling", demand.run)
        async with supervisor.running():
            await log.append([entry(finding(Level.ORANGE, now()))])
            await supervisor.pulses["sampling"].counted("findings", 1)
            assert await demand.renew() == 0
            later[0] = timedelta(minutes=100)
            assert await demand.renew() == 1
            assert await demand.renew() == 0
        later[0] = timedelta(minutes=300)
        await log.append([entry(finding(None, now()))])
        assert await demand.renew() == 0
        assert sorted(state for state, _ in (await states(engine)).values()) == ["pending", "superseded"]


async def test_an_exercise_asks_nothing_of_the_field(dsn: str) -> None:
    async with store(dsn) as engine, opened_log(dsn) as log:
        supervisor = Supervisor()
        supervisor.add("sampling", Demand(log, engine, testing.county, POLICY).run)
        async with supervisor.running():
            drill = msgspec.structs.replace(finding(Level.RED, now()), drill=True)
            await log.append([entry(drill), entry(finding(Level.YELLOW, now(), "S-2"))])
            await supervisor.pulses["sampling"].counted("findings", 2)
        assert {name.partition("-rainstorm")[0] for name in await states(engine)} == {"R-2"}
        async with engine.connect() as connection:
            assert list(await connection.scalars(text("SELECT site FROM sampling_level"))) == ["S-2"]


def test_a_flood_of_nonsense_is_one_short_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    messages = [Message("tongluo/v1/G-1/commands/" + "x" * 60_000, b"[" * 4000, now()) for _ in range(1000)]
    assert read(messages) == []
    [line] = caplog.messages
    assert len(line) < 500
