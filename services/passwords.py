"""`tongluo password`: a new password for who has lost theirs, for whoever may read the data folder."""

from services.console.accounts import reset_password
from services.settings import Settings
from services.store_visit import visited
from tongluo.errors import SettingsError
from tongluo.store.engine import open_store


async def new_password(settings: Settings, account: str) -> str:
    """Set and return it. Works beside a running program too. Raises SettingsError when there is no such account."""
    async with visited(settings) as dsn, open_store(dsn) as engine:
        password = await reset_password(engine, account)
    if password is None:
        raise SettingsError(f"there is no account {account}")
    return password
