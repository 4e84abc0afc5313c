"""The field's messages over MQTT 5, acknowledged by hand: PUBACK goes out only when the caller says so.

A small client over the `mqtt5` codec (docs/decisions/0003): one connection, a persistent session, QoS 1. Whatever is
not acknowledged when the connection ends is sent again by the broker. What is held is bounded by MQTT's Receive
Maximum for QoS 1 and by pausing the socket for QoS 0.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import mqtt5
import msgspec

from tongluo.clock import wall_now

Answer = TypeVar("Answer")

KEEP_ALIVE_S: Final = 20
RECEIVE_MAX: Final = 2000
MAX_PACKET_BYTES: Final = 8 * 1024 * 1024
BATCH_BYTES: Final = 8 * 1024 * 1024
# Of what we deliver: one at a time, so one is enough.
DELIVERY_PACKET_ID: Final = 2
SESSION_EXPIRY_S: Final = 7 * 24 * 3600


class Message(msgspec.Struct, frozen=True):
    """One publication as it came in. `packet_id` is None for QoS 0; `retained` says that the broker repeated an old one."""

    topic: str
    payload: bytes
    received: datetime
    packet_id: int | None = None
    retained: bool = False


class Broker(msgspec.Struct, frozen=True):
    """Where the broker is and who we are there. `ca` names the certificates to trust instead of the system's, `cert` and
    `key` the client certificate we show. `{client}` in `user` stands for the client id, for brokers that bind the two
    together."""

    host: str
    port: int
    client_id: str
    user: str | None = None
    password: str | None = None
    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class FieldConnection:
    """An open subscription. `batch` hands out messages, `acknowledge` lets the broker forget them."""

    def __init__(self, protocol: "_Protocol") -> None:
        self._protocol = protocol

    async def batch(self, limit: int, most_bytes: int = BATCH_BYTES) -> list[Message]:
        """At least one and at most `limit` messages, in order, and no more after `most_bytes` of payload.

        Raises ConnectionError when the broker is gone.
        """
        protocol = self._protocol
        while not protocol.messages:
            protocol.raise_if_lost()
            protocol.arrived.clear()
            await protocol.arrived.wait()
        return self.held(limit, most_bytes)

    def held(self, limit: int, most_bytes: int = BATCH_BYTES) -> list[Message]:
        """The same of what has come already, if anything."""
        protocol = self._protocol
        taken: list[Message] = []
        size = 0
        while protocol.messages and len(taken) < limit and size < most_bytes:
            taken.append(protocol.messages.popleft())
            size += len(taken[-1].payload)
        protocol.drained(size)
        return taken

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that these are safe with us. Harmless after the connection is lost."""
        packets = [
            mqtt5.PubAckPacket(message.packet_id).write()
            for message in messages
            if message.packet_id is not None
        ]
        self._protocol.send(b"".join(packets))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Say something ourselves, at QoS 0. Harmless after the connection is lost."""
        self._protocol.send(mqtt5.PublishPacket(topic, payload, retain=retain).write())

    async def answered(self) -> None:
        """Return when the broker has answered a ping: it has read all that was sent to it before."""
        await self._protocol.ping()

    def end_session(self) -> None:
        """Have the broker forget the session, and what is still queued in it, when this connection closes."""
        self._protocol.last_word = mqtt5.DisconnectPacket(session_expiry_interval=0).write()

    async def deliver(self, topic: str, payload: bytes) -> str | None:
        """Say something ourselves, at QoS 1, and wait for the broker's PUBACK; one at a time.

        None, or the name of the reason for which the broker does not let it pass. Somebody else must go on taking
        batches meanwhile. Raises ConnectionError when the broker is gone, TimeoutError when it does not answer.
        """
        return await self._protocol.deliver(topic, payload)


@asynccontextmanager
async def subscribe(
    broker: Broker, filters: Sequence[str], will: mqtt5.Will | None = None
) -> AsyncIterator[FieldConnection]:
    """Connect, take up the session, subscribe. Raises OSError (ConnectionError among them) or TimeoutError.

    `will` is what the broker says for us should the connection end without a goodbye.
    """

    async def opening(protocol: _Protocol) -> None:
        await protocol.subscribe(filters, present=await protocol.connect(broker, will))

    async with _connected(broker, opening) as protocol:
        yield FieldConnection(protocol)


@asynccontextmanager
async def adopt(broker: Broker, filters: Sequence[str]) -> AsyncIterator[FieldConnection | None]:
    """Take up the session of the client that `broker` names, for what is queued in it; nothing is added any more.

    None if there is no such session. Whoever connects by that client's id ends this connection. Raises as `subscribe`.
    """
    present = False

    async def opening(protocol: _Protocol) -> None:
        nonlocal present
        if present := await protocol.connect(broker):
            protocol.unsubscribe(filters)

    async with _connected(broker, opening) as protocol:
        connection = FieldConnection(protocol)
        if not present:
            # Asking has made a session: it is not to outlive the question.
            connection.end_session()
        yield connection if present else None


@asynccontextmanager
async def _connected(
    broker: Broker, opening: Callable[["_Protocol"], Awaitable[None]]
) -> AsyncIterator["_Protocol"]:
    loop = asyncio.get_running_loop()
    # Made anew for every connection, so that a certificate that was renewed is taken up without a restart.
    trust = tls_context(broker.ca, broker.cert, broker.key) if broker.tls else None
    async with asyncio.timeout(10):
        _, protocol = await loop.create_connection(_Protocol, broker.host, broker.port, ssl=trust)
    try:
        try:
            async with asyncio.timeout(10):
                await opening(protocol)
        except TimeoutError as error:
            raise TimeoutError(f"the MQTT broker at {broker.host}:{broker.port} does not answer") from error
        yield protocol
    finally:
        protocol.close()


def tls_context(ca: Path | None, cert: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Trust the system's certificates or those in the file `ca`; the server's name is always checked.

    With `cert` we show a certificate of our own. Raises OSError naming the file when it cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise OSError(
            f"{ca} holds no certificates to trust ({error}): correct ca= in TONGLUO_MQTT"
        ) from error
    if cert is not None:
        try:
            context.load_cert_chain(cert, key)
        except OSError as error:
            raise OSError(
                f"{cert} and {key} are no certificate with its key ({error}): correct cert= and key= in TONGLUO_MQTT"
            ) from error
    return context


class _Protocol(asyncio.Protocol):
    """Bytes to packets and back; keeps the connection alive and notices when it is not."""

    # Beyond these the socket is not read until half has been taken: QoS 0 knows no other bound.
    _MOST_MESSAGES: Final = 2 * RECEIVE_MAX
    _MOST_BYTES: Final = 2 * BATCH_BYTES

    def __init__(self) -> None:
        self.messages: deque[Message] = deque()
        self.arrived = asyncio.Event()
        self.last_word = mqtt5.DisconnectPacket().write()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        # Each waits for a packet of the type that is its key.
        self._answers: dict[type[object], asyncio.Future[Any]] = {}
        self._lost: Exception | None = None
        self._delivering = asyncio.Lock()
        self._held_bytes = 0
        self._paused = False
        self._heard_s = 0.0
        self._received = wall_now()
        self._pinger: asyncio.TimerHandle | None = None

    # -- what the connection asks for

    async def connect(self, broker: Broker, will: mqtt5.Will | None = None) -> bool:
        """Whether the broker has kept a session for us."""
        connack = await self._ask(
            mqtt5.ConnectPacket(
                broker.client_id,
                username=broker.user.replace("{client}", broker.client_id) if broker.user else None,
                password=broker.password.encode() if broker.password is not None else None,
                clean_start=False,
                will=will,
                keep_alive=KEEP_ALIVE_S,
                session_expiry_interval=SESSION_EXPIRY_S,
                receive_max=RECEIVE_MAX,
                max_packet_size=MAX_PACKET_BYTES,
            ).write(),
            mqtt5.ConnAckPacket,
        )
        if connack.reason_code != mqtt5.ConnAckReasonCode.SUCCESS:
            raise ConnectionRefusedError(f"the MQTT broker refused us: {connack.reason_code.name}")
        self._ping()
        return connack.session_present

    async def subscribe(self, filters: Sequence[str], *, present: bool) -> None:
        subscribe = mqtt5.SubscribePacket(
            1, [mqtt5.TopicFilter(f, max_qos=mqtt5.QoS.AT_LEAST_ONCE) for f in filters]
        ).write()
        if present:
            # The session holds the subscription already, and a broker with a full window of unacknowledged messages
            # may not answer before we acknowledge some: a refusal is noticed when it comes.
            self.send(subscribe)
        else:
            await self._ask(subscribe, mqtt5.SubAckPacket)

    def unsubscribe(self, filters: Sequence[str]) -> None:
        # The embedded broker does not confirm this for a shared subscription.
        self.send(mqtt5.UnsubscribePacket(2, list(filters)).write())

    async def ping(self) -> None:
        await self._ask(mqtt5.PingReqPacket().write(), mqtt5.PingRespPacket)

    async def deliver(self, topic: str, payload: bytes) -> str | None:
        async with self._delivering:
            self.raise_if_lost()
            packet = mqtt5.PublishPacket(
                topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=DELIVERY_PACKET_ID
            )
            async with asyncio.timeout(10):
                puback = await self._ask(packet.write(), mqtt5.PubAckPacket)
        refused = puback.reason_code.value >= 128
        return puback.reason_code.name if refused else None

    def send(self, data: bytes) -> None:
        if data and self._transport is not None and self._lost is None:
            self._transport.write(data)

    def close(self) -> None:
        if self._pinger is not None:
            self._pinger.cancel()
        if self._transport is not None:
            self.send(self.last_word)
            self._transport.close()

    def raise_if_lost(self) -> None:
        if self._lost is not None:
            raise ConnectionResetError(f"the MQTT broker is gone: {self._lost}")

    def drained(self, size: int) -> None:
        """`size` bytes of messages have been taken."""
        self._held_bytes -= size
        low = len(self.messages) <= self._MOST_MESSAGES // 2 and self._held_bytes <= self._MOST_BYTES // 2
        if self._paused and low and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    # -- what asyncio tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio.Transport in all but name.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        self._received = wall_now()
        self._buffer += data
        consumed = 0
        # The codec reads from a view, which must be released before the buffer may shrink.
        with memoryview(self._buffer) as view:
            try:
                while True:
                    packet, size = mqtt5.read(view[consumed:])
                    consumed += size
                    self._take(packet)
            except IndexError:
                pass  # the rest of this packet is still on its way
            except ValueError as error:
                self._fail(ConnectionError(f"the broker sent bytes that are not MQTT 5: {error}"))
        del self._buffer[:consumed]

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("it closed the connection"))

    # -- inside

    async def _ask(self, request: bytes, answer: type[Answer]) -> Answer:
        """Send a packet and wait for the one that answers it. Raises what ended the connection meanwhile."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[answer] = future
        self.send(request)
        return await future

    def _take(self, packet: object) -> None:
        match packet:
            case mqtt5.PublishPacket():
                self.messages.append(
                    Message(packet.topic, packet.payload, self._received, packet.packet_id, packet.retain)
                )
                self._held_bytes += len(packet.payload)
                self.arrived.set()
                self._pause_if_full()
            case mqtt5.DisconnectPacket():
                self._fail(ConnectionResetError(f"it said goodbye: {packet.reason_code.name}"))
            case mqtt5.SubAckPacket() if any(code.value >= 128 for code in packet.reason_codes):
                self._fail(ConnectionRefusedError("the MQTT broker refused the subscription"))
            case _:
                future = self._answers.pop(type(packet), None)
                if future is not None and not future.done():
                    future.set_result(packet)

    def _pause_if_full(self) -> None:
        full = len(self.messages) > self._MOST_MESSAGES or self._held_bytes > self._MOST_BYTES
        if full and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _ping(self) -> None:
        """Ask for a sign of life every half keep-alive; two silent intervals end the connection."""
        loop = asyncio.get_running_loop()
        if self._heard_s and loop.time() - self._heard_s > 1.5 * KEEP_ALIVE_S and not self._paused:
            self._fail(TimeoutError(f"no sign of life for {1.5 * KEEP_ALIVE_S:.0f} s"))
            return
        self.send(mqtt5.PingReqPacket().write())
        self._pinger = loop.call_later(KEEP_ALIVE_S / 2, self._ping)

    def _fail(self, error: Exception) -> None:
        if self._lost is None:
            self._lost = error
            for future in self._answers.values():
                if not future.done():
                    future.set_exception(error)
            if self._transport is not None:
                self._transport.abort()
        self.arrived.set()
