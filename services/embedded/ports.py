"""TCP ports on loopback: found, claimed, tried."""

import random
import socket
from itertools import cycle
from typing import Final

from tongluo.errors import MissingPartError

# Below the range from which the system takes ports for outgoing connections, so that none of those grabs one of ours
# before it is used. In an order of this process's own and round and round, so that whoever asks twice before using
# either is not given the same port, and two processes hardly ever are.
_PORTS: Final = range(20_000, 32_000)
_order = cycle(random.sample(_PORTS, len(_PORTS)))


def free_port() -> int:
    """A TCP port on loopback that is free at this moment and was not given out here lately."""
    for _ in range(200):
        port = next(_order)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise MissingPartError(
        "no free TCP port between 20000 and 32000: stop some of the programs that use them"
    )


def require_free(port: int, what: str, setting: str, host: str = "127.0.0.1") -> None:
    """Raises MissingPartError naming the setting to change when a port is taken."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise MissingPartError(
                f"port {port} for {what} is not free ({error.strerror}): "
                f"stop the program that uses it, or set {setting} to another port"
            ) from error


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody takes connections on a port; an address that stands for all is tried on loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not listened on
    try:
        with socket.create_connection((host, port), timeout=0.2):
            return True
    except OSError:
        return False
