"""One signed webhook (https://www.standardwebhooks.com): POST, and what the endpoint said to it."""

from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from standardwebhooks import Webhook

from notifications.endpoints import Endpoint

TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
PATIENCE_AT_MOST = 3600.0  # seconds, whatever a Retry-After says


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a POST."""

    taken: bool
    says: str
    """Why not, in words."""
    gone: bool = False
    """410: nothing is to be sent there any more (Standard Webhooks, "Status codes")."""
    retry_after: float | None = None
    """Seconds, where the endpoint named them."""


async def post(endpoint: Endpoint, webhook_id: str, body: str) -> Answer:
    """Signs with every secret, so that a receiver may check with the old one or the new one. Redirects are not
    followed: a signed body must not go where nobody has said."""
    now = datetime.now(UTC)
    signatures = [Webhook(secret.get_secret_value()).sign(webhook_id, now, body) for secret in endpoint.secrets]
    headers = {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    try:
        # A session per webhook: a kept connection may be dead when one is due.
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.post(endpoint.url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            says = f"The webhook endpoint answered HTTP {response.status}."
            taken, gone = 200 <= response.status < 300, response.status == 410
            return Answer(taken, says, gone, _seconds(response.headers.get("Retry-After")))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as failure:
        return Answer(False, f"The webhook endpoint could not be reached ({type(failure).__name__}).")


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return min(float(retry_after), PATIENCE_AT_MOST)
