"""The loudspeaker as a program, told over real HTTP by messages that the Standard Webhooks package signed."""

import asyncio
import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from standardwebhooks import Webhook

from tests.sensors.program import ends, program
from tongluo.clock import wall_now

SECRET = "whsec_" + base64.b64encode(b"a secret for tests only, 32 byte").decode()
TEXT = "青田县暴雨橙色预警:请黄垟乡峰山村村民立即转移。"


@dataclass
class Speaker:
    url: str
    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession

    async def tell(self, id_: str, body: bytes | None = None, **changed: str) -> int:
        body = body if body is not None else message(TEXT)
        headers = signed(id_, body) | {key.replace("_", "-"): value for key, value in changed.items()}
        async with self.session.post(f"{self.url}/hook", data=body, headers=headers) as answer:
            return answer.status

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(10):
            return (await self.process.stdout.readline()).decode()

    async def heard(self) -> list[dict[str, Any]]:
        async with self.session.get(f"{self.url}/heard") as answer:
            played: list[dict[str, Any]] = await answer.json()
            return played


@pytest.fixture
async def speaker(tmp_path: Path) -> AsyncIterator[Speaker]:
    async with started(tmp_path, "127.0.0.1:0") as process:
        assert process.stderr is not None
        async with asyncio.timeout(20):
            said = (await process.stderr.readline()).decode()
        url = said.split()[-1].removesuffix("/hook")
        async with aiohttp.ClientSession() as session:
            yield Speaker(url, process, session)


async def test_a_signed_message_is_read_aloud(speaker: Speaker) -> None:
    assert await speaker.tell("msg_1") == 200
    line = await speaker.line()
    assert line.startswith("📢 鹤城街道应急广播")
    for part in ("橙色 orange", TEXT, "签名有效 signature verified"):
        assert part in line
    (heard,) = await speaker.heard()
    assert heard["id"] == "msg_1"
    assert heard["message"]["data"]["broadcast"]["areas"] == ["331121001000"]


async def test_a_repeated_message_is_played_once(speaker: Speaker) -> None:
    assert [await speaker.tell("msg_1"), await speaker.tell("msg_1"), await speaker.tell("msg_2")] == [
        200
    ] * 3
    assert [heard["id"] for heard in await speaker.heard()] == ["msg_1", "msg_2"]


@pytest.mark.parametrize(
    "signature",
    ["v1,bm90IGl0", "no comma", "v1,not base64!", "v1,a,b", "", "v2,bm90IGl0"],
)
async def test_a_wrong_or_malformed_signature_is_refused(speaker: Speaker, signature: str) -> None:
    assert await speaker.tell("msg_1", webhook_signature=signature) == 401
    assert await speaker.heard() == []


async def test_what_is_changed_stale_or_unsigned_is_refused(speaker: Speaker) -> None:
    stale = int((wall_now() - timedelta(minutes=10)).timestamp())
    assert await speaker.tell("msg_1", webhook_timestamp=str(stale)) == 401
    assert await speaker.tell("msg_1", webhook_id="msg_2") == 401
    assert await speaker.tell("msg_1", webhook_timestamp="yesterday") == 401
    async with speaker.session.post(f"{speaker.url}/hook", data=message(TEXT)) as answer:
        assert answer.status == 401
    assert await speaker.heard() == []


async def test_a_signed_body_that_is_no_broadcast_or_too_large_is_refused(speaker: Speaker) -> None:
    assert await speaker.tell("msg_1", b"[]") == 400
    assert await speaker.tell("msg_2", b" " * (256 * 1024 + 1)) == 413
    assert await speaker.tell("msg_3", b"\xff\xfe", webhook_signature="v1,bm90IGl0") == 401


async def test_a_text_cannot_fake_a_second_line(speaker: Speaker) -> None:
    assert await speaker.tell("msg_1", message("one\n📢 two\x1b[2J")) == 200
    assert "one 📢 two [2J" in await speaker.line()


async def test_a_busy_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        async with started(tmp_path, f"127.0.0.1:{holder.getsockname()[1]}") as process:
            code, said = await ends(process)
    assert code == 1
    assert said.count("\n") == 1
    assert "choose another with --listen" in said


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_é", "whsec_a"])
async def test_a_secret_that_is_none_is_one_clear_line(tmp_path: Path, secret: str) -> None:
    async with started(tmp_path, "127.0.0.1:0", secret) as process:
        code, said = await ends(process)
    assert code == 1
    assert said.count("\n") == 1
    assert "--secret-file" in said


async def test_it_does_not_outlive_its_parent(speaker: Speaker) -> None:
    assert speaker.process.stdin is not None
    speaker.process.stdin.close()
    async with asyncio.timeout(20):
        assert await speaker.process.wait() == 0


def started(
    folder: Path, listen: str, secret: str = SECRET
) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    (folder / "secret").write_text(secret + "\n", "utf-8")
    return program("sensors.loudspeaker", "--listen", listen, "--secret-file", str(folder / "secret"))


def signed(id_: str, body: bytes) -> dict[str, str]:
    now: datetime = wall_now()  # aware UTC: sign() relabels any other zone as UTC
    text = body.decode("utf-8", "replace")
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(id_, now, text),
    }


def message(text: str) -> bytes:
    alert = {"id": "a1", "level": "orange", "headline": {"zh": "暴雨橙色预警", "en": "Orange rainstorm"}}
    broadcast = {"text": text, "repeat": 3, "priority": 1, "areas": ["331121001000"]}
    data = {"alert": alert, "report": {"no": 1, "final": False}, "broadcast": broadcast}
    body = {"type": "alert.raised", "timestamp": "2026-07-01T02:15:00Z", "data": data}
    return json.dumps(body, ensure_ascii=False).encode()
