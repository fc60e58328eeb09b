"""What `heliograph send`, `heliograph resend` and `heliograph trace` do."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import aiohttp
from rich.console import Console
from rich.markup import escape

from privacy.masking import scrub
from settings import Settings
from terminal import story


class Api:
    """Our own HTTP API, from a terminal on the same machine."""

    def __init__(self, settings: Settings, key: str | None = None) -> None:
        first = settings.api_keys[0][1].get_secret_value() if settings.api_keys else None
        self.url = f"http://{'127.0.0.1' if settings.host in ('0.0.0.0', '::') else settings.host}:{settings.port}"
        self._headers = {"Authorization": f"Bearer {key or first}"} if key or first else {}

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON. Raises aiohttp.ClientError when the API is not there."""
        async with (
            aiohttp.ClientSession(headers=self._headers, timeout=aiohttp.ClientTimeout(total=90)) as session,
            session.request(method, self.url + path, json=body, headers=headers) as response,
        ):
            return response.status, json.loads(await response.text())


async def post(settings: Settings, console: Console, kind: str, fields: list[str], wait: int, key: str | None) -> int:
    """Posts one event and prints the answer. 0 when it was taken."""
    event: dict[str, Any] = {}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals:
            console.print(f"[red]{escape(scrub(field))}[/] is no field: write name=value")
            return 2
        event[name] = int(value) if name == "deliveryTimeoutSeconds" and value.isdigit() else value
    if event.get("consentAt") == "now":
        event["consentAt"] = datetime.now(UTC).isoformat()
    status, answer = await _asked(console, Api(settings, key), "POST", f"/api/{kind}-sms", event, wait)
    console.print_json(data=answer)
    return 0 if status in (200, 202) else 1


async def order_again(
    settings: Settings, console: Console, event_id: str, reason: str, force: bool, key: str | None
) -> int:
    """Orders another leg and prints the answer. 0 when it was ordered."""
    order = {"reason": reason, "force": force}
    path = f"/api/notifications/{quote(event_id, safe='')}/resend"
    status, answer = await _asked(console, Api(settings, key), "POST", path, order)
    console.print_json(data=answer)
    return 0 if status == 200 else 1


async def _asked(
    console: Console, api: Api, method: str, path: str, body: Any = None, wait: int = 0
) -> tuple[int, Any]:
    try:
        return await api.ask(method, path, body, {"Prefer": f"wait={wait}"} if wait else None)
    except (aiohttp.ClientError, TimeoutError):
        return 0, {"error": "unavailable", "detail": f"Nobody answers at {api.url}. Is `heliograph api` running?"}
    except ValueError:
        return 0, {"error": "unavailable", "detail": f"What answers at {api.url} is not Heliograph."}


async def tell(settings: Settings, console: Console, identifier: str) -> int:
    """Prints a notification's story. 0 when there is one."""
    path = "messages" if len(identifier) == 34 and identifier[:2] in ("SM", "MM") else "notifications"
    status, answer = await _asked(console, Api(settings), "GET", f"/api/{path}/{identifier}")
    if status != 200:
        console.print(f"[red]{answer.get('error')}[/] {answer.get('detail')}")
        return 1
    console.print(story(answer, ui=settings.temporal_ui_url, namespace=settings.temporal_namespace))
    return 0
