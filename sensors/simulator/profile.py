"""Which county the simulator plays: one that comes with it, or any folder with the same two files."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from tongluo.county_folder import read_folder
from tongluo.errors import CountyError
from tongluo.region import County


def load_profile(name_or_path: str) -> County:
    """Read `county.toml` and `divisions.csv` of a built-in profile ("qingtian") or of a folder.

    Raises CountyError when either is missing or wrong.
    """
    try:
        return read_folder(_folder(name_or_path))
    except CountyError as error:
        raise CountyError(error.source, [*error.faults, f"built in are: {', '.join(built_in())}"]) from error


def built_in() -> list[str]:
    """Names of the profiles that come with the simulator."""
    return sorted(
        entry.name for entry in _profiles().iterdir() if entry.is_dir() and entry.name[0] not in "_."
    )


def _folder(name_or_path: str) -> Traversable:
    path = Path(name_or_path)
    return path if path.is_dir() else _profiles() / name_or_path


def _profiles() -> Traversable:
    return files("sensors.simulator") / "profiles"
