"""`tongluo admin gateways`: the passwords of the gateways at the embedded broker."""

import argparse

from services.admin.files import read
from services.admin.mosquitto import say
from services.admin.registry import county_of
from services.identities import folder_of, read_credentials, update
from services.settings import Settings
from tongluo.errors import SettingsError


async def run(arguments: argparse.Namespace, settings: Settings) -> None:
    """Bring the credentials up to the registry, say what changed, show what was asked for.

    The gate before the broker reads them within a second. Raises SettingsError, CountyError, MissingPartError.
    """
    out = folder_of(settings.data)
    county = await county_of(None, settings)
    say(out, update(county, out, arguments.rotate))
    known = read_credentials(read(out / "credentials.csv"))
    unknown = [user for user in arguments.show if user not in known]
    if unknown:
        raise SettingsError(f"--show {', '.join(unknown)}: not registered in {county.name}")
    for user in arguments.show:
        print(f"user {user}, password {known[user]}")  # noqa: T201 - a terminal program
    print(f"user and password of every gateway: {out / 'credentials.csv'}")  # noqa: T201
