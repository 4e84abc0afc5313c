"""Gateways obey: a station samples as densely as asked, for as long as asked, and no water is lost by it."""

import asyncio
import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiomqtt import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.simulator.field import Field
from sensors.simulator.obedience import FIXED, Obedience
from sensors.simulator.profile import load_profile
from sensors.simulator.scenarios import fixed_loggers, parts_of, storm
from tests.sensors.program import ends, program
from tests.sensors.rainbook import only_rain
from tongluo import sampling
from tongluo.clock import wall_now
from tongluo.region import County, Station
from tongluo.sampling import Answer, Command

T0 = datetime(2026, 7, 1, 2, 0, tzinfo=UTC)
COUNTY = only_rain(load_profile("qingtian"))
GAUGE = COUNTY.stations["QT-R-001"]


def obedience(now: datetime = T0) -> Obedience:
    mine = {name: COUNTY.stations[name] for name in ("QT-R-001", "QT-R-002")}
    return Obedience(mine, {"QT-R-002"}, lambda: now)


def told(subject: Obedience, station: str, interval_s: int, until: datetime | None) -> Answer:
    found = subject.take(sampling.encode(Command("c-1", station, interval_s, until)))
    assert found is not None
    assert found[0] == "c-1"
    return found[1]


def test_an_interval_holds_until_its_end_or_its_release() -> None:
    subject, until = obedience(), T0 + timedelta(hours=2)
    assert subject.interval_s(GAUGE, T0) == 300
    for _ in range(2):
        assert told(subject, "QT-R-001", 60, until) == Answer(accepted=True, interval_s=60)
    assert subject.interval_s(GAUGE, until - timedelta(seconds=1)) == 60
    assert subject.interval_s(GAUGE, until) == 300
    assert told(subject, "QT-R-001", 300, None) == Answer(accepted=True, interval_s=300)
    assert subject.interval_s(GAUGE, T0) == 300


def test_what_cannot_be_done_is_refused_with_a_reason() -> None:
    subject, until = obedience(), T0 + timedelta(hours=2)
    assert told(subject, "QT-R-002", 60, until) == Answer(accepted=False, reason=FIXED, interval_s=300)
    assert told(subject, "QT-R-002", 300, None).accepted
    assert not told(subject, "QT-R-003", 60, until).accepted
    assert not told(subject, "QT-R-001", 60, T0).accepted
    assert subject.interval_s(GAUGE, T0) == 300


@pytest.mark.parametrize("payload", [b"", b"{}", b"\xff", b'{"command":"reboot","id":"x"}',
                                     b'{"command":"sampling","id":"a/b","station":"QT-R-001","interval_s":60}',
                                     b'{"command":"sampling","id":"x","station":"QT-R-001","interval_s":0}'])  # fmt: skip
def test_what_is_no_command_is_not_answered(payload: bytes) -> None:
    assert obedience().take(payload) is None


def test_every_storm_has_one_logger_in_its_core_that_cannot_be_asked() -> None:
    assert len(fixed_loggers(COUNTY, 1)) == len(parts_of(COUNTY, 1))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([60, 120, 300]), min_size=1, max_size=20))
def test_however_the_interval_changes_no_rain_is_lost_or_counted_twice(asked: list[int]) -> None:
    focus = parts_of(COUNTY, 1)[0]
    weather = storm(COUNTY, 1, T0)
    changes = itertools.cycle(asked)

    def interval(station: Station, time: datetime) -> int:
        return next(changes)

    field = Field(COUNTY, weather, 1, T0)
    seen = itertools.takewhile(
        lambda o: o.time <= T0 + timedelta(minutes=5), field.live(focus.gateway, interval)
    )
    mine = [o for o in seen if o.station == focus.id]
    fallen = weather.rain_mm(focus, mine[-1].time) - weather.rain_mm(focus, T0)
    assert sum(o.value for o in mine) == pytest.approx(fallen, abs=0.11)
    gaps = {(b.time - a.time).total_seconds() for a, b in itertools.pairwise(mine)}
    assert gaps <= {1.0, 2.0, 5.0}


async def test_a_running_gateway_samples_more_densely_and_goes_back(mqtt_port: int, qingtian: County) -> None:
    fixed = fixed_loggers(qingtian, 1)
    station = next(s for s in qingtian.stations.values() if "rain" in s.metrics and s.id not in fixed)
    times: list[datetime] = []
    answers: list[dict[str, Any]] = []
    heard = asyncio.Condition()

    async def listen(client: Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            said = json.loads(message.payload)
            async with heard:
                if "/commands/" in message.topic.value:
                    answers.append({"topic": message.topic.value, **said})
                else:
                    rain = [r for r in said if (r["station"], r["metric"]) == (station.id, "rain")]
                    times.extend(datetime.fromisoformat(r["time"]) for r in rain)
                heard.notify_all()

    async def until(so: Callable[[], bool]) -> None:
        async with asyncio.timeout(40), heard:
            await heard.wait_for(so)

    def gaps() -> list[float]:
        return [(b - a).total_seconds() for a, b in itertools.pairwise(times)]

    def command(id_: str, interval_s: int, end: datetime | None) -> bytes:
        return sampling.encode(Command(id_, station.id, interval_s, end))

    gateway = f"tongluo/v1/{station.gateway}"
    async with Client("127.0.0.1", mqtt_port, identifier="duty") as client, asyncio.TaskGroup() as group:
        await client.subscribe(f"{gateway}/readings", qos=1)
        await client.subscribe(f"{gateway}/commands/+", qos=1)
        task = group.create_task(listen(client))
        async with program("sensors.simulator", "--broker", f"127.0.0.1:{mqtt_port}") as process:
            await until(lambda: gaps()[-2:] == [5.0, 5.0])
            end = wall_now() + timedelta(hours=2)
            await client.publish(f"{gateway}/commands", command("dense-1", 60, end), qos=1)
            await until(lambda: gaps()[-3:] == [1.0, 1.0, 1.0])
            await client.publish(f"{gateway}/commands", command("release-1", 300, None), qos=1)
            await until(lambda: gaps()[-2:] == [5.0, 5.0])
            process.terminate()
            assert (await ends(process))[0] == 0
        task.cancel()
    assert [a["topic"].rpartition("/")[2] for a in answers] == ["dense-1", "release-1"]
    assert [(a["accepted"], a["interval_s"]) for a in answers] == [(True, 60), (True, 300)]
