"""Reading a county's description from a folder: `county.toml`, and `divisions.csv` unless the divisions are in it."""

from importlib.resources.abc import Traversable
from pathlib import Path

from tongluo.errors import CountyError
from tongluo.region import County
from tongluo.registry import File, propose


def read_folder(folder: Path | Traversable) -> County:
    """Raises CountyError when a file is missing, or with every fault found in them."""
    try:
        files = [File("county.toml", folder.joinpath("county.toml").read_bytes())]
        if (divisions := folder.joinpath("divisions.csv")).is_file():
            files.append(File("divisions.csv", divisions.read_bytes()))
    except OSError as error:
        raise CountyError(str(folder), [f"cannot be read: {error}"]) from error
    proposal = propose(None, files)
    if proposal.county is None:
        raise CountyError(str(folder), [str(fault) for fault in proposal.faults if not fault.warning])
    return proposal.county
