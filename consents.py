"""What `heliograph consents` does: the consent ledger to a file and from one."""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from client import Api
from settings import Settings

PATH = "/api/consents.csv"
PIECE = 48_000  # bytes in one request; MAX_BODY_BYTES allows more


async def write(settings: Settings, console: Console, path: Path, status: str | None, key: str | None) -> int:
    """Writes all records, or those of a status, to a file that only its owner may read. 0 when it was written."""
    query = f"?status={status}" if status else ""
    try:
        answered, text = await Api(settings, key).text("GET", PATH + query)
    except (aiohttp.ClientError, TimeoutError) as failure:
        console.print(f"[red]The API did not answer ({type(failure).__name__}).[/] Is `heliograph api` running?")
        return 1
    if answered != 200:
        console.print(f"[red]HTTP {answered}[/] {text}", soft_wrap=True, highlight=False)
        return 1
    _keep(path, text)
    console.print(f"{max(text.count(chr(10)) - 1, 0)} records in {path}", highlight=False)
    return 0


async def read(settings: Settings, console: Console, path: Path, key: str | None) -> int:
    """Adds a file's records. 0 when none was refused, 1 when some were, 2 for a file that cannot be read."""
    counts: Counter[str] = Counter()
    refused = Table("line", "why", title="refused", title_justify="left")
    try:
        for before, part in _parts(path):
            status, answer = await Api(settings, key).ask("POST", PATH, text=part, headers={"Content-Type": "text/csv"})
            if status != 200:
                console.print(f"[red]{answer.get('detail')}[/] Run it again: what was added is known then.")
                return 2 if status == 400 else 1
            counts.update(added=answer["added"], known=answer["known"], refused=len(answer["refused"]))
            for one in answer["refused"]:
                refused.add_row(str(before + one["line"]), _why(one["details"]))
    except (OSError, UnicodeDecodeError, csv.Error) as failure:
        console.print(f"[red]{path}: {failure}[/]", soft_wrap=True)
        return 2
    except (aiohttp.ClientError, TimeoutError):
        console.print("[red]The API does not answer.[/] Run it again: what was added is known then.")
        return 1
    console.print(", ".join(f"{counts[what]} {what}" for what in ("added", "known", "refused")), highlight=False)
    if counts["refused"]:
        console.print(refused)
    return 1 if counts["refused"] else 0


def _keep(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", newline="") as file:
        file.write(text)


def _parts(path: Path) -> Iterator[tuple[int, str]]:
    """Pieces that one request takes, each with the head, and how many lines of the file came before each."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        head = _text(next(rows, []))
        before = ended = rows.line_num
        piece = head
        for row in rows:
            line = _text(row)
            if len(piece.encode()) + len(line.encode()) > PIECE and piece != head:
                yield before - 1, piece
                before, piece = ended, head
            piece += line
            ended = rows.line_num
        if piece != head:
            yield before - 1, piece


def _text(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _why(details: list[dict[str, Any]]) -> str:
    return "; ".join(f"{detail['field']} {detail['problem']}" for detail in details)
