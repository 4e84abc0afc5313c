"""What the duty room's handlers share, and who may enter."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from services.console import accounts
from services.console.health import Health
from services.console.hub import Hub
from services.console.problems import Problem
from services.console.rulebook import Rulebook
from tongluo.clock import Clock, wall_now
from tongluo.region import County
from tongluo.store.layout import Layout

COOKIE = "tongluo_session"


@dataclass(frozen=True)
class Keeping:
    """How long what lies in quarantine is kept, and how much of it at most."""

    keep: timedelta = timedelta(days=90)
    most_bytes: int = 1024 * 1024 * 1024


@dataclass(frozen=True)
class Room:
    """Everything the handlers need; made once in services/app.py."""

    engine: AsyncEngine
    county: Callable[[], County]
    clock: Clock
    mode: str
    rulebook: Rulebook[Any]
    health: Health
    admin_token: str | None = None
    hub: Hub = field(kw_only=True)
    layout: Layout = field(kw_only=True)
    snapshots: Path = field(kw_only=True)
    # The MQTT contract, for integrators.
    asyncapi: dict[str, Any] = field(kw_only=True)
    # Has this process take up a registry that was just changed, so that the next answer already shows it.
    look: Callable[[], Awaitable[None]] = field(kw_only=True)
    logins: accounts.LoginLimit = field(default_factory=accounts.LoginLimit)
    quarantine: Keeping = field(default_factory=Keeping)
    # How many intervals a station may miss before it is silent, and whose days are counted.
    silent_after: int = 3
    timezone: str = "Asia/Shanghai"


def room_of(request: Request) -> Room:
    room: Room = request.app.state.room
    return room


InRoom = Annotated[Room, Depends(room_of)]


async def enter(request: Request, room: InRoom) -> accounts.Account:
    """The account behind a request: a bearer token for programs, a session cookie for the page."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        if room.admin_token and secrets.compare_digest(token.strip().encode(), room.admin_token.encode()):
            return accounts.Account("admin-token", "admin")
        raise Problem(401, "this bearer token is not valid", headers={"www-authenticate": "Bearer"})
    cookie = request.cookies.get(COOKIE)
    account = await accounts.of_session(room.engine, cookie, wall_now()) if cookie else None
    if account is None:
        raise Problem(401, "log in first: POST /api/v1/session", headers={"www-authenticate": "Bearer"})
    return account


Entered = Annotated[accounts.Account, Depends(enter)]


async def administer(account: Entered) -> accounts.Account:
    """The account behind a request that changes what is registered, or the rules."""
    if account.role != "admin":
        raise Problem(
            403, f"account {account.name} may look; changing the registry or the rules takes an administrator"
        )
    return account


Administrator = Annotated[accounts.Account, Depends(administer)]

# Who may do what changes the course of readings; who only looks may not.
OPERATORS = frozenset({"admin", "officer"})


async def operate(account: Entered) -> accounts.Account:
    """The account behind a request that acts."""
    if account.role not in OPERATORS:
        raise Problem(
            403,
            f"account {account.name} ({account.role}) may look, not act: ask one of {', '.join(sorted(OPERATORS))}",
        )
    return account


Operating = Annotated[accounts.Account, Depends(operate)]
