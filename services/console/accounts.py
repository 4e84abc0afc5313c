"""Accounts and sessions: argon2 for passwords, random tokens of which only the digest is stored."""

import asyncio
import functools
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

SESSION: Final = timedelta(hours=12)
_hasher: Final = PasswordHasher()


@functools.cache
def _nobody() -> str:
    """Verified when the account is unknown, so that the time of the answer does not tell which accounts exist."""
    return _hasher.hash("nobody")


class Account(msgspec.Struct, frozen=True):
    """Who is asking, and what they may do."""

    name: str
    role: str


async def ensure_admin(engine: AsyncEngine, now: datetime) -> str | None:
    """Create the first account on a new store; returns its password, which is nowhere else to be found."""
    async with engine.begin() as connection:
        if await connection.scalar(text("SELECT EXISTS (SELECT FROM account)")):
            return None
        password = secrets.token_urlsafe(12)
        # Two programs may start on one new store: the second to come makes nothing.
        created = await connection.execute(
            text(
                "INSERT INTO account (name, password_hash, role, created) SELECT 'admin', :hash, 'admin', :now "
                "WHERE NOT EXISTS (SELECT 1 FROM account) ON CONFLICT DO NOTHING RETURNING 1"
            ),
            {"hash": await asyncio.to_thread(_hasher.hash, password), "now": now},
        )
        return password if created.first() is not None else None


async def reset_password(engine: AsyncEngine, name: str) -> str | None:
    """A new generated password, all sessions ended; None when there is no such account."""
    password = secrets.token_urlsafe(12)
    async with engine.begin() as connection:
        changed = await connection.execute(
            text("UPDATE account SET password_hash = :hash WHERE name = :name RETURNING 1"),
            {"hash": await asyncio.to_thread(_hasher.hash, password), "name": name},
        )
        if changed.first() is None:
            return None
        await connection.execute(text("DELETE FROM session WHERE account = :name"), {"name": name})
    return password


async def log_in(engine: AsyncEngine, name: str, password: str, now: datetime) -> tuple[Account, str] | None:
    """The account and a new session's token, or None when name or password is wrong."""
    async with engine.connect() as connection:
        row = (
            await connection.execute(
                text("SELECT password_hash, role FROM account WHERE name = :name"), {"name": name}
            )
        ).first()
    right = await asyncio.to_thread(_verify, row[0] if row is not None else _nobody(), password)
    if row is None or not right:
        return None
    token = secrets.token_urlsafe(32)
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM session WHERE expires < :now"), {"now": now})
        await connection.execute(
            text("INSERT INTO session (token_hash, account, expires) VALUES (:hash, :name, :expires)"),
            {"hash": _digest(token), "name": name, "expires": now + SESSION},
        )
    return Account(name, row[1]), token


async def log_out(engine: AsyncEngine, token: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text("DELETE FROM session WHERE token_hash = :hash"), {"hash": _digest(token)}
        )


async def of_session(engine: AsyncEngine, token: str, now: datetime) -> Account | None:
    """Whose session a token is, while it lasts."""
    async with engine.connect() as connection:
        row = (
            await connection.execute(
                text(
                    "SELECT a.name, a.role FROM session s JOIN account a ON a.name = s.account "
                    "WHERE s.token_hash = :hash AND s.expires > :now"
                ),
                {"hash": _digest(token), "now": now},
            )
        ).first()
    return Account(row[0], row[1]) if row is not None else None


class LoginLimit:
    """At most `tries` failed log-ins per account name within `span`, counted in memory."""

    def __init__(self, tries: int = 8, span: timedelta = timedelta(minutes=1)) -> None:
        self._tries = tries
        self._span = span
        self._failed: dict[str, list[datetime]] = {}

    def wait_s(self, name: str, now: datetime) -> int:
        """Seconds until the next try is allowed; 0 for now."""
        recent = [at for at in self._failed.get(name, []) if at > now - self._span]
        if recent:
            self._failed[name] = recent
        else:
            self._failed.pop(name, None)
        if len(recent) < self._tries:
            return 0
        return int((recent[0] + self._span - now).total_seconds()) + 1

    def failed(self, name: str, now: datetime) -> None:
        if len(self._failed) > 10_000:  # somebody tries names: forget, rather than fill the memory
            self._failed.clear()
        self._failed.setdefault(name, []).append(now)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
