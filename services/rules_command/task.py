"""What the duty room's process and the one that judges hand each other, as files of one folder."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from tongluo.detection import Detection
from tongluo.liveness import StationEvent
from tongluo.region import County

TASK: Final = "task.json"
READINGS: Final = "store.csv"
REPORT: Final = "report.json"
PAGE: Final = "report.html"
ERROR: Final = "error.txt"


class Task(msgspec.Struct, frozen=True):
    """Everything a replay of stored readings needs but those."""

    files: Mapping[str, str]
    against: Mapping[str, str] | None
    begin: datetime
    end: datetime
    truth: str | None
    silences: tuple[StationEvent, ...]
    detections: tuple[Detection, ...]
    county: County | None
    zone: str
