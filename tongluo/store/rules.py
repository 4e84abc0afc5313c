"""The rule catalogue's files in the store: every version that ever was, the newest of which holds; and those on trial.

What the files say is nothing to the store: whoever takes them up reads them, and may refuse.
"""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import RowMapping, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tongluo import bells
from tongluo.errors import RulesMoved
from tongluo.store.engine import ring
from tongluo.store.tables import rule_shadow, rule_version

Files = Mapping[str, str]

#: Whoever a start is, as opposed to a person.
START: Final = "start"
BUILT_IN: Final = "built in"

_encoder: Final = msgspec.json.Encoder(order="sorted")
_decoder: Final = msgspec.json.Decoder(dict[str, str])
_table: Final = rule_version.c


class Edit(msgspec.Struct, frozen=True):
    """Who changed the rules, from what (a folder, the console, an earlier version) and, in their words, why.

    `reported`: what these files would have done was looked at before.
    """

    who: str
    source: str
    note: str = ""
    reported: bool = False


class Version(msgspec.Struct, frozen=True):
    """One version of the files."""

    no: int
    at: datetime
    who: str
    source: str
    note: str
    digest: str
    reported: bool


class Kept(msgspec.Struct, frozen=True):
    """A version with its files, texts by name."""

    version: Version
    files: dict[str, str]


class Trial(msgspec.Struct, frozen=True):
    """Rules on trial since event time `since`, beside version `against` of those in force."""

    no: int
    since: datetime
    began: datetime
    who: str
    note: str
    digest: str
    against: int
    files: dict[str, str]


class Standing(msgspec.Struct, frozen=True):
    """What there is to take up, by number: the newest version (0: none) and the trial that runs (0: none)."""

    version: int
    trial: int


def digest(files: Files) -> str:
    """The same for the same files."""
    return hashlib.sha256(_encoder.encode(files)).hexdigest()


async def standing(engine: AsyncEngine) -> Standing:
    """The newest numbers, at little cost."""
    async with engine.connect() as connection:
        row = (
            await connection.execute(
                text(
                    "SELECT (SELECT coalesce(max(no), 0) FROM rule_version), "
                    "(SELECT coalesce(max(no), 0) FROM rule_shadow WHERE ended IS NULL)"
                )
            )
        ).one()
    return Standing(row[0], row[1])


async def newest(engine: AsyncEngine) -> Kept | None:
    """The version that holds, or None on a new store."""
    async with engine.connect() as connection:
        return await _newest(connection)


async def version(engine: AsyncEngine, no: int) -> Kept | None:
    """An earlier version, or None where there is none of that number."""
    async with engine.connect() as connection:
        row = (await connection.execute(select(rule_version).where(_table.no == no))).mappings().first()
    return _kept(row) if row is not None else None


async def history(engine: AsyncEngine, *, before: int | None = None, limit: int = 100) -> list[Version]:
    """Versions without their files, newest first, from the one before `before` on."""
    columns = [_table[name] for name in Version.__struct_fields__]
    query = select(*columns).order_by(_table.no.desc()).limit(limit)
    if before is not None:
        query = query.where(_table.no < before)
    async with engine.connect() as connection:
        return [_version(row) for row in (await connection.execute(query)).mappings()]


async def apply(engine: AsyncEngine, files: Files, edit: Edit, *, over: int, now: datetime) -> Version:
    """Make `files` the rules, as the next version after number `over` (0: the first), and wake every process.

    What differs in nothing makes no new version. Raises RulesMoved when `over` is no longer the newest.
    """
    async with engine.begin() as connection:
        held = await _newest(connection)
        at_no = held.version.no if held is not None else 0
        made = Version(over + 1, now, edit.who, edit.source, edit.note, digest(files), edit.reported)
        if at_no == over and held is not None and held.version.digest == made.digest:
            return held.version
        if at_no != over or not await _insert(connection, made, files):
            raise RulesMoved(over)
        await ring(connection, bells.RULES)
    return made


async def take_up(engine: AsyncEngine, files: Files, source: str, now: datetime) -> bool:
    """Make the files of a start the rules, unless somebody has edited them since; whether they are the rules now.

    What a folder once said is not undone by a start without one. Several processes may do this at once.
    """
    while True:
        held = await newest(engine)
        if held is not None and held.version.digest == digest(files):
            return True
        if held is not None and not _gives_way(held.version, source):
            return False
        try:
            over = held.version.no if held is not None else 0
            await apply(engine, files, Edit(START, source), over=over, now=now)
        except RulesMoved:
            continue  # another process was faster: look at what it has made
        return True


def _gives_way(held: Version, source: str) -> bool:
    return held.who == START and (source != BUILT_IN or held.source == BUILT_IN)


async def trial(engine: AsyncEngine) -> Trial | None:
    """The trial that runs."""
    query = select(rule_shadow).where(rule_shadow.c.ended.is_(None))
    async with engine.connect() as connection:
        row = (await connection.execute(query)).mappings().first()
    return _trial(row) if row is not None else None


async def begin_trial(
    engine: AsyncEngine, files: Files, edit: Edit, *, since: datetime, now: datetime
) -> Trial:
    """Put `files` on trial instead of whatever is; what earlier trials found goes."""
    async with engine.begin() as connection:
        # One at a time: the index of running trials would refuse the slower one.
        await connection.execute(text("LOCK TABLE rule_shadow IN SHARE ROW EXCLUSIVE MODE"))
        await _end(connection, edit.who, now)
        await connection.execute(text("DELETE FROM shadow_finding"))
        row = (
            await connection.execute(
                text(
                    "INSERT INTO rule_shadow (since, began, who, note, digest, against, files) VALUES (:since, :now, "
                    ":who, :note, :digest, (SELECT coalesce(max(no), 0) FROM rule_version), :files) RETURNING *"
                ),
                {
                    "since": since, "now": now, "who": edit.who, "note": edit.note, "digest": digest(files),
                    "files": _deflated(files),
                },
            )
        ).mappings().one()  # fmt: skip
        await ring(connection, bells.RULES)
    return _trial(row)


async def end_trial(engine: AsyncEngine, who: str, now: datetime) -> bool:
    """End the trial that runs; False where none does."""
    async with engine.begin() as connection:
        ended = await _end(connection, who, now)
        if ended:
            await ring(connection, bells.RULES)
    return ended


async def _end(connection: AsyncConnection, who: str, now: datetime) -> bool:
    result = await connection.execute(
        text("UPDATE rule_shadow SET ended = :now, ended_by = :who WHERE ended IS NULL"),
        {"now": now, "who": who},
    )
    return result.rowcount > 0


async def report_shown(engine: AsyncEngine, files: Files, who: str, now: datetime) -> None:
    """Note that what these files would have done has been reported."""
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO rule_report (digest, at, who) VALUES (:digest, :at, :who) "
                "ON CONFLICT (digest) DO UPDATE SET at = excluded.at, who = excluded.who"
            ),
            {"digest": digest(files), "at": now, "who": who},
        )


async def was_reported(engine: AsyncEngine, files: Files) -> bool:
    """Whether what these very files would have done has ever been reported."""
    async with engine.connect() as connection:
        return bool(
            await connection.scalar(
                text("SELECT EXISTS (SELECT 1 FROM rule_report WHERE digest = :digest)"),
                {"digest": digest(files)},
            )
        )


async def _insert(connection: AsyncConnection, made: Version, files: Files) -> bool:
    """False when another transaction was faster: its row of the same number is waited for, and stands."""
    inserted = await connection.execute(
        text(
            "INSERT INTO rule_version (no, at, who, source, note, digest, reported, files) "
            "VALUES (:no, :at, :who, :source, :note, :digest, :reported, :files) ON CONFLICT DO NOTHING RETURNING no"
        ),
        {**msgspec.structs.asdict(made), "files": _deflated(files)},
    )
    return inserted.first() is not None


async def _newest(connection: AsyncConnection) -> Kept | None:
    query = select(rule_version).order_by(_table.no.desc()).limit(1)
    row = (await connection.execute(query)).mappings().first()
    return _kept(row) if row is not None else None


def _deflated(files: Files) -> bytes:
    return zlib.compress(_encoder.encode(files), 9)


def _inflated(stored: bytes) -> dict[str, str]:
    return _decoder.decode(zlib.decompress(stored))


def _kept(row: RowMapping) -> Kept:
    return Kept(_version(row), _inflated(row["files"]))


def _version(row: RowMapping) -> Version:
    names: Sequence[str] = Version.__struct_fields__
    values: dict[str, Any] = {name: row[name] for name in names}
    return Version(**values)


def _trial(row: RowMapping) -> Trial:
    values: dict[str, Any] = {name: row[name] for name in Trial.__struct_fields__ if name != "files"}
    return Trial(**values, files=_inflated(row["files"]))
