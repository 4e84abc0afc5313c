"""Reaching the store of an installation from a command of its own, beside a running program or without one."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

from services.embedded import folder
from services.embedded.postgres import EmbeddedPostgres, postgres
from services.embedded.process import in_thread
from services.settings import Embedded, PostgresDsn, Settings
from tongluo.errors import SettingsError


def is_installed(settings: Settings) -> bool:
    """Whether there is a store to visit; one that is far away is taken to be there."""
    return settings.store != Embedded() or (settings.data / "postgres" / "PG_VERSION").exists()


@asynccontextmanager
async def visited(settings: Settings) -> AsyncIterator[str]:
    """The store's DSN. Our own server is started for the while where its program is stopped. Raises SettingsError."""
    match settings.store:
        case PostgresDsn(dsn):
            yield dsn
        case Embedded():
            async with in_thread(_own(settings)) as found:
                yield found.dsn


def _own(settings: Settings) -> AbstractContextManager[EmbeddedPostgres]:
    """The installation's server, left as it is found: running beside its program, or stopped."""
    data: Path = settings.data
    if not is_installed(settings):
        raise SettingsError(f"there is no installation in {data}: set TONGLUO_DATA to its folder")
    return postgres(data.resolve(), leave_running=folder.user(data) is not None)
