"""When an outside program ends: on a signal, after a time, or when the parent that holds its stdin is gone."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def lifetime(*, die_with_parent: bool, seconds: float | None = None) -> AsyncIterator[asyncio.Event]:
    """An event that is set when it is time to end."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    timer = loop.call_later(seconds, ended.set) if seconds is not None else None
    if die_with_parent:
        threading.Thread(target=_await_end_of_stdin, args=(loop, ended), daemon=True).start()
    try:
        yield ended
    finally:
        if timer is not None:
            timer.cancel()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _await_end_of_stdin(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    # Unbuffered and in a thread: it serves pipes, terminals and /dev/null alike, and holds no lock at exit.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop has ended before us
        loop.call_soon_threadsafe(ended.set)
