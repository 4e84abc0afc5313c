"""The stream engines that do the same windows as the rules: how each is started, on what rain, and what it must find."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.judging import DAY_ROUNDS
from benchmarks.rain import EVERY_S, START_US, Rain, written
from benchmarks.reference import Changes, Hops, columns, exact, hopping, levels_of_lines, ours, told

ROOT: Final = Path(__file__).resolve().parent.parent
# Up to here a day of rain fills the longest window; what comes then is measured.
WARM_US: Final = START_US + DAY_ROUNDS * EVERY_S * 1_000_000
_WITHIN_S: Final = 1800.0


class Engine(msgspec.Struct, frozen=True):
    """A peer doing it one way. `gauges` and `rounds` (after a day) are what it is given: the slow ones less, which favours
    them. `durable` says what it keeps over a restart."""

    name: str
    folder: str
    way: tuple[str, ...]
    gauges: int
    rounds: int
    exact: bool
    durable: str

    @property
    def python(self) -> Path:
        return ROOT / "build" / "peers" / self.folder / "bin" / "python"

    def missing(self) -> str | None:
        """Why it cannot be run, if it cannot."""
        if (self.python.parent.parent / ".installed").exists():
            return None
        reason = self.python.parent.parent.with_suffix(".missing")
        return (
            reason.read_text().strip()[-500:]
            if reason.exists()
            else "deploy/bootstrap bench-rules was not run"
        )

    def run(self, rain: Path, out: Path, warm_us: int = WARM_US) -> dict[str, Any]:
        """What it says it took: readings, wall_s, cpu_s, peak_mib. Raises RuntimeError with its last words."""
        script = ROOT / "benchmarks" / "peers" / self.folder / "run.py"
        command = [
            str(self.python),
            "-W",
            "ignore",
            str(script),
            *self.way,
            str(rain),
            str(out),
            str(warm_us),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S, check=False)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{self.name}: not done within {_WITHIN_S:.0f} s") from None
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {(done.stderr or done.stdout).strip()[-500:]}")
        found: dict[str, Any] = msgspec.json.decode(done.stdout.splitlines()[-1])
        return found


ENGINES: Final = (
    Engine("csp, exact", "csp", (), 10_000, 40, True, "nothing: it has no durable state"),
    Engine("Bytewax stateful operator, exact", "bytewax", ("exact",), 10_000, 40, True, "recovery store, every 10 s"),
    Engine("Bytewax sliding windows, hop 5 min", "bytewax", ("windows",), 100, 200, False, "recovery store, every 10 s"),
    Engine("PyFlink SQL OVER, exact", "flink", ("exact",), 500, 200, True, "checkpoints, every 10 s"),
    Engine("PyFlink SQL HOP 5 min", "flink", ("windows",), 100, 200, False, "checkpoints, every 10 s"),
)  # fmt: skip


class Agreement(msgspec.Struct):
    """What is right for the rain of the comparison, and who found just that."""

    exact_changes: int
    hop_alarms: int
    agree: dict[str, bool] = {}
    failed: dict[str, str] = {}


def agreement(folder: Path, engines: list[Engine]) -> Agreement:
    """Every engine, and ours, on the same heavy rain, against the reference; each by what it told, not by how many."""
    written(folder, Rain(40, heavy=3.0), 340)
    readings = columns(folder)
    changes, hops = exact(readings), hopping(readings)
    found = Agreement(len(changes), len(hops), {"tongluo": ours(readings) == changes})
    for engine in engines:
        out = folder / "told"
        try:
            engine.run(folder, out, START_US)
        except RuntimeError as error:
            found.failed[engine.name] = str(error)
            continue
        found.agree[engine.name] = _right(engine, changes, hops)(out, readings)
    return found


def _right(
    engine: Engine, changes: Changes, hops: Hops
) -> Callable[[Path, list[tuple[int, int, int]]], bool]:
    if not engine.exact:
        return lambda out, _: told(out) == hops
    if engine.folder == "flink":
        return lambda out, readings: levels_of_lines(told(out), readings) == changes
    return lambda out, _: told(out) == changes
