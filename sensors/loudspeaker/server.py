"""The broadcast system's HTTP face: `POST /hook` takes a signed message, `GET /heard` tells what was played."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from sensors.loudspeaker.broadcast import Message, Player
from tongluo.clock import wall_now
from tongluo.errors import MissingPartError

_LARGEST_BODY: Final = 256 * 1024


class Hook:
    """Lets through what the secret signed, and plays it."""

    def __init__(self, name: str, webhook: Webhook, say: Callable[[str], None]) -> None:
        self._name, self._webhook, self._say = name, webhook, say
        self._player = Player()

    async def take(self, request: web.Request) -> web.Response:
        """200 played or played before, 400 signed but not readable, 401 bad signature, 413 too large."""
        body = await request.read()
        try:
            self._webhook.verify(body, dict(request.headers), json_parse=False)
        except (WebhookVerificationError, ValueError):  # verify() lets ValueError out on malformed headers
            return web.Response(status=401, text="signature not valid\n")
        try:
            message = msgspec.json.decode(body, type=Message)
        except msgspec.DecodeError as error:
            return web.Response(status=400, text=f"not a broadcast: {error}\n")
        heard = self._player.play(request.headers["webhook-id"], message, wall_now())
        if heard is None:
            return web.Response(text="played before\n")
        self._say(heard.line(self._name))
        return web.Response(text="played\n")

    async def heard(self, _: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(self._player.heard()), content_type="application/json")


@contextlib.asynccontextmanager
async def serving(hook: Hook, host: str, port: int) -> AsyncIterator[int]:
    """Serve until left; gives the port, which is chosen when 0 was asked for.

    Raises MissingPartError when the address cannot be listened on.
    """
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.add_routes([web.post("/hook", hook.take), web.get("/heard", hook.heard)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise MissingPartError(
            f"cannot listen on {host}:{port} ({error.strerror}): end the program that holds the port, "
            "or choose another with --listen"
        ) from error
