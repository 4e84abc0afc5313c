"""Files of secrets: read whole, written whole or not at all."""

import os
import tempfile
from pathlib import Path

from tongluo.errors import MissingPartError


def read(path: Path) -> str:
    """The text of a file, empty where there is none yet. Raises MissingPartError."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise MissingPartError(f"cannot read {path} ({error}): correct it, or its owner and mode") from error


def write(path: Path, content: str, mode: int) -> bool:
    """Put `content` in the place of a file, at once, with these access bits; says whether anything changed.

    A file that was there keeps its owner and group where we may give them. Raises MissingPartError.
    """
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        before = path.stat() if path.exists() else None
        if before is not None and path.read_bytes() == content.encode() and before.st_mode & 0o777 == mode:
            return False
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content.encode())
                os.fchmod(number, mode)
                if before is not None and os.geteuid() == 0:
                    os.fchown(number, before.st_uid, before.st_gid)
                file.flush()
                os.fsync(number)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise MissingPartError(
            f"cannot write {path} ({error.strerror}): choose another folder, or make this one writable"
        ) from error
    return True
