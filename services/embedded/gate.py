"""A gate before the embedded broker: who a gateway is, and what it may publish and hear.

    python -m services.embedded.gate CONFIG NUMBER NAME=DESCRIPTOR...

One of several such processes (NUMBER) that share listening sockets, which they are given open. They end when their
standard input does: with the process that started them.
"""

import asyncio
import logging
import os
import resource
import socket
import ssl
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from services.embedded import packets
from services.embedded.doorkeeper import Complaints, Doorkeeper
from services.embedded.packets import Refused
from services.embedded.visit import Visit

logger = logging.getLogger(__name__)

# Clients that have not been let in yet, per process; further ones wait in the listening sockets' queues.
MOST_ENTERING: Final = 1000
# Connections to the broker that are being opened; its queue of connections is not long.
MOST_OPENING: Final = 64
HANDSHAKE_S: Final = 10.0
RELOAD_S: Final = 1.0
# Files and sockets besides a visit's two.
_OTHER_FILES: Final = 100


class Tls(msgspec.Struct, frozen=True):
    """The files of the certificate we show; with `client_ca`, a client may show one: its common name is its user name."""

    port: int
    certificate: str
    key: str
    client_ca: str | None = None


class Private(msgspec.Struct, frozen=True):
    """Where the broker is, on loopback, for who knows the secret."""

    port: int
    port_v5: int
    user: str
    secret: str


class GateConfig(msgspec.Struct, frozen=True):
    """Where gateways come in and who may. `identities` is the folder of `passwords` and `acl`; None lets anybody in."""

    host: str
    port: int
    port_v5: int
    tls: Tls | None = None
    identities: str | None = None

    @property
    def plain_host(self) -> str:
        """Passwords cross a network in plain text only where there is no TLS to be had."""
        return self.host if self.tls is None else "127.0.0.1"


class GateFile(msgspec.Struct, frozen=True):
    """What a process of the gate is told; a broker's door of its own for each."""

    gate: GateConfig
    private: tuple[Private, ...]


class Gate:
    """Lets clients in, as many as there are files for, and shows them out when they are no longer welcome."""

    def __init__(self, config: GateConfig, private: Private) -> None:
        self.private = private
        self.anonymous = config.identities is None
        self.doorkeeper = Doorkeeper(Path(config.identities or "."))
        self.complaints = Complaints()
        self.opening = asyncio.Semaphore(MOST_OPENING)
        self._tls = config.tls
        self._context: ssl.SSLContext | None = None
        self._certificates: object = None
        self._visits: set[Visit] = set()
        self._settled: defaultdict[str, set[Visit]] = defaultdict(set)
        self._handshakes: set[asyncio.Task[None]] = set()
        self._entering = 0
        self._most = (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES) // 2
        self._room = asyncio.Event()
        self.reload()

    # -- what a visit tells us

    def came(self, visit: Visit) -> None:
        self._visits.add(visit)

    def settled(self, visit: Visit) -> None:
        if visit.identity is not None:
            self._settled[visit.identity.user].add(visit)
        self._left_entrance()

    def left(self, visit: Visit) -> None:
        self._visits.discard(visit)
        user = visit.identity.user if visit.identity is not None else ""
        if visit in self._settled[user]:
            self._settled[user].discard(visit)
            self._room.set()
        else:
            self._left_entrance()
        if not self._settled[user]:
            del self._settled[user]

    # -- what happens by itself

    async def serve(self, listener: socket.socket, *, tls: bool) -> None:
        """Take clients from a listening socket until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            while self._entering >= MOST_ENTERING or len(self._visits) >= self._most:
                self._room.clear()
                await self._room.wait()
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                # Gone again before we took it, or no files left: neither is a reason to serve nobody.
                logger.warning("a connection could not be taken: %s", error)
                await asyncio.sleep(0.1)
                continue
            self._entering += 1
            task = asyncio.ensure_future(self._take(connection, tls=tls))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def keep_up(self) -> None:
        """Take up what has changed in the files, until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_S)
            self.reload()

    def reload(self) -> None:
        self._reload_certificate()
        if self.anonymous or not self.doorkeeper.reload():
            return
        for visit in [visit for visits in self._settled.values() for visit in visits]:
            if visit.identity is not None and not self.doorkeeper.still(visit.identity):
                self.complaints(f"gateway {visit.identity.user}", "its credentials were changed or revoked")
                visit.end(Refused(packets.ADMINISTRATIVE, "revoked"))

    # -- inside

    async def _take(self, connection: socket.socket, *, tls: bool) -> None:
        loop = asyncio.get_running_loop()
        context = self._context if tls else None
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.connect_accepted_socket(
                lambda: Visit(self),
                connection,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_S if tls else None,
            )
        except OSError as error:
            # A visit that was made has left by itself.
            connection.close()
            self._left_entrance()
            if tls:
                self.complaints("a client without a usable TLS handshake", str(error))

    def _left_entrance(self) -> None:
        self._entering -= 1
        self._room.set()

    def _reload_certificate(self) -> None:
        if self._tls is None:
            return
        files = [
            Path(f) for f in (self._tls.certificate, self._tls.key, self._tls.client_ca) if f is not None
        ]
        try:
            stamp = [(file.stat().st_mtime_ns, file.stat().st_ino) for file in files]
            if stamp == self._certificates:
                return
            self._context = server_context(self._tls)
            self._certificates = stamp
        except OSError as error:
            if self._context is None:
                raise
            self.complaints("a new certificate", f"the old one stays: {error}")


def server_context(tls: Tls) -> ssl.SSLContext:
    """Raises OSError (ssl.SSLError among them) when the files are not usable."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certificate, tls.key)
    if tls.client_ca is not None:
        # A gateway without a certificate may still have a password.
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cafile=tls.client_ca)
    return context


async def run(config: GateConfig, private: Private, listeners: Iterable[tuple[str, int]]) -> None:
    """Serve the listening sockets (name, descriptor) until cancelled."""
    gate = Gate(config, private)
    async with asyncio.TaskGroup() as group:
        group.create_task(gate.keep_up())
        for name, number in listeners:
            listener = socket.socket(fileno=number)
            listener.setblocking(False)
            group.create_task(gate.serve(listener, tls=name == "tls"))


def end_with_parent() -> None:
    """End when standard input does.

    At once, and not when its turn comes: to take leave of thousands of connections one by one takes seconds in which
    nobody else can serve them.
    """
    sys.stdin.buffer.read()
    os._exit(0)


def raise_file_limit() -> None:
    """As many open files as the system lets us have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    file, number, *listeners = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s gate: %(message)s")
    raise_file_limit()
    threading.Thread(target=end_with_parent, daemon=True).start()
    told = msgspec.json.decode(Path(file).read_bytes(), type=GateFile)
    named = [(name, int(descriptor)) for name, descriptor in (words.split("=") for words in listeners)]
    uvloop.run(run(told.gate, told.private[int(number)], named))


if __name__ == "__main__":
    main()
