"""One client at the gate: its connection to us and ours to the broker for it.

Bytes go on in both directions as they come; where one side takes no more, the other is not read. What is held is
bounded: a CONNECT until it is whole, the head of one packet, and what asyncio's transports hold before they say stop.
"""

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import msgspec

from services.embedded import packets
from services.embedded.doorkeeper import ANONYMOUS, Complaints, Doorkeeper, Identity
from services.embedded.onward import Onward
from services.embedded.packets import Connect, Refused
from services.embedded.warden import Warden

if TYPE_CHECKING:
    from services.embedded.gate import Private

logger = logging.getLogger(__name__)

CONNECT_S: Final = 10.0
# The broker ends a connection that asks for no keep-alive; nobody waits as long as this one.
_LONGEST_KEEP_ALIVE_S: Final = 65_535


class House(Protocol):
    """What a visit needs of its gate."""

    private: "Private"
    anonymous: bool
    doorkeeper: Doorkeeper
    complaints: Complaints
    opening: asyncio.Semaphore

    def came(self, visit: "Visit") -> None: ...
    def settled(self, visit: "Visit") -> None: ...
    def left(self, visit: "Visit") -> None: ...


class Visit(asyncio.Protocol):
    """The client's side."""

    def __init__(self, house: House) -> None:
        self.identity: Identity | None = None
        self._house = house
        self._transport: asyncio.Transport | None = None
        self._certificate = ""
        self._arrived = b""
        self._connect: Connect | None = None
        self._entering: asyncio.Future[None] | None = None
        self._warden: Warden | None = None
        self._broker: Onward | None = None
        self._deadline: asyncio.TimerHandle | None = None

    # -- what asyncio tells us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._certificate = _common_name(transport.get_extra_info("peercert"))
        self._deadline = asyncio.get_running_loop().call_later(CONNECT_S, self._too_late)
        self._house.came(self)

    def data_received(self, data: bytes) -> None:
        if self._warden is not None:
            self._judge(data)
            return
        self._arrived += data
        if self._connect is not None or self._transport is None:
            return
        try:
            read = packets.read_connect(self._arrived)
        except Refused as refusal:
            self._refuse(refusal)
            return
        if read is not None:
            self._connect, size = read
            self._arrived = self._arrived[size:]
            self._transport.pause_reading()
            self._entering = asyncio.ensure_future(self._enter(self._connect))
            self._entering.add_done_callback(self._entered)

    def pause_writing(self) -> None:
        if self._broker is not None:
            self._broker.hold()

    def resume_writing(self) -> None:
        if self._broker is not None:
            self._broker.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._deadline is not None:
            self._deadline.cancel()
        if self._entering is not None:
            self._entering.cancel()
        if self._broker is not None:
            self._broker.close()
        self._house.left(self)

    # -- what the broker's side asks for

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def hold(self) -> None:
        """Read no more from the client. Harmless when that is so already."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def go_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """What has been written still goes out, unless the client does not take it in time."""
        if self._transport is None:
            return
        self._transport.close()
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(CONNECT_S, self._abort)

    def end(self, refusal: Refused) -> None:
        """Say farewell where the protocol has a word for it, and close."""
        if self._broker is not None and self._connect is not None and self._connect.version == packets.V5:
            self._broker.answer(packets.disconnect(refusal.code))
        self.close()

    # -- inside

    @property
    def _name(self) -> str:
        if self.identity is not None and self.identity.user:
            return f"gateway {self.identity.user}"
        where = self._transport.get_extra_info("peername") if self._transport is not None else None
        return f"a client at {where[0] if where else 'an unknown address'}"

    def _complain(self, words: str) -> None:
        self._house.complaints(self._name, words)

    async def _enter(self, connect: Connect) -> None:
        identity = await self._who(connect)
        if identity is None:
            raise Refused(
                packets.BAD_PASSWORD, f"user {(connect.user or '')[:64]!r} with a wrong password, or none"
            )
        self.identity = identity
        if connect.will is not None and not identity.rights.may_publish(connect.will.topic):
            raise Refused(packets.NOT_AUTHORIZED, f"a will for {connect.will.topic[:200]!r}")
        async with self._house.opening:
            await self._open(connect, identity)

    async def _who(self, connect: Connect) -> Identity | None:
        if self._house.anonymous:
            return ANONYMOUS
        if self._certificate:
            # One identity: a user name beside the certificate must be the same.
            if connect.user not in (None, "", self._certificate):
                return None
            return self._house.doorkeeper.certified(self._certificate)
        if connect.user is None or connect.password is None:
            return None
        return await self._house.doorkeeper.admitted(connect.user, connect.password)

    async def _open(self, connect: Connect, identity: Identity) -> None:
        private = self._house.private
        port = private.port_v5 if connect.version == packets.V5 else private.port
        try:
            async with asyncio.timeout(CONNECT_S):
                _, broker = await asyncio.get_running_loop().create_connection(
                    lambda: Onward(self), "127.0.0.1", port
                )
        except (OSError, TimeoutError) as error:
            raise Refused(
                packets.UNAVAILABLE, f"the broker behind the gate does not answer: {error}"
            ) from error
        onward = msgspec.structs.replace(
            connect,
            client_id=_client_id(connect.client_id, identity),
            keep_alive_s=connect.keep_alive_s or _LONGEST_KEEP_ALIVE_S,
            user=private.user,
            password=private.secret.encode(),
        )
        broker.write(packets.write_connect(onward))
        self._broker = broker
        # The broker answers once it has room for this one: only then is it the next one's turn.
        async with asyncio.timeout(CONNECT_S):
            await broker.answered

    def _entered(self, entering: "asyncio.Future[None]") -> None:
        if entering.cancelled() or self._transport is None:
            if self._broker is not None:
                self._broker.close()
            return
        error = entering.exception()
        match error:
            case None:
                if self._deadline is not None:
                    self._deadline.cancel()
                self._settle()
            case Refused():
                self._refuse(error)
            case _:
                # The broker did not answer in time, or closed: the client will come again.
                self._complain(f"no answer from the broker behind the gate ({error!r})")
                self._abort()

    def _settle(self) -> None:
        if self._connect is None or self.identity is None:
            raise AssertionError("nobody settles who has not entered")
        self._house.settled(self)
        self._warden = Warden(self._connect.version, self.identity.rights, self._complain)
        arrived, self._arrived = self._arrived, b""
        # First this: judging may have to stop the reading again.
        self.go_on()
        self._judge(arrived)

    def _judge(self, data: bytes) -> None:
        if (
            self._warden is None
            or self._broker is None
            or self._transport is None
            or self._transport.is_closing()
        ):
            return
        verdict = self._warden.take(data)
        if verdict.forward:
            self._broker.write(verdict.forward)
        if verdict.answer and not self._broker.answer(verdict.answer):
            self._abort()
        if verdict.end is not None:
            self._complain(str(verdict.end))
            self.end(verdict.end)

    def _refuse(self, refusal: Refused) -> None:
        self._complain(str(refusal))
        if self._connect is not None:
            self.write(packets.connack(self._connect.version, refusal.code))
        self.close()

    def _too_late(self) -> None:
        if self._connect is None:
            self._complain(f"no CONNECT within {CONNECT_S:.0f} s")
            self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _client_id(sent: str, identity: Identity) -> str:
    """A session belongs to its user, not to whatever client id was sent: nobody takes over another's.

    An anonymous one keeps its own among its like; ingest, behind the gate, is not reached by any.
    """
    if identity.internal:
        return sent or f"{identity.user}-{secrets.token_hex(8)}"
    return identity.user or (f"~{sent}" if sent else "")


def _common_name(certificate: Any) -> str:
    """The name in a client's certificate, which has been checked; empty where there is none."""
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return str(value)
    return ""
