"""What machine a figure was measured on, and the one line every benchmark ends with."""

import json
import os
import platform
import statistics
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system: enough to judge a figure by."""
    cpu = Path("/proc/cpuinfo")
    model = platform.processor() or platform.machine()
    if cpu.exists():
        model = next(
            (ln.split(":", 1)[1].strip() for ln in cpu.read_text().splitlines() if "model name" in ln), model
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def spread(values: list[float]) -> dict[str, float]:
    return {
        "min": round(min(values), 2),
        "median": round(statistics.median(values), 2),
        "max": round(max(values), 2),
        "runs": len(values),
    }


def closing_line(**figures: Any) -> None:
    """The last line of every benchmark: JSON for programs."""
    print(json.dumps({**figures, "machine": machine()}, ensure_ascii=False))
