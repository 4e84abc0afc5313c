"""A replay in a process of its own, so that the duty room's never waits for it: a folder in, a report in that folder out.

`python -m services.rules_command.worker FOLDER` reads `task.json` and `store.csv` there, says how far it is on standard
output, one share a line, and writes `report.json` and `report.html`; or `error.txt`, with exit code 1.
"""

import os
import sys
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from services.rules.past.html import html
from services.rules.past.report import report_json
from services.rules_command.history import opened
from services.rules_command.judging import Wish, study
from services.rules_command.task import ERROR, PAGE, READINGS, REPORT, TASK, Task
from tongluo.errors import TongluoError
from tongluo.readings import microseconds

_COURTEOUS: Final = 10


def main() -> int:
    """Returns the exit code."""
    folder = Path(sys.argv[1])
    # Who is to be warned goes first.
    os.nice(_COURTEOUS)
    task = msgspec.json.decode((folder / TASK).read_bytes(), type=Task)
    try:
        _work(folder, task)
    except TongluoError as error:
        (folder / ERROR).write_text(str(error), "utf-8")
        return 1
    return 0


def _work(folder: Path, task: Task) -> None:
    wish = Wish(
        files=task.files,
        against=task.against,
        source="store",
        begin=task.begin,
        end=task.end,
        truth=task.truth,
        silences=task.silences,
        zone=ZoneInfo(task.zone),
    )
    with opened() as history:
        history.take(folder / READINGS)
        history.arrange(microseconds(task.end))
        found = study(history, task.county, wish, lambda county: task.detections, _tell)
    (folder / REPORT).write_bytes(msgspec.json.encode(report_json(found)))
    (folder / PAGE).write_text(html(found), "utf-8")


def _tell(share: float) -> None:
    sys.stdout.write(f"{share:.4f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
