"""A program of the outside world in a process of its own."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def program(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m MODULE`, its three streams in our hands; it is killed if the test leaves it running."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, "--die-with-parent",
        cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ends(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Exit code and what it said on stderr."""
    assert process.stderr is not None
    async with asyncio.timeout(20):
        said = (await process.stderr.read()).decode()
        return await process.wait(), said
