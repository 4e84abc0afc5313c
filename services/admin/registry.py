"""The registry, for an integrator's tasks."""

from pathlib import Path

from services.passwords import database_of, installed
from services.settings import PostgresDsn, Settings
from tongluo.county_folder import read_folder
from tongluo.errors import SettingsError
from tongluo.region import County
from tongluo.store.engine import open_store
from tongluo.store.registry import registered


async def county_of(folder: Path | None, settings: Settings) -> County:
    """The county of a folder, else what is registered in the store."""
    if folder is not None:
        return read_folder(folder)
    if isinstance(settings.store, PostgresDsn) or installed(settings.data):
        async with database_of(settings) as dsn, open_store(dsn) as engine:
            found = await registered(engine)
        if found is not None:
            return found
    raise SettingsError(
        "there is no county to read the gateways from: give --county FOLDER, or set TONGLUO_COUNTY, "
        "or TONGLUO_STORE to a database in which one is registered"
    )
