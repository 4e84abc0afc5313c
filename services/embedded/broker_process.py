"""The embedded broker's process: rumqttd from the `iotcore` wheel, and the gate's processes before it.

    python -m services.embedded.broker_process FOLDER

FOLDER holds `gate.json` and `rumqttd.toml`. It outlives the program that started it; the gate's processes end with it.
One of those that dies is started again, and its gateways come back; with the broker itself all of it ends.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec
from iotcore import IotCoreBroker

from services.embedded.gate import GateConfig, GateFile, raise_file_limit
from services.embedded.ports import accepts

_START_S: Final = 10.0
_BACKLOG: Final = 4096
Worker = subprocess.Popen[bytes]


def run_broker(config: Path) -> None:
    """Does not come back while the broker runs."""
    # rumqttd reports every packet as an error record: only what is critical may reach its log file.
    logging.disable(logging.ERROR)
    try:
        IotCoreBroker(config_path=str(config)).run_forever()
    finally:
        print("the broker has ended", file=sys.stderr, flush=True)  # noqa: T201 - into our log file
        os._exit(1)


def listening(config: GateConfig) -> dict[str, socket.socket]:
    """The sockets gateways connect to, by name. Raises OSError."""
    places = {"plain": (config.plain_host, config.port), "plain_v5": (config.plain_host, config.port_v5)}
    if config.tls is not None:
        places["tls"] = (config.host, config.tls.port)
    return {
        name: socket.create_server(
            place, family=socket.AF_INET6 if ":" in place[0] else socket.AF_INET, backlog=_BACKLOG
        )
        for name, place in places.items()
    }


def start_worker(folder: Path, number: int, listeners: dict[str, socket.socket]) -> Worker:
    """A process of the gate."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and our own program
        [
            *(sys.executable, "-m", "services.embedded.gate", str(folder / "gate.json"), str(number)),
            *(f"{name}={listener.fileno()}" for name, listener in listeners.items()),
        ],
        stdin=subprocess.PIPE,
        pass_fds=[listener.fileno() for listener in listeners.values()],
    )


def main() -> None:
    folder = Path(sys.argv[1])
    raise_file_limit()
    told = msgspec.json.decode((folder / "gate.json").read_bytes(), type=GateFile)
    workers: list[Worker] = []

    def stop(number: int, frame: FrameType | None) -> None:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()
        os._exit(0)

    threading.Thread(target=run_broker, args=(folder / "rumqttd.toml",), daemon=True).start()
    deadline = time.monotonic() + _START_S
    while not all(accepts(door.port) and accepts(door.port_v5) for door in told.private):
        if time.monotonic() > deadline:
            raise SystemExit("the broker behind the gate does not listen")
        time.sleep(0.02)
    listeners = listening(told.gate)
    signal.signal(signal.SIGTERM, stop)
    workers += [start_worker(folder, number, listeners) for number in range(len(told.private))]
    while True:
        time.sleep(0.5)
        for number, worker in enumerate(workers):
            if worker.poll() is not None:
                print(f"gate {number} has ended ({worker.returncode}): starting it again", file=sys.stderr)  # noqa: T201
                workers[number] = start_worker(folder, number, listeners)


if __name__ == "__main__":
    main()
