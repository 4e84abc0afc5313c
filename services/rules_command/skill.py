"""What the duty room asks before rules are put in force: the stored past judged by them, in a process of its own."""

import asyncio
import logging
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console.replays import ReplayWish, Report
from services.rules.catalogue import read_catalogue
from services.rules.past.study import looks_back
from services.rules_command import stored
from services.rules_command.task import ERROR, PAGE, READINGS, REPORT, TASK, Task
from tongluo.errors import TongluoError
from tongluo.region import County

logger = logging.getLogger(__name__)

#: How much of the way copying the readings is.
_COPYING: Final = 0.2
LOG: Final = "errors.log"


class ReplayFailed(TongluoError):
    """A replay that came to nothing; the message says why."""


async def skill_report(wish: ReplayWish, engine: AsyncEngine, county: County, timezone: str) -> Report:
    """Judge the store's readings by the wished rules and by those in force. Raises ReplayFailed, RuleError.

    Whoever cancels it ends the process that judges.
    """
    catalogues = [
        await asyncio.to_thread(read_catalogue, files, county) for files in (wish.files, wish.in_force)
    ]
    earliest = wish.begin - max(map(looks_back, catalogues))
    with tempfile.TemporaryDirectory(prefix="tongluo-replay-") as name:
        folder = Path(name)
        await stored.copy_out(
            engine, folder / READINGS, earliest, wish.end, lambda share: wish.progress(_COPYING * share)
        )
        task = Task(
            files=wish.files,
            against=wish.in_force if wish.in_force != wish.files else None,
            begin=wish.begin + timedelta(microseconds=1),
            end=wish.end,
            truth=wish.events_csv,
            silences=await stored.silences(engine, earliest, wish.end),
            detections=tuple(await stored.detections(engine, earliest, wish.end)),
            county=county,
            zone=timezone,
        )
        (folder / TASK).write_bytes(await asyncio.to_thread(msgspec.json.encode, task))
        await _worked(folder, wish.progress)
        return Report(msgspec.json.decode((folder / REPORT).read_bytes()), (folder / PAGE).read_text("utf-8"))


async def _worked(folder: Path, progress: Callable[[float], None]) -> None:
    """Run the worker to its end. Raises ReplayFailed."""
    with (folder / LOG).open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.rules_command.worker", str(folder),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    try:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        async for said in process.stdout:
            progress(_COPYING + (1 - _COPYING) * float(said))
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code:
        raise ReplayFailed(_why(folder, code))


def _why(folder: Path, code: int) -> str:
    """What the worker said of its end; else what ended it."""
    told = folder / ERROR
    if told.exists():
        return told.read_text("utf-8")
    said = (folder / LOG).read_text("utf-8", "replace")
    logger.error("the process of a replay ended with %d: %s", code, said)
    last = said.strip().rpartition("\n")[2][-300:]
    return f"the process of the replay ended with {code}: {last or 'it was killed'}"
