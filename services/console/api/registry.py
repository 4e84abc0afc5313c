"""What is registered: looked at by everybody, changed by administrators; every change is a version of its own."""

import asyncio
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response

from services.console import registry_words as words
from services.console.accounts import Account
from services.console.problems import Problem
from services.console.room import Administrator, Entered, InRoom, Room
from tongluo.clock import wall_now
from tongluo.errors import RegistryMoved
from tongluo.reading import storable
from tongluo.region import County
from tongluo.registry import File, Proposal, changes, head_of, propose, put, remove
from tongluo.registry.export import to_csv, to_geojson, to_toml, to_zip
from tongluo.registry.kinds import KINDS, Kind
from tongluo.store import registry
from tongluo.store.registry import Edit, Registered, Version

router = APIRouter(prefix="/registry", tags=["registry"])

#: Ten times what a county has; a larger one is read in a second or two. The command line takes more.
_MOST_ROWS: Final = 20_000
#: How often an edit of one entry is tried again while others edit other entries.
_TRIES: Final = 5

Note = Annotated[str, Query(max_length=1000, description="why, for the history")]
Replace = Annotated[bool, Query(description="what the file does not name is removed")]
FileName = Annotated[str, Query(min_length=1, max_length=255, description="as the file is called")]
Over = Annotated[int, Query(ge=0, description="the version the change was looked at against")]


class Table(StrEnum):
    """What is edited one by one."""

    GATEWAYS = "gateways"
    SITES = "sites"
    STATIONS = "stations"
    RESPONDERS = "responders"

    @property
    def kind(self) -> Kind:
        return KINDS[self.value.removesuffix("s")]


class Form(StrEnum):
    """What the registry is written out as; CSV files come in one zip archive."""

    TOML = "toml"
    CSV = "csv"
    GEOJSON = "geojson"


@router.get("")
async def current(room: InRoom, account: Entered) -> dict[str, Any]:
    """Everything registered, and the version it is."""
    held = await _held(room)
    tables = {
        name: [msgspec.to_builtins(entry) for entry in getattr(held.county, name).values()]
        for name in ("divisions", *Table)
    }
    return {
        "version": words.version(held.version),
        "county": msgspec.to_builtins(head_of(held.county)),
        **tables,
    }


@router.post("/check")
async def check(
    room: InRoom, account: Entered, request: Request, filename: FileName, replace: Replace = False
) -> dict[str, Any]:
    """Every fault of a file (the request's body), by line; changes nothing."""
    proposal = await _proposal(await _held(room), request, filename, replace)
    return {"well": proposal.county is not None, "faults": words.faults(proposal.faults)}


@router.post("/diff")
async def diff(
    room: InRoom, account: Entered, request: Request, filename: FileName, replace: Replace = False
) -> dict[str, Any]:
    """What a file would change, and the version it was compared with; changes nothing."""
    held = await _held(room)
    proposal = await _proposal(held, request, filename, replace)
    return {
        "version": held.version.no,
        "well": proposal.county is not None,
        "faults": words.faults(proposal.faults),
        "changes": words.changes(proposal.changes),
    }


@router.post("/import")
async def import_file(
    room: InRoom,
    account: Administrator,
    request: Request,
    filename: FileName,
    version: Over,
    replace: Replace = False,
    note: Note = "",
) -> dict[str, Any]:
    """Lay a file over version `version` of the registry; 409 when another one holds by now, 422 with every fault."""
    held = await _at(room, version)
    proposal = await _proposal(held, request, filename, replace)
    if proposal.county is None:
        raise words.refused(422, proposal.faults)
    return await _applied(room, proposal.county, _edit(account, f"file {filename}", note), held)


@router.get("/export")
async def export(
    room: InRoom,
    account: Entered,
    form: Annotated[Form, Query(alias="format")],
    version: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """The registry as a file that reads back as it is."""
    found = await (_held(room) if version is None else _earlier(room, version))
    county, name = found.county, f"registry-{found.county.code}-{found.version.no}"
    match form:
        case Form.TOML:
            content, media, suffix = to_toml(county).encode(), "application/toml", "toml"
        case Form.GEOJSON:
            content, media, suffix = to_geojson(county).encode(), "application/geo+json", "geojson"
        case Form.CSV:
            content, media, suffix = to_zip(to_csv(county)), "application/zip", "zip"
    headers = {"content-disposition": f'attachment; filename="{name}.{suffix}"'}
    return Response(content, media_type=media, headers=headers)


@router.get("/history")
async def history(
    room: InRoom,
    account: Entered,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> dict[str, Any]:
    """Versions, newest first, from the one before `before` on."""
    found = await registry.history(room.engine, before=before, limit=limit)
    return {"items": [words.version(each) for each in found]}


@router.get("/history/{no}")
async def one_version(no: int, room: InRoom, account: Entered) -> dict[str, Any]:
    """A version: what it changed, and what restoring it would change now."""
    found, held = await _earlier(room, no), await _held(room)
    before = await registry.version(room.engine, no - 1)
    return {
        "version": words.version(found.version),
        "changes": words.changes(changes(before.county if before is not None else None, found.county)),
        "current": held.version.no,
        "restoring": words.changes(changes(held.county, found.county)),
    }


@router.post("/restore/{no}")
async def restore(
    no: int, room: InRoom, account: Administrator, version: Over, note: Note = ""
) -> dict[str, Any]:
    """Make an earlier version the newest again, over version `version`; 409 when another one holds by now."""
    held, found = await _at(room, version), await _earlier(room, no)
    return await _applied(room, found.county, _edit(account, f"version {no}", note), held)


@router.get("/{table}/{key}")
async def entry(table: Table, key: str, room: InRoom, account: Entered, response: Response) -> dict[str, Any]:
    """One entry; its `ETag` goes into the `If-Match` of who changes it."""
    found = getattr((await _held(room)).county, table).get(key)
    if found is None:
        raise Problem(404, f"{table.kind.name} {key} is not registered")
    response.headers["etag"] = words.etag(found)
    return dict(msgspec.to_builtins(found))


@router.put("/{table}/{key}")
async def put_entry(
    table: Table,
    key: str,
    fields: dict[str, Any],
    room: InRoom,
    account: Administrator,
    response: Response,
    if_match: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
    note: Note = "",
) -> dict[str, Any]:
    """Register an entry (`If-None-Match: *`) or change all of it (`If-Match` with its ETag); 412 when it is no longer so."""
    if if_match is None and if_none_match != "*":
        raise Problem(
            428,
            "say what is being changed: If-Match with the entry's ETag, or If-None-Match: * for a new one",
        )
    for _ in range(_TRIES):
        held = await _held(room)
        before = getattr(held.county, table).get(key)
        _must_match(table, key, before, if_match)
        proposal = put(held.county, table.kind, key, fields)
        if proposal.county is None:
            raise words.refused(422, proposal.faults)
        try:
            made = await _apply(room, proposal.county, _edit(account, "console", note), held)
        except RegistryMoved:
            continue
        after = getattr(proposal.county, table)[key]
        response.status_code = 201 if before is None else 200
        response.headers["etag"] = words.etag(after)
        return {
            "entry": msgspec.to_builtins(after),
            "version": made.no,
            "faults": words.faults(proposal.faults),
        }
    raise Problem(409, "others are changing the registry just now: try again")


@router.delete("/{table}/{key}", status_code=204)
async def remove_entry(
    table: Table,
    key: str,
    room: InRoom,
    account: Administrator,
    if_match: Annotated[str | None, Header()] = None,
    note: Note = "",
) -> None:
    """Take an entry out; 409 while others need it."""
    if if_match is None:
        raise Problem(428, "say what is being removed: If-Match with the entry's ETag")
    for _ in range(_TRIES):
        held = await _held(room)
        before = getattr(held.county, table).get(key)
        if before is None:
            raise Problem(404, f"{table.kind.name} {key} is not registered")
        _must_match(table, key, before, if_match)
        proposal = remove(held.county, table.kind, key)
        if proposal.county is None:
            raise words.refused(409, proposal.faults)
        try:
            await _apply(room, proposal.county, _edit(account, "console", note), held)
        except RegistryMoved:
            continue
        return
    raise Problem(409, "others are changing the registry just now: try again")


def _must_match(table: Table, key: str, before: msgspec.Struct | None, if_match: str | None) -> None:
    """Raises 412 when the entry is not the one that was looked at (None: when there is one)."""
    if if_match is None and before is not None:
        raise Problem(412, f"{table.kind.name} {key} is registered already")
    if if_match is not None and (before is None or if_match not in ("*", words.etag(before))):
        raise Problem(412, f"{table.kind.name} {key} has been changed meanwhile: look at it anew")


async def _held(room: Room) -> Registered:
    found = await registry.newest(room.engine)
    if found is None:
        raise Problem(404, "no county is registered yet")
    return found


async def _at(room: Room, no: int) -> Registered:
    held = await _held(room)
    if held.version.no != no:
        raise words.moved(no)
    return held


async def _earlier(room: Room, no: int) -> Registered:
    found = await registry.version(room.engine, no) if 0 < no < 2**63 else None
    if found is None:
        raise Problem(404, f"there is no version {no} of the registry")
    return found


async def _proposal(held: Registered, request: Request, filename: str, replace: bool) -> Proposal:
    file = File(filename, await request.body())
    # A large file takes a second or two, in which the duty room goes on.
    return await asyncio.to_thread(propose, held.county, [file], replace=replace, most_rows=_MOST_ROWS)


async def _applied(room: Room, county: County, edit: Edit, over: Registered) -> dict[str, Any]:
    try:
        made = await _apply(room, county, edit, over)
    except RegistryMoved:
        raise words.moved(over.version.no) from None
    return {"version": words.version(made), "changes": words.changes(changes(over.county, county))}


async def _apply(room: Room, county: County, edit: Edit, over: Registered) -> Version:
    now: datetime = wall_now()
    made = await registry.apply(room.engine, county, edit, over=over.version.no, now=now)
    await room.look()
    return made


def _edit(account: Account, source: str, note: str) -> Edit:
    return Edit(account.name, storable(source), storable(note))
