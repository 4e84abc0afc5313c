"""SL 651 messages written out by hand, field by field, and what they say: tests/golden/sl651."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "golden" / "sl651"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))


def message(name: str) -> bytes:
    lines = (FOLDER / f"{name}.txt").read_text("utf-8").splitlines()
    return bytes.fromhex("".join(line.partition("#")[0] for line in lines))


def expected(name: str) -> list[Any]:
    found: list[Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return found
