"""The program as people run it: a process of its own, on free ports, that can be killed."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from services.embedded.ports import free_port
from tests.conftest import TOKEN


class Command:
    """`tongluo COMMAND` with its own data folder and ports, which stay the same over restarts."""

    def __init__(self, data: Path, *arguments: str, **environment: str) -> None:
        self.http_port, self.mqtt_port, self.mqtt5_port = (free_port() for _ in range(3))
        self.data = data
        self._arguments = arguments
        self.environment = {
            # Whatever the developer has set for a program of their own is not for this one.
            **{name: value for name, value in os.environ.items() if not name.startswith("TONGLUO_")},
            "TONGLUO_DATA": str(data),
            "TONGLUO_HTTP_PORT": str(self.http_port),
            "TONGLUO_MQTT_PORT": str(self.mqtt_port),
            "TONGLUO_MQTT5_PORT": str(self.mqtt5_port),
            # Tests of who may come in say so; to the others gateways are anonymous.
            "TONGLUO_MQTT_ANONYMOUS": "yes",
            "TONGLUO_ADMIN_TOKEN": TOKEN,
            **environment,
        }
        self.process: subprocess.Popen[str] | None = None
        self.output: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def start(self, ready: str = r"\] ready|ready;", timeout_s: float = 60.0) -> float:
        """Start it and wait for a line that matches `ready`; returns the seconds it took."""
        began = time.monotonic()
        self.output = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services", *self._arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        self.wait_for(ready, timeout_s)
        return time.monotonic() - began

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.output.append(line.rstrip())

    def wait_for(self, pattern: str, timeout_s: float = 30.0) -> re.Match[str]:
        deadline = time.monotonic() + timeout_s
        while True:
            for line in list(self.output):
                found = re.search(pattern, line)
                if found:
                    return found
            ended = self.process is not None and self.process.poll() is not None
            time.sleep(0.05)
            said = f"no {pattern!r} in:\n" + "\n".join(self.output)
            assert not ended, said
            assert time.monotonic() < deadline, said

    async def started(self) -> float:
        return await asyncio.to_thread(self.start)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def interrupt(self, timeout_s: float = 20.0) -> int:
        """Ctrl-C; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout_s)

    def left_behind(self) -> list[str]:
        """Command lines of processes that still belong to this data folder."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = " ".join(process.info["cmdline"] or [])
            if str(self.data) in words or str(self.data) in (process.info["cwd"] or ""):
                found.append(words)
        return found

    def end(self) -> None:
        """Whatever the test did, leave nothing running."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = " ".join(process.info["cmdline"] or [])
            if str(self.data) in words or str(self.data) in (process.info["cwd"] or ""):
                process.kill()


@contextmanager
def command(data: Path, *arguments: str, **environment: str) -> Iterator[Command]:
    found = Command(data, *arguments, **environment)
    try:
        yield found
    finally:
        found.end()
