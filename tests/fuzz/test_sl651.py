"""The fuzzer of SL 651 runs for a bounded number of inputs and finds nothing."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.services.ingest.decoders import sl651_goldens

# More with FUZZ_RUNS=…; never longer than FUZZ_SECONDS.
RUNS = os.environ.get("FUZZ_RUNS", "20000")
SECONDS = os.environ.get("FUZZ_SECONDS", "20")


@pytest.mark.skipif(
    find_spec("atheris") is None, reason="atheris is not installed: uv sync --group fuzz (docs/formats.md)"
)
def test_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in sl651_goldens.NAMES:
        message = sl651_goldens.message(name)
        (corpus / name).write_bytes(b"\x01" + message)
        # The body alone, its function chosen as the fuzzer chooses it.
        (corpus / f"{name}-body").write_bytes(bytes((0, message[10] - 0x2F)) + message[14:-3])
    arguments = [
        f"-runs={RUNS}",
        f"-max_total_time={SECONDS}",
        "-max_len=5000",
        "-timeout=10",
        "-rss_limit_mb=1024",
    ]
    found = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.sl651", *arguments, f"-artifact_prefix={tmp_path}/", str(corpus)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=float(SECONDS) + 120,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-4000:]
    assert "Done" in found.stderr
