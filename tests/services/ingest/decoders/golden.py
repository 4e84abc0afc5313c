"""Golden messages: bytes as a gateway sends them, and beside each what must come of them."""

import json
from pathlib import Path
from typing import Any

from services.ingest.observation import Observation, Refused

FOLDER = Path(__file__).parents[3] / "golden"


def messages(kind: str) -> list[Path]:
    """The golden messages of a format: `NAME.hex` or `NAME.json`, each with its `NAME.expected`."""
    found = sorted(path for path in (FOLDER / kind).iterdir() if path.suffix in (".hex", ".json"))
    assert found, f"no golden messages in {FOLDER / kind}"
    return found


def payload(message: Path) -> bytes:
    data = message.read_bytes()
    return data if message.suffix == ".json" else bytes.fromhex(data.decode("ascii"))


def expected(message: Path) -> Any:
    return json.loads(message.with_suffix(".expected").read_text("utf-8"))


def summary(found: list[Observation | Refused]) -> list[list[Any]]:
    """What was found, in the words of the expectation: readings, and the codes of refusals."""
    return [
        ["refused", item.code]
        if isinstance(item, Refused)
        else [item.station, item.metric, item.time.isoformat(), item.value, item.unit]
        for item in found
    ]
