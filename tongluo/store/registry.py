"""The registry in the store: every version that ever was, the newest of which holds. Every process reads the same."""

import hashlib
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo import bells
from tongluo.errors import RegistryMoved
from tongluo.region import County
from tongluo.registry.diff import changes, counted
from tongluo.store.engine import ring
from tongluo.store.tables import registry_version

_encoder: Final = msgspec.json.Encoder(order="sorted")
_decoder: Final = msgspec.json.Decoder(County)
_table: Final = registry_version.c

#: The source of what was registered before versions were kept: some folder at some start.
EARLIER_RELEASE: Final = "earlier release"


class Edit(msgspec.Struct, frozen=True):
    """Who changed the registry, from what (a file, a folder, the console) and, in their words, why."""

    who: str
    source: str
    note: str = ""


class Version(msgspec.Struct, frozen=True):
    """One version of the registry. `summary` counts what it added, removed and changed, by kind."""

    no: int
    at: datetime
    who: str
    source: str
    note: str
    digest: str
    summary: dict[str, dict[str, int]]


class Registered(msgspec.Struct, frozen=True):
    """A version with its content."""

    version: Version
    county: County


def digest(county: County) -> str:
    """The same for registries that say the same, in whatever order."""
    return hashlib.sha256(_encoded(county)).hexdigest()


def _encoded(county: County) -> bytes:
    return _encoder.encode(msgspec.to_builtins(county, str_keys=True))


async def registered(engine: AsyncEngine) -> County | None:
    """The registered county, or None on a new store."""
    found = await newest(engine)
    return found.county if found is not None else None


async def newest(engine: AsyncEngine) -> Registered | None:
    """The version that holds, or None on a new store."""
    async with engine.connect() as connection:
        return await _newest(connection)


async def number(engine: AsyncEngine) -> int:
    """The number of the version that holds; 0 on a new store."""
    async with engine.connect() as connection:
        return int(await connection.scalar(text("SELECT coalesce(max(no), 0) FROM registry_version")) or 0)


async def version(engine: AsyncEngine, no: int) -> Registered | None:
    """An earlier version, or None where there is none of that number."""
    async with engine.connect() as connection:
        row = (await connection.execute(select(registry_version).where(_table.no == no))).mappings().first()
    return _registered(row) if row is not None else None


async def history(engine: AsyncEngine, *, before: int | None = None, limit: int = 100) -> list[Version]:
    """Versions without their content, newest first, from the one before `before` on."""
    columns = [column for column in registry_version.columns if column is not _table.description]
    query = select(*columns).order_by(_table.no.desc()).limit(limit)
    if before is not None:
        query = query.where(_table.no < before)
    async with engine.connect() as connection:
        return [_version(row) for row in (await connection.execute(query)).mappings()]


async def apply(engine: AsyncEngine, county: County, edit: Edit, *, over: int, now: datetime) -> Version:
    """Make `county` the registry, as the next version after number `over` (0: the first), and wake every process.

    What differs in nothing makes no new version. Raises RegistryMoved when `over` is no longer the one that holds.
    """
    async with engine.begin() as connection:
        held = await _newest(connection)
        at_no = held.version.no if held is not None else 0
        difference = changes(held.county if held is not None else None, county)
        if at_no == over and held is not None and not difference:
            return held.version
        made = Version(over + 1, now, edit.who, edit.source, edit.note, digest(county), counted(difference))
        if at_no != over or not await _insert(connection, made, county):
            raise RegistryMoved(over)
        await ring(connection, bells.REGISTRY)
    return made


async def take_up(engine: AsyncEngine, county: County, source: str, now: datetime) -> bool:
    """Register what a program was started with, unless the registry has been edited since it came from that source.

    Returns whether the registry is now what the source says. Several processes may do this at once.
    """
    while True:
        held = await newest(engine)
        if held is not None and held.version.digest != digest(county) and await _edited(engine, held, source):
            return not changes(held.county, county)
        try:
            edit = Edit("start", source)
            await apply(engine, county, edit, over=held.version.no if held is not None else 0, now=now)
        except RegistryMoved:
            continue  # another process was faster: look at what it has made
        return True


async def _edited(engine: AsyncEngine, held: Registered, source: str) -> bool:
    """Whether what holds is something else than what last came from the source."""
    async with engine.connect() as connection:
        came: str | None = await connection.scalar(
            select(_table.digest)
            .where(_table.source.in_([source, EARLIER_RELEASE]))
            .order_by(_table.no.desc())
            .limit(1)
        )
    return came != held.version.digest


async def _insert(connection: AsyncConnection, made: Version, county: County) -> bool:
    """False when another transaction was faster: its row of the same number is waited for, and stands."""
    inserted = await connection.execute(
        text(
            "INSERT INTO registry_version (no, at, who, source, note, digest, summary, description) "
            "VALUES (:no, :at, :who, :source, :note, :digest, CAST(:summary AS jsonb), :description) "
            "ON CONFLICT DO NOTHING RETURNING no"
        ),
        {
            **msgspec.structs.asdict(made),
            "summary": msgspec.json.encode(made.summary).decode(),
            "description": zlib.compress(_encoded(county), 9),
        },
    )
    return inserted.first() is not None


async def _newest(connection: AsyncConnection) -> Registered | None:
    query = select(registry_version).order_by(_table.no.desc()).limit(1)
    row = (await connection.execute(query)).mappings().first()
    return _registered(row) if row is not None else None


def _registered(row: RowMapping) -> Registered:
    return Registered(_version(row), _decoder.decode(zlib.decompress(row["description"])))


def _version(row: RowMapping) -> Version:
    names: Sequence[str] = Version.__struct_fields__
    values: dict[str, Any] = {name: row[name] for name in names}
    return Version(**values)
