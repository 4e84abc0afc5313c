"""A server as a process that outlives whoever started it, and is ended by its number."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_STOP_S: Final = 20.0


class StackError(Exception):
    """A server cannot be had here; the message names it and the mend."""


def free_port() -> int:
    """A port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(words: Sequence[str], *, why: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a tool to its end; returns what it said. Raises StackError with its last lines."""
    try:
        done = subprocess.run(
            words,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
    except FileNotFoundError as error:
        raise StackError(f"{why}: {words[0]} is not installed") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise StackError(f"{why}: {words[0]} ended with {done.returncode}:\n" + "\n".join(said[-12:]))
    return done.stdout


def start(words: Sequence[str], log: Path, port: int, *, name: str, within_s: float = 60.0) -> int:
    """Start a server that listens on `port`, in a session of its own; returns its process number."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    deadline = time.monotonic() + within_s
    while not listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            said = log.read_text("utf-8", "replace").strip().splitlines()
            raise StackError(f"{name} did not start; its last words, from {log}:\n" + "\n".join(said[-12:]))
        time.sleep(0.1)
    return process.pid


def listens(port: int) -> bool:
    """Whether somebody answers on this port of the loopback."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def lives(pid: int) -> bool:
    """Whether the process is there and is not a finished one that nobody has looked at."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def stop(pid: int, how: signal.Signals = signal.SIGTERM) -> None:
    """End a process, and by force if it takes too long."""
    for wish in (how, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, wish)
        deadline = time.monotonic() + _STOP_S
        while lives(pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        if not lives(pid):
            return
