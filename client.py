"""Our own HTTP API from a terminal, and the commands that ask it one thing."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from privacy.masking import scrub
from settings import Settings
from terminal import orders

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=90)


class Api:
    """Our own HTTP API, from a terminal on the same machine."""

    def __init__(self, settings: Settings, key: str | None = None) -> None:
        first = settings.api_keys[0][1].get_secret_value() if settings.api_keys else None
        self.url = f"http://{'127.0.0.1' if settings.host in ('0.0.0.0', '::') else settings.host}:{settings.port}"
        self._headers = {"Authorization": f"Bearer {key or first}"} if key or first else {}

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, text: str | None = None
    ) -> tuple[int, Any]:
        """Status and JSON; sends `body` as JSON, or `text`. Raises aiohttp.ClientError when the API is not there."""
        status, answer = await self.text(method, path, body, headers, text)
        return status, json.loads(answer)

    async def lines(self, path: str) -> AsyncIterator[str]:
        """The lines of an answer that goes on for as long as there is something to tell. Raises aiohttp.ClientError."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60)
        async with (
            aiohttp.ClientSession(headers=self._headers, timeout=timeout, raise_for_status=True) as session,
            session.get(self.url + path) as response,
        ):
            async for text in response.content:
                yield text.decode().rstrip("\n")

    async def text(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, text: str | None = None
    ) -> tuple[int, str]:
        """The same, whatever the answer is."""
        async with (
            aiohttp.ClientSession(headers=self._headers, timeout=TIMEOUT) as session,
            session.request(method, self.url + path, json=body, data=text, headers=headers) as response,
        ):
            return response.status, await response.text()


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
    status, answer = await asked(console, Api(settings, key), "POST", f"/api/{kind}-sms", event, wait)
    console.print_json(data=answer)
    return 0 if status in (200, 202) else 1


async def order_again(
    settings: Settings, console: Console, event_id: str, reason: str, force: bool, key: str | None
) -> int:
    """Orders another leg and prints the answer. 0 when it was ordered."""
    order = {"reason": reason, "force": force}
    path = f"/api/notifications/{quote(event_id, safe='')}/resend"
    status, answer = await asked(console, Api(settings, key), "POST", path, order)
    console.print_json(data=answer)
    return 0 if status == 200 else 1


async def list_ranges(settings: Settings, console: Console, key: str | None) -> int:
    """Prints the ranges of numbers that are held, or were. 0 when they could be read."""
    status, answer = await asked(console, Api(settings, key), "GET", "/api/ranges")
    if status != 200:
        console.print(f"[red]{answer.get('error')}[/] {answer.get('detail')}")
        return 1
    table = Table("id", "country", "numbers", "since", "waiting", "decision")
    for one in answer:
        decision = f"{one['decision']} by {one['decidedBy']}" if "decision" in one else "[yellow]none yet[/]"
        numbers = f"{one['digits']}****"
        table.add_row(one["id"], one["country"], numbers, one["since"][:19], str(one["waiting"]), decision)
    console.print(table if answer else "No range of numbers is held.")
    return 0


async def decide(settings: Settings, console: Console, range_id: str, decision: str, key: str | None) -> int:
    """Decides on a range of numbers and prints the answer. 0 when it was held."""
    path = f"/api/ranges/{quote(range_id, safe='')}"
    status, answer = await asked(console, Api(settings, key), "POST", path, {"decision": decision})
    console.print_json(data=answer)
    return 0 if status == 200 else 1


async def list_webhooks(settings: Settings, console: Console, key: str | None, **which: str | None) -> int:
    """Prints what callers were told by webhook. 0 when it could be read."""
    query = urlencode({name: value for name, value in which.items() if value is not None})
    status, answer = await asked(console, Api(settings, key), "GET", f"/api/webhooks?{query}")
    if status != 200:
        console.print(f"[red]{answer.get('error')}[/] {answer.get('detail')}")
        return 1
    table = Table("id", "caller", "state", "attempts", "since", "the endpoint's answer")
    for one in answer["webhooks"]:
        cells = one["id"], one["caller"], one["state"], str(one["attempts"]), one["createdAt"][:19]
        table.add_row(*cells, one.get("answer", ""))
    console.print(table if answer["webhooks"] else "No webhooks.")
    return 0


async def redeliver(settings: Settings, console: Console, key: str | None, order: dict[str, Any]) -> int:
    """Has webhooks sent again and prints the answer. 0 when that was ordered."""
    given = {name: value for name, value in order.items() if value}
    status, answer = await asked(console, Api(settings, key), "POST", "/api/webhooks/redeliver", given)
    console.print_json(data=answer)
    return 0 if status == 200 else 1


async def enable_endpoint(settings: Settings, console: Console, key: str | None, caller: str) -> int:
    """Enables a caller's endpoint and prints the answer. 0 when it was disabled."""
    path = f"/api/webhooks/endpoints/{quote(caller, safe='')}/enable"
    status, answer = await asked(console, Api(settings, key), "POST", path)
    console.print_json(data=answer)
    return 0 if status == 200 else 1


async def asked(console: Console, api: Api, method: str, path: str, body: Any = None, wait: int = 0) -> tuple[int, Any]:
    try:
        return await api.ask(method, path, body, {"Prefer": f"wait={wait}"} if wait else None)
    except (aiohttp.ClientError, TimeoutError):
        return 0, {"error": "unavailable", "detail": f"Nobody answers at {api.url}. Is `heliograph api` running?"}
    except ValueError:
        return 0, {"error": "unavailable", "detail": f"What answers at {api.url} is not Heliograph."}


async def tell_orders(
    settings: Settings, console: Console, since: str | None, event_id: str | None, limit: int, key: str | None
) -> int:
    """Prints what operators ordered. 0 when it could be asked for."""
    wanted = {"since": since, "eventId": event_id, "limit": limit}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    status, answer = await asked(console, Api(settings, key), "GET", f"/api/audit?{query}")
    if status != 200:
        says = "; ".join(f"{one['field']} {one['problem']}" for one in answer.get("details", []) if "field" in one)
        console.print(f"[red]{answer.get('error')}[/] {says or answer.get('detail')}")
        return 1
    console.print(orders(answer["entries"]))
    return 0
