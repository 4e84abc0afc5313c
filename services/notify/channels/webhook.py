"""The webhook channel: one signed POST, Standard Webhooks (spec: standard-webhooks, `webhook-*` headers)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import aiohttp
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from tongluo import __version__
from tongluo.errors import DeliveryError

TIMEOUT_S: Final = 15.0
_ERROR_BYTES: Final = 300


class WebhookChannel:
    """Sends; decides nothing. Open it with `open_webhooks`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, url: str, secret: str, message_id: str, body: bytes, now: datetime) -> int:
        """POST `body`, signed for this attempt at `now` (aware UTC). Returns the 2xx status or raises DeliveryError."""
        try:
            signature = Webhook(secret).sign(msg_id=message_id, timestamp=now, data=body.decode())
        except (EmptyWebhookSecretError, RuntimeError, ValueError) as error:
            raise DeliveryError(
                f"the subscription's secret is not usable ({error}); delete it and subscribe again",
                permanent=True,
            ) from error
        headers = {
            "content-type": "application/json",
            "user-agent": f"tongluo/{__version__}",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        try:
            # A redirect could lead a signed warning anywhere: it counts as a failure.
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                if 200 <= response.status < 300:
                    return response.status
                raise await _refused(response)
        except TimeoutError as error:
            raise DeliveryError(f"no answer within {TIMEOUT_S:.0f} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DeliveryError(f"{type(error).__name__}: {error}") from error


@asynccontextmanager
async def open_webhooks() -> AsyncIterator[WebhookChannel]:
    """A channel; how much is sent at once is the outbox's business."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    ) as session:
        yield WebhookChannel(session)


async def _refused(response: aiohttp.ClientResponse) -> DeliveryError:
    said = (await response.content.read(_ERROR_BYTES)).decode("utf-8", "replace").replace("\x00", "")
    return DeliveryError(
        f"HTTP {response.status}{': ' + said if said else ''}",
        status=response.status,
        permanent=response.status == 410,
        retry_after_s=_seconds(response.headers.get("retry-after")),
    )


def _seconds(words: str | None) -> float | None:
    """The seconds form of Retry-After; the date form is left to our own back-off."""
    return float(words) if words is not None and words.isdecimal() and len(words) < 7 else None
