"""Which county a program serves: the operator's folder, or the one the demonstration comes with."""

import importlib.resources

from services.settings import Settings
from tongluo.county_folder import read_folder
from tongluo.region import County


def chosen(settings: Settings) -> County:
    """TONGLUO_COUNTY's county, else Qingtian with its illustrative coordinates. Raises CountyError."""
    if settings.county is not None:
        return read_folder(settings.county)
    return read_folder(importlib.resources.files("sensors.simulator") / "profiles" / "qingtian")
