"""What `heliograph send --csv` does: many events from a file, in batches, each answered."""

import asyncio
import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from client import Api
from settings import Settings

BATCH = 100  # events in one request
LOCAL = 7  # digits by which a number is recognised, without country and area
TRIES = 6  # of one batch, while nobody answers or Temporal is away; repeats are harmless
NUMBERS = frozenset({"deliveryTimeoutSeconds", "acknowledgeWithinSeconds", "rounds"})


class UnreadableFile(Exception):
    """The file cannot be sent; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event, and where it stands in the file."""

    number: int
    event: dict[str, Any]


def lines(path: Path, kind: str | None) -> Iterator[Line]:
    """Reads events one by one; the first line names the fields. Empty cells are left out, lists and objects are JSON.

    Raises UnreadableFile.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            names = reader.fieldnames or []
            if "eventId" not in names:
                raise UnreadableFile("the first line must name the fields: eventId,phone,…")
            if kind is None and "kind" not in names:
                raise UnreadableFile("name the kind, or give the file a column `kind`")
            for row in reader:
                if None in row:
                    raise UnreadableFile(f"line {reader.line_num} has more cells than the first line has names")
                given = {name: _value(name, cell) for name, cell in row.items() if cell not in (None, "")}
                yield Line(reader.line_num, ({"kind": kind} if kind else {}) | given)
    except (OSError, UnicodeDecodeError, csv.Error) as failure:
        raise UnreadableFile(f"{path}: {failure}") from None


def _value(name: str, cell: str) -> Any:
    if cell[0] in "[{":
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    if name == "consentAt" and cell == "now":
        return datetime.now(UTC).isoformat()
    return int(cell) if name in NUMBERS and re.fullmatch("[0-9]{1,18}", cell) else cell


async def send(settings: Settings, console: Console, path: Path, kind: str | None, key: str | None, dry: bool) -> int:
    """Posts every line. 0 when none was refused, 1 when some were, 2 for a file that cannot be read."""
    counts: Counter[str] = Counter()
    refused = Table("line", "eventId", "why", title="refused", title_justify="left")
    try:
        total = sum(1 for _ in lines(path, kind))
        with _progress(console) as progress:
            task = progress.add_task(path.name, total=total)
            events = lines(path, kind)
            while batch := list(islice(events, BATCH)):
                for line, answer in zip(batch, await _post(Api(settings, key), batch, dry), strict=True):
                    counts[_verdict(answer)] += 1
                    if answer["httpStatus"] >= 400:
                        refused.add_row(str(line.number), _shown(line.event), _why(answer))
                progress.advance(task, len(batch))
    except UnreadableFile as unreadable:
        console.print(f"[red]{unreadable}[/]", soft_wrap=True)
        return 2
    except _NotTaken as not_taken:
        console.print(f"[red]{not_taken}[/] Run it again: what was taken is not sent twice.", soft_wrap=True)
        return 1
    words = ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "no events"
    console.print(f"{total} events: {words}", highlight=False)
    if counts["refused"]:
        console.print(refused)
    return 1 if counts["refused"] else 0


class _NotTaken(Exception):
    pass


async def _post(api: Api, batch: list[Line], dry: bool) -> list[dict[str, Any]]:
    path = "/api/batches?dryRun=true" if dry else "/api/batches"
    says = ""
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(min(2**attempt, 20))
        try:
            status, answer = await api.ask("POST", path, {"events": [line.event for line in batch]})
        except (aiohttp.ClientError, TimeoutError, ValueError):
            says = f"Nobody answers at {api.url}. Is `heliograph api` running?"
            continue
        if status == 200 and not any(result["httpStatus"] == 503 for result in answer["results"]):
            results: list[dict[str, Any]] = answer["results"]
            return results
        says = str(answer.get("detail", "Temporal cannot be reached."))
        if status == 429:
            await asyncio.sleep(answer["details"]["retryAfterSeconds"])
        elif status not in (200, 503):
            break
    raise _NotTaken(says)


def _verdict(answer: dict[str, Any]) -> str:
    if answer["httpStatus"] >= 400:
        return "refused"
    if "would" in answer:
        return f"would {answer['would']}"
    return "repeated" if answer.get("duplicate") else "accepted"


def _why(answer: dict[str, Any]) -> str:
    details = answer.get("details")
    if isinstance(details, list) and details:
        return "; ".join(f"{detail['field']} {detail['problem']}" for detail in details)
    return str(answer.get("detail", answer.get("error")))


def _shown(event: dict[str, Any]) -> str:
    """Its ID, which may have been refused for holding the recipient's number."""
    event_id = str(event.get("eventId", ""))
    number = re.sub(r"[^0-9]", "", f"{event.get('phone', '')}")[-LOCAL:]
    holds = len(number) == LOCAL and number in re.sub(r"[^0-9]", "", event_id)
    return "(holds the number)" if holds else event_id


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
