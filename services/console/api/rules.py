"""The rules: looked at by everybody, changed by administrators; tried on the past, and beside those in force."""

import asyncio
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from services.console import rule_words as words
from services.console import shadow_words
from services.console.problems import Problem
from services.console.replays import Busy, Job, ReplayWish
from services.console.room import Administrator, Entered, InRoom, Operating, Room
from services.console.rulebook import Book
from tongluo.clock import wall_now
from tongluo.errors import RuleError, RulesMoved
from tongluo.reading import storable
from tongluo.store import rules as store
from tongluo.store import shadow_findings
from tongluo.store.rules import Edit, Files, Kept, Trial
from tongluo.wire import iso

router = APIRouter(prefix="/rules", tags=["rules"])

#: A county has a dozen files; the largest are its tables of thresholds.
MOST_FILES: Final = 64
MOST_CHARACTERS: Final = 4 * 1024 * 1024
#: As long as readings are kept, and a little more.
LONGEST_REPLAY: Final = timedelta(days=1100)
#: The most changes of level that are compared, of each side.
MOST_CHANGES: Final = 5000

FileName = Annotated[str, StringConstraints(pattern=r"^\w[\w .-]{0,98}\.(toml|csv)$")]


def _bounded(files: dict[str, str]) -> dict[str, str]:
    if sum(map(len, files.values())) > MOST_CHARACTERS:
        raise ValueError(f"the files may have at most {MOST_CHARACTERS} characters in all")
    return files


Texts = Annotated[dict[FileName, str], Field(min_length=1, max_length=MOST_FILES), AfterValidator(_bounded)]
Note = Annotated[str, Field(max_length=1000, description="why, for the history")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Candidate(_Body):
    """Rule files (`*.toml`, `*.csv`), texts by name."""

    files: Texts


class Trying(Candidate):
    note: Note = ""


class Applying(Candidate):
    """`over`: the version the change was looked at against. `without_report`: no replay was looked at; the note says why."""

    over: Annotated[int, Field(ge=0)]
    note: Note = ""
    without_report: bool = False


class Replaying(_Body):
    """The rules in force, unless `files` are given, over readings with from < time <= to.

    `events_csv`: what truly happened, for the counts of hits and false alarms.
    """

    files: Texts | None = None
    begin: Annotated[AwareDatetime, Field(alias="from")]
    end: Annotated[AwareDatetime, Field(alias="to")]
    events_csv: Annotated[str, Field(max_length=MOST_CHARACTERS)] | None = None


@router.get("")
async def current(room: InRoom, account: Entered) -> dict[str, Any]:
    """The rules in force: their version, files and summaries; `refused`: a newer version that cannot be used, and why."""
    watch = room.rulebook.watch
    held, refused, book = watch.in_force(), watch.refused(), room.rulebook.in_force()
    no_version = {"no": 0, "version": store.digest(held.files)[: words.DIGITS], "note": "", "by": store.START}
    return {
        "version": words.version(held.version)
        if held.version is not None
        else {**no_version, "source": store.START, "time": None, "reported": False},
        "catalogue": book.version,
        "files": dict(held.files),
        "rules": book.rules,
        "refused": {"no": refused.no, "faults": words.faults(refused.error)} if refused is not None else None,
    }


@router.get("/versions")
async def versions(
    room: InRoom,
    account: Entered,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[dict[str, Any]]:
    """Versions, newest first, from the one before `before` on."""
    return [words.version(each) for each in await store.history(room.engine, before=before, limit=limit)]


@router.get("/versions/{no}")
async def one_version(no: int, room: InRoom, account: Entered) -> dict[str, Any]:
    """A version with its files: what it changed in the one before, and what restoring it would change now."""
    found = await _earlier(room, no)
    before = await store.version(room.engine, no - 1)
    held = room.rulebook.watch.in_force()
    return {
        "version": words.version(found.version),
        "files": found.files,
        "changed": await asyncio.to_thread(
            words.file_changes, before.files if before is not None else {}, found.files
        ),
        "restoring": await asyncio.to_thread(words.file_changes, held.files, found.files),
    }


@router.post("/check")
async def check(candidate: Candidate, room: InRoom, account: Entered) -> dict[str, Any]:
    """Every fault of the files by line, and what they would change of the rules in force; changes nothing."""
    book: Book | None = None
    found: list[dict[str, Any]] = []
    try:
        book = await asyncio.to_thread(room.rulebook.book, candidate.files)
    except RuleError as error:
        found = words.faults(error)
    held = room.rulebook.watch.in_force()
    return {
        "well": book is not None,
        "faults": found,
        "reported": await store.was_reported(room.engine, candidate.files),
        "diff": await _diff(room, candidate.files, book),
        "files": await asyncio.to_thread(words.file_changes, held.files, candidate.files),
        "rules": book.rules if book is not None else None,
    }


@router.put("")
async def put(wish: Applying, room: InRoom, account: Administrator) -> dict[str, Any]:
    """Put files in force over version `over`: 409 when another one is newest by now, or when what they would have done
    was never reported (`POST rules/replay`) and `without_report` is not said; 422 with every fault."""
    newest = await _at(room, wish.over)
    book = await _read(room, wish.files)
    reported = await store.was_reported(room.engine, wish.files)
    same = newest is not None and newest.version.digest == store.digest(wish.files)
    if not reported and not same:
        _must_say_why(wish)
    diff = await _diff(room, wish.files, book)
    edit = Edit(account.name, "console", storable(wish.note.strip()), reported)
    return {**await _apply(room, wish.files, edit, newest), "diff": diff}


@router.post("/restore/{no}")
async def restore(
    no: int,
    room: InRoom,
    account: Administrator,
    over: Annotated[int | None, Query(ge=0, description="the version that was looked at")] = None,
    note: Annotated[str, Query(max_length=1000)] = "",
) -> dict[str, Any]:
    """Put an earlier version in force again, which needs no report; 422 when it can no longer be read."""
    found = await _earlier(room, no)
    newest = await _at(room, over) if over is not None else await store.newest(room.engine)
    book = await _read(room, found.files)
    diff = await _diff(room, found.files, book)
    reported = await store.was_reported(room.engine, found.files)
    edit = Edit(account.name, f"version {no}", storable(note.strip()), reported)
    return {**await _apply(room, found.files, edit, newest), "diff": diff}


@router.get("/shadow")
async def shadow(room: InRoom, account: Entered) -> dict[str, Any] | None:
    """The rules on trial, and the levels they found against those found by the rules in force; null without a trial."""
    trial = await store.trial(room.engine)
    return await _trial(room, trial) if trial is not None else None


@router.put("/shadow")
async def begin_shadow(wish: Trying, room: InRoom, account: Administrator) -> dict[str, Any] | None:
    """Put files on trial, instead of whatever is: they judge what comes in from now on, and nobody is told."""
    await _read(room, wish.files)
    edit = Edit(account.name, "console", storable(wish.note.strip()))
    since = room.clock.now()
    trial = await store.begin_trial(room.engine, wish.files, edit, since=since, now=wall_now())
    await room.rulebook.watch.look()
    return await _trial(room, trial)


@router.delete("/shadow", status_code=204)
async def end_shadow(room: InRoom, account: Administrator) -> None:
    """End the trial."""
    if not await store.end_trial(room.engine, account.name, wall_now()):
        raise Problem(404, "no rules are on trial")
    await room.rulebook.watch.look()


@router.post("/replay", status_code=202)
async def replay(wish: Replaying, room: InRoom, account: Operating) -> dict[str, Any]:
    """Judge the stored readings of a time by these files; 409 while another replay is under way, 422 with every fault."""
    if not wish.begin < wish.end <= wish.begin + LONGEST_REPLAY:
        raise Problem(422, f"`from` must be before `to`, by at most {LONGEST_REPLAY.days} days")
    in_force = room.rulebook.watch.in_force().files
    files = wish.files if wish.files is not None else dict(in_force)
    await _read(room, files)
    try:
        job = room.rulebook.replays.start(
            lambda progress: ReplayWish(
                files, in_force, wish.begin, wish.end, wish.events_csv, account.name, progress
            ),
            wall_now(),
        )
    except Busy as busy:
        raise Problem(409, f"{busy}: wait for it, or cancel it", replay=busy.job.id) from None
    return _told(job)


@router.get("/replay/{replay_id}")
async def replayed(replay_id: str, room: InRoom, account: Entered) -> dict[str, Any]:
    """How far it is, and what came of it, for an hour: `report`, and `html`, the report as a page of its own."""
    job = room.rulebook.replays.get(replay_id)
    if job is None:
        raise Problem(404, f"there is no replay {replay_id} (any more)")
    report = job.report
    return {
        **_told(job),
        "report": report.json if report is not None else None,
        "html": report.html if report is not None else None,
    }


@router.delete("/replay/{replay_id}", status_code=204)
async def cancel(replay_id: str, room: InRoom, account: Operating) -> None:
    """Cancel a replay that is under way; one that is over stays as it is."""
    if not room.rulebook.replays.cancel(replay_id) and room.rulebook.replays.get(replay_id) is None:
        raise Problem(404, f"there is no replay {replay_id} (any more)")


def _told(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state.value,
        "progress": job.progress,
        "error": job.error,
        "by": job.wish.who,
        "begun": iso(job.begun),
        "from": iso(job.wish.begin),
        "to": iso(job.wish.end),
    }


async def _read(room: Room, files: Files) -> Book:
    try:
        # A large table takes a second or two, in which the duty room goes on.
        return await asyncio.to_thread(room.rulebook.book, files)
    except RuleError as error:
        raise words.refused(error) from None


async def _diff(room: Room, files: Files, book: Book | None) -> list[dict[str, str]]:
    held = room.rulebook.watch.in_force()
    return await asyncio.to_thread(words.changes, held.files, files, room.rulebook.in_force(), book)


def _must_say_why(wish: Applying) -> None:
    """Raises where files were not shown to do what is wanted, and nobody answers for that."""
    if not wish.without_report:
        raise Problem(
            409,
            "what these rules would have done has not been looked at: run POST rules/replay with these very files, "
            "or say `without_report` and why in the note",
            reported=False,
        )
    if not wish.note.strip():
        raise Problem(422, "without a report the note must say why these rules are applied all the same")


async def _at(room: Room, over: int) -> Kept | None:
    """The newest version, if it is the one that was looked at; else 409.

    Where the newest cannot be used, what people look at is the one in force.
    """
    newest = await store.newest(room.engine)
    no = newest.version.no if newest is not None else 0
    refused, held = room.rulebook.watch.refused(), room.rulebook.watch.in_force().version
    shown = held.no if held is not None else 0
    if over != no and not (refused is not None and refused.no == no and over == shown):
        raise words.moved(over)
    return newest


async def _earlier(room: Room, no: int) -> Kept:
    found = await store.version(room.engine, no) if 0 < no < 2**63 else None
    if found is None:
        raise Problem(404, f"there is no version {no} of the rules")
    return found


async def _apply(room: Room, files: Files, edit: Edit, newest: Kept | None) -> dict[str, Any]:
    over = newest.version.no if newest is not None else 0
    try:
        made = await store.apply(room.engine, files, edit, over=over, now=wall_now())
    except RulesMoved:
        raise words.moved(over) from None
    await room.rulebook.watch.look()
    return {"version": words.version(made)}


async def _trial(room: Room, trial: Trial) -> dict[str, Any]:
    on_trial, refused = room.rulebook.watch.on_trial(), room.rulebook.watch.trial_refused()
    book = room.rulebook.describe(on_trial.catalogue) if on_trial is not None else None
    held = room.rulebook.watch.in_force()
    return {
        "no": trial.no,
        "started": iso(trial.began),
        "since": iso(trial.since),
        "by": trial.who,
        "note": trial.note,
        "against": trial.against,
        "files": await asyncio.to_thread(words.file_changes, held.files, trial.files),
        "diff": await _diff(room, trial.files, book),
        "refused": words.faults(refused.error) if refused is not None and refused.no == trial.no else None,
        **await _compared(room, trial, book),
    }


async def _compared(room: Room, trial: Trial, book: Book | None) -> dict[str, Any]:
    """Of rules that judge readings and tell of it: what the whole county is judged by is not tried, and what tells nobody
    has nothing to be compared with."""
    every = [*room.rulebook.in_force().rules, *(book.rules if book is not None else ())]
    hazards = {rule["id"]: rule["hazard"] for rule in every}
    compared = {rule["id"] for rule in every if rule["kind"] == "station" and rule["tell"]}
    versions = {
        rule["id"]: rule["version"]
        for rule in (book.rules if book is not None else ())
        if rule["id"] in compared
    }
    async with room.engine.connect() as connection:
        old = await shadow_findings.found_in_force(connection, compared, trial.since, MOST_CHANGES)
        new = await shadow_findings.found_on_trial(connection, versions, trial.since, MOST_CHANGES)
    told = shadow_words.compared(old, new, hazards, capped=MOST_CHANGES in (len(old), len(new)))
    return {"rules": sorted(compared), "not_tried": sorted(hazards.keys() - compared), **told}
