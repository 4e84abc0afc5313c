"""`tongluo password`: a new password for who has lost theirs, for whoever may read the data folder."""

from contextlib import AsyncExitStack

from services import embedded
from services.console.accounts import reset_password
from services.settings import Embedded, PostgresDsn, Settings
from tongluo.errors import SettingsError
from tongluo.store.engine import open_store


async def new_password(settings: Settings, account: str) -> str:
    """Set and return it. Works beside a running instance too. Raises SettingsError when there is no such account."""
    async with AsyncExitStack() as stack:
        match settings.store:
            case PostgresDsn(dsn):
                pass
            case Embedded():
                if not (settings.data / "postgres" / "PG_VERSION").exists():
                    raise SettingsError(
                        f"there is no installation in {settings.data}: set TONGLUO_DATA to its folder"
                    )
                running = (settings.data / "postgres" / "postmaster.pid").exists()
                server = embedded.postgres(settings.data.resolve(), leave_running=running)
                dsn = await stack.enter_async_context(embedded.in_thread(server))
        engine = await stack.enter_async_context(open_store(dsn))
        password = await reset_password(engine, account)
    if password is None:
        raise SettingsError(f"there is no account {account}")
    return password
