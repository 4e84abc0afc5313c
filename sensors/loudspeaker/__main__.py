"""`python -m sensors.loudspeaker`: a township's broadcast system that prints what it would read aloud."""

import argparse
import asyncio
import sys
from pathlib import Path

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from sensors.address import host_and_port
from sensors.lifetime import lifetime
from sensors.loudspeaker.server import Hook, serving
from tongluo.errors import SettingsError, TongluoError


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 after a clean end, 1 when the port or the secret cannot be used."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_listen(options))
    except TongluoError as error:
        print(f"loudspeaker: {error}", file=sys.stderr)  # noqa: T201 (a program that speaks to its terminal)
        return 1
    return 0


async def _listen(options: argparse.Namespace) -> None:
    host, port = options.listen
    hook = Hook(options.name, read_secret(options.secret_file), _say)
    async with (
        lifetime(die_with_parent=options.die_with_parent) as ended,
        serving(hook, host, port) as chosen,
    ):
        print(f"loudspeaker: listening on http://{host}:{chosen}/hook", file=sys.stderr, flush=True)  # noqa: T201
        await ended.wait()


def read_secret(path: Path) -> Webhook:
    """The signing secret (`whsec_` and base64). Raises SettingsError; the secret itself is never in the message."""
    try:
        return Webhook(path.read_text("ascii").strip())
    except OSError as error:
        raise SettingsError(f"--secret-file {path}: {error.strerror}") from error
    except (ValueError, EmptyWebhookSecretError) as error:
        raise SettingsError(f"--secret-file {path}: not whsec_ and base64 ({type(error).__name__})") from None


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 (this is the loudspeaker)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sensors.loudspeaker", description=__doc__)
    add = parser.add_argument
    add("--listen", type=host_and_port, required=True, metavar="HOST:PORT", help="port 0 chooses a free one")
    add("--secret-file", type=Path, required=True, metavar="FILE", help="the subscription's signing secret")
    add("--name", default="鹤城街道应急广播", help="whose loudspeakers these are")
    add("--die-with-parent", action="store_true", help="end when stdin does")
    return parser


if __name__ == "__main__":
    sys.exit(main())
