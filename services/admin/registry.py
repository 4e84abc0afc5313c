"""The registry, for an integrator's tasks."""

from pathlib import Path

from services.settings import Settings
from services.store_visit import is_installed, visited
from tongluo.county_folder import read_folder
from tongluo.errors import SettingsError
from tongluo.region import County
from tongluo.store.engine import open_store
from tongluo.store.registry import registered


async def county_of(folder: Path | None, settings: Settings) -> County:
    """The county of a folder that was named, else the registered one, else that of TONGLUO_COUNTY.

    What is registered comes before the setting: it may have been edited since.
    """
    if folder is not None:
        return read_folder(folder)
    if is_installed(settings):
        async with visited(settings) as dsn, open_store(dsn) as engine:
            found = await registered(engine)
        if found is not None:
            return found
    if settings.county is not None:
        return read_folder(settings.county)
    raise SettingsError(
        "there is no county to read the gateways from: give --county FOLDER, or set TONGLUO_COUNTY, "
        "or TONGLUO_STORE to a database in which one is registered"
    )
