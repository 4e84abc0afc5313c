"""Snapshots on the disk: whole or not at all, once, where only their digest says, and never more than allowed."""

import base64
import hashlib
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from services.ingest.intake import Intake
from services.ingest.keeper import Keeper
from services.ingest.mqtt import Message
from services.ingest.pipeline import Limits
from services.ingest.snapshots import Snapshots
from tests.conftest import opened_log
from tongluo import testing, wire
from tongluo.clock import EventClock
from tongluo.detection import MAX_SNAPSHOT_BYTES, ImageType, Snapshot
from tongluo.log.port import Batch
from tongluo.reading import Refusal
from tongluo.region import Station, StationKind
from tongluo.topics import DETECTIONS, QUARANTINE

LARGE = 10 * MAX_SNAPSHOT_BYTES


def snapshot(data: bytes) -> Snapshot:
    return Snapshot(hashlib.sha256(data).hexdigest(), ImageType.JPEG, data)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_snapshot_lies_under_its_digest(tmp_path: Path) -> None:
    kept = Snapshots(tmp_path / "snapshots", LARGE).keep(snapshot(b"smoke"))
    digest = hashlib.sha256(b"smoke").hexdigest()
    [file] = files(tmp_path)
    assert file == tmp_path / "snapshots" / digest[:2] / f"{digest}.jpg"
    assert file.read_bytes() == b"smoke"
    assert (kept.digest, kept.type, kept.size_bytes) == (digest, ImageType.JPEG, 5)


def test_twice_is_once(tmp_path: Path) -> None:
    for store in (Snapshots(tmp_path, LARGE), Snapshots(tmp_path, LARGE)):
        first, second = store.keep(snapshot(b"smoke")), store.keep(snapshot(b"smoke"))
        assert first == second
    assert len(files(tmp_path)) == 1


def test_several_writers_of_the_same_picture_leave_one_whole_file(tmp_path: Path) -> None:
    data = os.urandom(MAX_SNAPSHOT_BYTES)
    ready = threading.Barrier(4)

    def write() -> None:
        ready.wait()
        Snapshots(tmp_path, LARGE).keep(snapshot(data))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [file.read_bytes() for file in files(tmp_path)] == [data]


def test_the_folder_is_bounded_and_the_oldest_go(tmp_path: Path) -> None:
    pictures = [snapshot(bytes([n]) * 100_000) for n in range(30)]
    for number, picture in enumerate(pictures):
        # A new program each time: what earlier ones left counts too.
        store = Snapshots(tmp_path, 1_000_000)
        store.keep(picture)
        os.utime(store.path(picture), (number, number))
        assert sum(file.stat().st_size for file in files(tmp_path)) <= 1_000_000
    left = {file.read_bytes()[0] for file in files(tmp_path)}
    assert left == set(range(30 - len(left), 30))
    assert len(left) >= 9


def test_what_a_crash_left_half_written_is_cleared_as_the_folder_fills(tmp_path: Path) -> None:
    half = tmp_path / "00" / ".half"
    half.parent.mkdir()
    half.write_bytes(b"x" * 900_000)
    os.utime(half, (1, 1))
    Snapshots(tmp_path, 1_000_000).keep(snapshot(b"y" * 200_000))
    assert not half.exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"a snapshot cannot be written to .*file"):
        Snapshots(tmp_path / "file", LARGE).keep(snapshot(b"smoke"))


def test_a_bound_that_holds_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least"):
        Snapshots(tmp_path, 1000)


async def test_a_disk_that_takes_no_picture_holds_up_nothing(dsn: str, tmp_path: Path) -> None:
    """The detection is in the log, and the picture's bytes are in quarantine."""
    (tmp_path / "snapshots").write_text("a file where the folder should be")
    county = testing.county()
    camera = Station("C-1", "", StationKind.FIRE_CAMERA, "S-1", "G-1", 28.2, 120.4, ())
    county = msgspec.structs.replace(county, stations={**county.stations, camera.id: camera})
    at = datetime(2026, 7, 1, tzinfo=UTC)
    jpeg = b"\xff\xd8\xff\xe0 smoke"
    sent = {
        "camera": "C-1", "time": at.isoformat(), "kind": "smoke", "confidence": 0.9, "azimuth": 10.0, "cone": 4.0,
        "snapshot": {"data": base64.b64encode(jpeg).decode()},
    }  # fmt: skip
    async with opened_log(dsn) as log:
        intake = Intake(lambda: county, EventClock(at), Limits(None, None), None, "test")
        keeper = Keeper(log, intake, Snapshots(tmp_path / "snapshots", LARGE))
        await keeper.keep([Message("tongluo/v1/G-1/detections", msgspec.json.encode(sent), at)])
        assert sum((await log.ends(DETECTIONS)).values()) == 1
        async with log.join("test", QUARANTINE, commits=False) as consumer:
            found: list[Refusal] = []
            while not found:
                event = await consumer.next(timeout_s=5)
                if isinstance(event, Batch):
                    found += [wire.REFUSAL.decode(entry.value) for entry in event.entries]
    assert [(one.code, one.payload) for one in found] == [("snapshot_not_stored", jpeg)]
