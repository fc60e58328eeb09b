"""What `heliograph trace` does: tells what became of a message, by eventId, SID, or the phone it was sent to."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
from rich.console import Console
from rich.table import Table
from rich.text import Text

from client import Api, asked
from settings import Settings
from terminal import COLOURS, line, story

SID = re.compile(r"(SM|MM|CA)[0-9a-fA-F]{32}")


async def tell(settings: Settings, console: Console, identifier: str, key: str | None, *, follow: bool) -> int:
    """Prints a notification's story, or what was sent to a phone. 0 when there is something to tell."""
    api = Api(settings, key)
    if identifier.startswith("+"):
        return await _tell_phone(console, api, identifier)
    path = "messages" if SID.fullmatch(identifier) else "notifications"
    status, answer = await asked(console, api, "GET", f"/api/{path}/{quote(identifier, safe='')}")
    if status != 200:
        return _refused(console, answer)
    if follow:
        return await _follow(console, api, answer["eventId"])
    console.print(story(answer))
    return 0


async def _tell_phone(console: Console, api: Api, phone: str) -> int:
    status, answer = await asked(console, api, "GET", f"/api/notifications?phone={quote(phone, safe='')}")
    if status != 200:
        return _refused(console, answer)
    table = Table("accepted", "eventId", "kind", "status", "SID", "error")
    for one in answer["notifications"]:
        word = Text(one["status"], COLOURS.get(one["status"], "cyan"))
        error = str(one["error"]["code"]) if "error" in one else ""
        table.add_row(one["acceptedAt"][:19], one["eventId"], one.get("kind"), word, one.get("sid"), error)
    console.print(table if answer["notifications"] else "Nothing was sent to this phone, as far as is known.")
    return 0 if answer["notifications"] else 1


async def _follow(console: Console, api: Api, event_id: str) -> int:
    """Prints each line of the story as it comes, until the notification has ended."""
    try:
        async for event, data in _events(api, f"/api/notifications/{quote(event_id, safe='')}/stream"):
            if event == "entry":
                what, particulars = line(data)
                console.print(Text.assemble((str(data["at"])[11:19], "dim"), "  ", what, "  ", particulars))
            elif event == "status":
                console.print(Text.assemble("          is ", (data["status"], COLOURS.get(data["status"], "cyan"))))
    except (aiohttp.ClientError, TimeoutError) as failure:
        console.print(f"[red]The story broke off ({type(failure).__name__}).[/]")
        return 1
    return 0


async def _events(api: Api, path: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Server-sent events (WHATWG HTML, 9.2), each with its name and its JSON."""
    name = ""
    async for text in api.lines(path):
        field, _, value = text.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


def _refused(console: Console, answer: dict[str, Any]) -> int:
    console.print(f"[red]{answer.get('error')}[/] {answer.get('detail')}")
    return 1
