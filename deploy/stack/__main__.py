"""python -m deploy.stack up | stop | status"""

import json
import os
import signal
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from deploy.stack import kafka, mosquitto, postgres
from deploy.stack.process import StackError, lives, stop

ROOT: Final = Path(__file__).parents[2]
# Beside the checkout's own name, not in it: PostgreSQL's user must be able to come here.
FOLDER: Final = Path(
    os.environ.get("TONGLUO_STACK")
    or Path(tempfile.gettempdir()) / f"tongluo-stack-{os.getuid()}-{zlib.crc32(str(ROOT).encode()):08x}"
)
STATE: Final = FOLDER / "stack.json"

Servers = dict[str, dict[str, Any]]


def _mosquitto() -> dict[str, Any]:
    pid, port = mosquitto.launch(FOLDER / "mosquitto")
    return {"pid": pid, "addresses": {"mqtt": f"mqtt://127.0.0.1:{port}"}}


def _postgres() -> dict[str, Any]:
    pid, port = postgres.launch(FOLDER / "postgres")
    return {"pid": pid, "addresses": {"store": f"postgresql://{postgres.USER}@127.0.0.1:{port}/postgres"}}


def _kafka() -> dict[str, Any]:
    pid, addresses = kafka.launch(FOLDER / "kafka")
    return {"pid": pid, "addresses": addresses}


PARTS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "mosquitto": _mosquitto,
    "postgres": _postgres,
    "kafka": _kafka,
}


def up(say: Callable[[str], None]) -> tuple[Servers, dict[str, str]]:
    """Start what is not running; returns the servers, and the reasons for those that cannot be had."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    FOLDER.chmod(0o755)
    servers, missing = running(), {}
    for name, launch in PARTS.items():
        if name in servers:
            continue
        say(f"starting {name}")
        try:
            servers[name] = launch()
        except StackError as error:
            missing[name] = str(error)
        _write(servers)
    return servers, missing


def running() -> Servers:
    """The servers that were started and still live."""
    if not STATE.exists():
        return {}
    known: Servers = json.loads(STATE.read_text())
    return {name: server for name, server in known.items() if lives(server["pid"])}


def down(say: Callable[[str], None]) -> None:
    """End what runs; the data stays."""
    for name, server in running().items():
        say(f"stopping {name}")
        # PostgreSQL's fast shutdown is SIGINT; SIGTERM would wait for every client to leave.
        stop(server["pid"], signal.SIGINT if name == "postgres" else signal.SIGTERM)
    STATE.unlink(missing_ok=True)


def _write(servers: Servers) -> None:
    STATE.touch(0o600)
    STATE.write_text(json.dumps(servers))


def _print(servers: Servers) -> None:
    addresses = {key: value for server in servers.values() for key, value in server["addresses"].items()}
    for key, value in addresses.items():
        if key in ("mqtt", "store", "log"):
            print(f"export TONGLUO_{key.upper()}={value}")


def main(words: list[str]) -> int:
    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    match words:
        case ["up"]:
            servers, missing = up(say)
            _print(servers)
            for reason in missing.values():
                say(reason)
            return 1 if missing else 0
        case ["stop"]:
            down(say)
            return 0
        case ["status"]:
            servers = running()
            _print(servers)
            say(", ".join(servers) or "nothing is running")
            return 0
        case _:
            say(__doc__ or "")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
