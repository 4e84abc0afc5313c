"""Machine code that is kept is that of the sources as they are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from services.rules.stations import compiled

CALLER = """
from made.called import FACTOR, times
from made.compiled import compiled


@compiled
def run(x):
    return times(x) + FACTOR
"""
CALLED = """
from made.compiled import inlined

FACTOR = {factor}


@inlined
def times(x):
    return {factor} * x
"""
PROGRAM = """
from made import compiled
from made.caller import run

print(run(1), sum(run.stats.cache_hits.values()))
compiled.forget_others()
"""


def test_a_change_in_another_file_is_noticed_and_none_compiles_nothing(tmp_path: Path) -> None:
    package = tmp_path / "made"
    package.mkdir()
    shutil.copy(compiled.__file__, package / "compiled.py")
    (package / "__init__.py").touch()
    (package / "caller.py").write_text(CALLER)

    def run(factor: int) -> str:
        (package / "called.py").write_text(CALLED.format(factor=factor))
        environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    assert [run(2), run(2), run(3), run(3)] == ["4 0", "4 1", "6 0", "6 1"]
    assert len(list((package / "__pycache__").glob("kernels-*"))) == 1
