"""`tongluo password`: a new password for who has lost theirs, for whoever may read the data folder."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

from services.console.accounts import reset_password
from services.embedded import folder
from services.embedded.postgres import EmbeddedPostgres, postgres
from services.embedded.process import in_thread
from services.settings import Embedded, PostgresDsn, Settings
from tongluo.errors import SettingsError
from tongluo.store.engine import open_store


async def new_password(settings: Settings, account: str) -> str:
    """Set and return it. Works beside a running program too. Raises SettingsError when there is no such account."""
    async with database_of(settings) as dsn, open_store(dsn) as engine:
        password = await reset_password(engine, account)
    if password is None:
        raise SettingsError(f"there is no account {account}")
    return password


@asynccontextmanager
async def database_of(settings: Settings) -> AsyncIterator[str]:
    """The DSN of the installation's store, beside a running program too. Raises SettingsError when there is none."""
    match settings.store:
        case PostgresDsn(dsn):
            yield dsn
        case Embedded():
            async with in_thread(_visited(settings.data)) as found:
                yield found.dsn


def installed(data: Path) -> bool:
    """Whether an embedded store is in this folder."""
    return (data / "postgres" / "PG_VERSION").exists()


def _visited(data: Path) -> AbstractContextManager[EmbeddedPostgres]:
    """The installation's server, left as it is found: running beside its program, or stopped."""
    if not installed(data):
        raise SettingsError(f"there is no installation in {data}: set TONGLUO_DATA to its folder")
    return postgres(data.resolve(), leave_running=folder.user(data) is not None)
