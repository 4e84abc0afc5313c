"""Finding a county's description on disk."""

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path

from tongluo.errors import CountyError
from tongluo.region import County, read_county


def from_folder(folder: Path | Traversable) -> County:
    """Read `county.toml` and `divisions.csv` of a folder. Raises CountyError."""
    try:
        toml = folder.joinpath("county.toml").read_text("utf-8")
        divisions = folder.joinpath("divisions.csv").read_text("utf-8")
    except (OSError, ValueError) as error:
        raise CountyError(str(folder), [f"cannot be read: {error}"]) from error
    return read_county(toml, divisions, source=str(folder.joinpath("county.toml")))


def demonstration() -> County:
    """The county the simulator plays: Qingtian, with illustrative coordinates."""
    return from_folder(importlib.resources.files("sensors.simulator") / "profiles" / "qingtian")
