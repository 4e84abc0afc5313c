"""A real TimescaleDB for tests and benchmark, from npm packages: see server.mjs for what it cannot do."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.embedded.ports import free_port
from tongluo.store.engine import sqlalchemy_url

_HERE: Final = Path(__file__).parent
_OWN_NODE: Final = _HERE.parents[1] / ".tools" / "bin" / "node"


def missing() -> str | None:
    """Why there is no TimescaleDB on this machine; None if there is."""
    if _node() is None:
        return "Node is not installed: run `make timescale`"
    if not (_HERE / "node_modules" / ".installed").exists():
        return "the packages of tests/timescale are not installed: run `make timescale`"
    return None


def _node() -> str | None:
    return str(_OWN_NODE) if _OWN_NODE.exists() else shutil.which("node")


@contextmanager
def server(folder: Path | None = None) -> Iterator[str]:
    """The DSN of a server over `folder`, or in memory."""
    fault = missing()
    if fault is not None:
        raise RuntimeError(fault)
    port = free_port()
    command = [str(_node()), str(_HERE / "server.mjs"), str(port), *([str(folder)] if folder else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("the TimescaleDB of the tests did not start: see its words above")
            yield f"postgresql://postgres:any@127.0.0.1:{port}/postgres?sslmode=disable"
        finally:
            process.terminate()


def engine_on(dsn: str) -> AsyncEngine:
    """An engine as this server needs it: one connection, and nothing prepared, as all share one session."""
    return create_async_engine(
        sqlalchemy_url(dsn), pool_size=1, max_overflow=0, connect_args={"prepare_threshold": None}
    )
