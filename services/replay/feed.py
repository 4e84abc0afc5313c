"""Publishing a recording over MQTT at a chosen pace, as the stations' gateways would."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Final

import aiomqtt
import msgspec

from services.replay.recording import Sample

# What a gateway with a memory sends at a time when it catches up.
READINGS_PER_MESSAGE: Final = 50

Progress = Callable[[int], None]


class Target(msgspec.Struct, frozen=True):
    """Where to publish, and which gateway speaks for each station."""

    host: str
    port: int
    gateways: Mapping[str, str]
    user: str | None = None
    password: str | None = None


async def feed(
    target: Target, samples: Sequence[Sample], metric: str, speed: float | None, done: Progress
) -> int:
    """Publish every sample with QoS 1; returns the number of messages. `speed` None: as fast as the broker takes them.

    At a speed of N, N seconds of event time pass in one of ours. Raises aiomqtt.MqttError.
    """
    client = aiomqtt.Client(
        target.host,
        target.port,
        identifier="",
        username=target.user,
        password=target.password,
        timeout=60,
    )
    async with client:
        if speed is None:
            return await _at_once(client, target, samples, metric, done)
        return await _in_time(client, target, samples, metric, speed, done)


async def _at_once(
    client: aiomqtt.Client, target: Target, samples: Sequence[Sample], metric: str, done: Progress
) -> int:
    messages = 0
    for gateway, chunk in _messages(target, samples):
        # Each is acknowledged before the next: the order of the series is the order in the log.
        await _publish(client, gateway, chunk, metric)
        messages += 1
        done(len(chunk))
    return messages


async def _in_time(
    client: aiomqtt.Client,
    target: Target,
    samples: Sequence[Sample],
    metric: str,
    speed: float,
    done: Progress,
) -> int:
    loop = asyncio.get_running_loop()
    started_s, first = loop.time(), samples[0].time
    messages = 0
    for time, at_once in groupby(samples, key=lambda sample: sample.time):
        due_s = started_s + (time - first) / timedelta(seconds=1) / speed
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        for gateway, chunk in _messages(target, list(at_once)):
            await _publish(client, gateway, chunk, metric)
            messages += 1
            done(len(chunk))
    return messages


def _messages(target: Target, samples: Sequence[Sample]) -> Iterator[tuple[str, list[Sample]]]:
    """Runs of samples of one gateway, none longer than one message."""
    for gateway, run in groupby(samples, key=lambda sample: target.gateways[sample.station]):
        chunk = list(run)
        for start in range(0, len(chunk), READINGS_PER_MESSAGE):
            yield gateway, chunk[start : start + READINGS_PER_MESSAGE]


def _publish(client: aiomqtt.Client, gateway: str, chunk: Sequence[Sample], metric: str) -> Awaitable[None]:
    payload = msgspec.json.encode(
        [{"station": s.station, "metric": metric, "time": s.time, "value": s.value} for s in chunk]
    )
    return client.publish(f"tongluo/v1/{gateway}/readings", payload, qos=1)
