"""Where snapshots lie: a folder of files named by their SHA-256 digest, written whole or not at all, bounded in size.

Nothing a camera says becomes part of a path. The same picture twice is one file. When the folder is full the oldest
pictures go; what was found stays in the log.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

from tongluo.detection import MAX_SNAPSHOT_BYTES, Snapshot, SnapshotRef, snapshot_path

# After a cleaning so much of the bound is in use: room for many before the next.
_CLEANED_TO: Final = 0.9


class Snapshots:
    """Keeps snapshots below `folder`, at most `most_bytes` of them. Blocks: call it in a thread.

    For one thread at a time; several processes may share the folder, each counting what it wrote and what it found.
    Raises ValueError when `most_bytes` could not hold a single snapshot.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        if most_bytes < MAX_SNAPSHOT_BYTES:
            raise ValueError(f"{most_bytes} bytes hold no snapshot: allow at least {MAX_SNAPSHOT_BYTES}")
        self._folder = folder
        self._most_bytes = most_bytes
        self._used_bytes: int | None = None  # counted at the first write

    def path(self, snapshot: Snapshot | SnapshotRef) -> Path:
        """Where a snapshot lies, or would."""
        return snapshot_path(self._folder, snapshot.digest, snapshot.type)

    def keep(self, snapshot: Snapshot) -> SnapshotRef:
        """Write a snapshot unless it is there; safe on the disk when this returns. Raises OSError naming the folder."""
        path = self.path(snapshot)
        kept = SnapshotRef(snapshot.digest, snapshot.type, len(snapshot.data))
        try:
            if not path.exists():
                self._make_room(len(snapshot.data))
                _write_whole(path, snapshot.data)
                self._used_bytes = (self._used_bytes or 0) + len(snapshot.data)
        except OSError as error:
            raise OSError(
                error.errno,
                f"a snapshot cannot be written to {self._folder} ({error.strerror}): make room there, "
                "or let the program write to it",
            ) from error
        return kept

    def _make_room(self, size_bytes: int) -> None:
        if self._used_bytes is None:
            self._used_bytes = sum(size for _, size, _ in self._files())
        if self._used_bytes + size_bytes <= self._most_bytes:
            return
        files = sorted(self._files())
        used = sum(size for _, size, _ in files)
        for _, size, path in files:
            if used + size_bytes <= self._most_bytes * _CLEANED_TO:
                break
            path.unlink(missing_ok=True)
            used -= size
        self._used_bytes = used

    def _files(self) -> list[tuple[float, int, Path]]:
        """When written, how large, and where, of everything here, what a crash left half written among it."""
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("[0-9a-f][0-9a-f]/*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another process has just renamed or removed it
            found.append((status.st_mtime, status.st_size, path))
        return found


def _write_whole(path: Path, data: bytes) -> None:
    """Under another name first, then renamed: a reader, or a crash, never sees half a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
