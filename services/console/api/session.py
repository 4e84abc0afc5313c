"""Logging in and out."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from services.console import accounts
from services.console.problems import Problem
from services.console.room import COOKIE, Entered, InRoom
from tongluo.clock import wall_now

router = APIRouter(prefix="/session", tags=["session"])


class Login(BaseModel):
    account: Annotated[str, Field(max_length=64)]
    password: Annotated[str, Field(max_length=256)]


class Who(BaseModel):
    account: str
    role: str


@router.get("")
async def who(account: Entered) -> Who:
    return Who(account=account.name, role=account.role)


@router.post("")
async def log_in(login: Login, room: InRoom, response: Response) -> Who:
    """Start a session; its cookie is for the page only (HttpOnly, SameSite=Strict)."""
    now = wall_now()
    pause_s = room.logins.wait_s(login.account, now)
    if pause_s:
        raise Problem(
            429, f"too many failed log-ins; try again in {pause_s} s", headers={"retry-after": str(pause_s)}
        )
    entered = await accounts.log_in(room.engine, login.account, login.password, now)
    if entered is None:
        room.logins.failed(login.account, now)
        raise Problem(401, "account or password is wrong; `tongluo password` sets a new one")
    account, token = entered
    response.set_cookie(
        COOKIE, token, max_age=int(accounts.SESSION.total_seconds()), httponly=True, samesite="strict"
    )
    return Who(account=account.name, role=account.role)


@router.delete("", status_code=204)
async def log_out(request: Request, room: InRoom, response: Response) -> None:
    token = request.cookies.get(COOKIE)
    if token:
        await accounts.log_out(room.engine, token)
    response.delete_cookie(COOKIE)
