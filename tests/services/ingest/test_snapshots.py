"""Snapshots on the disk: whole or not at all, once, where only their digest says, and never more than allowed."""

import hashlib
import os
import threading
from pathlib import Path

import pytest

from services.ingest.snapshots import Snapshots
from tongluo.detection import MAX_SNAPSHOT_BYTES, ImageType, Snapshot

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
