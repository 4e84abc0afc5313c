"""Reading a county's description from a folder: `county.toml` and `divisions.csv`."""

from importlib.resources.abc import Traversable
from pathlib import Path

from tongluo.errors import CountyError
from tongluo.region import County, read_county


def read_folder(folder: Path | Traversable) -> County:
    """Raises CountyError when a file is missing, or with every fault found in them."""
    try:
        toml = folder.joinpath("county.toml").read_text("utf-8")
        divisions = folder.joinpath("divisions.csv").read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise CountyError(str(folder), [f"cannot be read: {error}"]) from error
    return read_county(toml, divisions, source=str(folder.joinpath("county.toml")))
