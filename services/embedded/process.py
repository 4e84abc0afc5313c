"""Processes of ours: entered off the event loop, ended gently."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Final, TypeVar

import psutil

T = TypeVar("T")

_STOP_S: Final = 10.0


@asynccontextmanager
async def in_thread(server: AbstractContextManager[T]) -> AsyncIterator[T]:
    """A blocking context entered and left off the event loop; left also when we are cancelled while it starts."""
    entering = asyncio.ensure_future(asyncio.to_thread(server.__enter__))
    try:
        entered = await asyncio.shield(entering)
    except asyncio.CancelledError:
        await asyncio.wait([entering])
        if entering.exception() is None:
            await asyncio.to_thread(server.__exit__, None, None, None)
        raise
    try:
        yield entered
    finally:
        await asyncio.shield(asyncio.to_thread(server.__exit__, None, None, None))


def lives(pid: int) -> bool:
    """Whether a process is there and not merely waiting to be buried."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def end(pid: int, how: signal.Signals) -> None:
    """End a process, gently first; gone already is fine."""
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        process = psutil.Process(pid)
        os.kill(pid, how)
        try:
            process.wait(_STOP_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_STOP_S)
