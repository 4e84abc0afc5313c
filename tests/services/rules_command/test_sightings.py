"""Detections from a file: as gateways send them, of registered cameras, every bad line named."""

import json
from pathlib import Path

import msgspec
import pytest

from services.rules_command.history import HistoryError
from services.rules_command.sightings import read
from tongluo import testing
from tongluo.detection import Sign

_COUNTY = testing.county()
COUNTY = msgspec.structs.replace(
    _COUNTY, stations={**_COUNTY.stations, "C-1": msgspec.structs.replace(_COUNTY.stations["R-1"], id="C-1")}
)
SEEN = {
    "camera": "C-1",
    "time": "2026-07-01T10:15:00+08:00",
    "kind": "smoke",
    "confidence": 0.7,
    "azimuth": 131.5,
    "cone": 4.0,
    "track": "t1",
    "snapshot": {"data": "bm8gcGljdHVyZQ=="},
}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "seen.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines) + "\n")
    return path


def test_a_line_is_a_detection_of_its_cameras_site(tmp_path: Path) -> None:
    [one] = read(written(tmp_path, SEEN, ""), COUNTY)
    assert (one.camera, one.site, one.gateway, one.kind) == ("C-1", "S-1", "G-1", Sign.SMOKE)
    assert (one.azimuth_deg, one.cone_deg, one.track, one.snapshot) == (131.5, 4.0, "t1", None)
    assert one.time.isoformat() == "2026-07-01T02:15:00+00:00"


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, SEEN, "smoke!", {**SEEN, "camera": "C-9"}, SEEN, {**SEEN, "azimuth": 400})
    with pytest.raises(HistoryError) as told:
        read(path, COUNTY)
    assert [line.split(":")[1] for line in str(told.value).splitlines()[1:]] == ["2", "3", "5"]
    assert "C-9" in str(told.value)
