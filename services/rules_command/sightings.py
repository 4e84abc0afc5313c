"""Detections of cameras from a file: the JSON that gateways send, one a line."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from services.ingest.decoders import detections
from services.ingest.observation import Sighting
from services.rules_command.files import MOST_FAULTS
from services.rules_command.history import HistoryError
from tongluo.detection import Detection
from tongluo.region import County

MOST_LINE_BYTES: Final = 1024 * 1024
#: A long season of a county's cameras; they are held in memory.
MOST: Final = 1_000_000
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read(path: Path, county: County) -> list[Detection]:
    """Every detection of a registered camera. Raises HistoryError with the faults of the first lines that have any."""
    found: list[Detection] = []
    faults: list[str] = []
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MOST_LINE_BYTES):
                number += 1
                if line.strip():
                    one = _detection(line, county)
                    if isinstance(one, str):
                        faults.append(f"{path}:{number}: {one}")
                    else:
                        found.append(one)
                if len(found) > MOST:
                    raise HistoryError(f"{path}: more than {MOST} detections")
    except OSError as error:
        raise HistoryError(f"{path}: cannot be read: {error.strerror}") from error
    if faults:
        more = f"\n  and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        listed = "\n".join(f"  - {fault}" for fault in faults[:MOST_FAULTS])
        raise HistoryError(f"the detections cannot be used:\n{listed}{more}")
    return found


def _detection(line: bytes, county: County) -> Detection | str:
    """A line's detection, or what is wrong with it. A picture that comes with it is not looked at."""
    for one in detections.decode(line, _NEVER):
        if not isinstance(one, Sighting):
            return one.reason.en
        camera = county.stations.get(one.station)
        if camera is None:
            return f"camera {one.station[:60]!r} is not registered"
        return Detection(
            camera.id,
            one.kind,
            one.time,
            one.confidence,
            one.azimuth_deg,
            one.cone_deg,
            camera.site,
            camera.gateway,
            one.track,
        )
    return "holds no detection"
