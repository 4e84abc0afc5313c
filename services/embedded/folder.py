"""The data folder: made, tried, and held by one program at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tongluo.errors import MissingPartError


def prepare_folder(folder: Path) -> Path:
    """Create a folder we can write to. Raises MissingPartError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise MissingPartError(
            f"cannot write to the data folder {folder} ({error.strerror}): "
            "set TONGLUO_DATA to a folder you may write to"
        ) from error
    return folder.resolve()


@contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Hold the data folder's lock. Raises MissingPartError when another program holds it."""
    with (folder / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise MissingPartError(
                f"another Tongluo (process {user(folder)}) is running on {folder}: "
                "stop it, or set TONGLUO_DATA to another folder"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def user(folder: Path) -> str | None:
    """The process id of the program that holds the folder; None when nobody does."""
    try:
        with (folder / ".lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return lock.read().strip() or "?"
    except (FileNotFoundError, NotADirectoryError):
        pass  # nobody has been here yet
    return None
