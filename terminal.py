"""How a notification's story looks in a terminal."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

COLOURS = {
    "delivered": "green",
    "undelivered": "red",
    "failed": "red",
    "unknown": "yellow",
    "expired": "yellow",
    "suppressed": "yellow",
}

WORDS = {
    "requested": "event accepted",
    "claimed": "claimed in the ledger",
    "sent": "Twilio has it",
    "refused": "Twilio refused it",
    "not_accepted": "Twilio did not take it",
    "server_error": "Twilio failed",
    "unknown": "outcome unknown",
    "callback": "Twilio calls back",
    "asked": "asked Twilio",
    "found": "found at Twilio",
    "told_operators": "operators told",
    "told_caller": "caller told",
    "caller_not_told": "caller not told",
    "suppressed": "not allowed",
    "expired": "too old",
    "held": "held back",
    "canceled": "canceled",
    "left_out": "left out",
    "step": "next step",
    "acknowledged": "acknowledged",
    "resolved": "resolved",
    "rescheduled": "moved",
    "resend": "ordered again",
    "restarted": "workflow started again",
    "reconciled": "found in Temporal",
    "abandoned": "ended by hand",
    "ordered": "an operator's order",
    "webhook": "webhook to the caller",
    "erased": "forgotten",
}


def story(notification: Mapping[str, Any]) -> RenderableType:
    """A panel with status, error and timeline; `notification` is the API's answer."""
    status = str(notification["status"])
    colour = COLOURS.get(status, "cyan")
    head = Text.assemble(
        (status, f"bold {colour}"), "  ", notification.get("phone") or "", " ", notification.get("country") or ""
    )
    if notification.get("sid"):
        head.append(f"  {notification['sid']}", "dim")
    parts: list[RenderableType] = [head, entries(notification.get("timeline", []))]
    if error := notification.get("error"):
        parts.append(
            Text.assemble((f"Twilio error {error['code']}. ", "red"), error["says"], ("\nTo do: ", "bold"), error["do"])
        )
    if workflow := notification.get("workflow"):
        parts.append(Text.assemble(("Temporal: ", "dim"), (workflow, "blue")))
    return Panel(Group(*parts), title=f"[bold]{notification['eventId']}[/]", title_align="left", border_style=colour)


def entries(timeline: Iterable[Mapping[str, Any]]) -> Table:
    """One line per entry, with the seconds since the first."""
    table = Table(box=None, padding=(0, 1), show_header=False)
    begin: datetime | None = None
    for entry in timeline:
        at = datetime.fromisoformat(str(entry["at"]))
        begin = begin or at
        table.add_row(Text(f"{(at - begin).total_seconds():7.2f} s", "dim"), *line(entry))
    return table


def line(entry: Mapping[str, Any]) -> tuple[Text, Text]:
    """What happened, and the particulars."""
    what = str(entry["what"])
    facts = entry.get("facts") or {}
    particulars = [str(entry["carrierStatus"])] if entry.get("carrierStatus") else []
    if entry.get("errorCode"):
        particulars.append(f"error {entry['errorCode']}")
    if entry.get("detail"):
        particulars.append(str(entry["detail"]))
    particulars += [f"{value} ms" if name == "ms" else f"{name} {value}" for name, value in facts.items()]
    status = str(entry.get("carrierStatus") or what)
    colour = COLOURS.get(status, "red" if what in ("refused", "server_error") else "default")
    counted = entry.get("counted", True)
    return Text(WORDS.get(what, what), "bold" if counted else "dim strike"), Text(
        ", ".join(particulars), colour if counted else "dim"
    )


def orders(entries: Iterable[Mapping[str, Any]]) -> Table:
    """What operators ordered, one line each."""
    table = Table(box=None, padding=(0, 1))
    for name in ("when", "who", "key", "what", "about", "result"):
        table.add_column(name, no_wrap=name in ("when", "key"), overflow="fold")
    for entry in entries:
        at = datetime.fromisoformat(str(entry["at"]))
        about = entry.get("eventId") or " ".join(filter(None, (entry.get("phone"), entry.get("recipientHash"))))
        result = str(entry.get("result") or "not known")
        table.add_row(
            Text(f"{at:%Y-%m-%d %H:%M:%S} Z", "dim"),
            Text(str(entry["caller"])),
            Text(str(entry["keyId"])),
            Text(" ".join(filter(None, (entry["action"], entry.get("detail"))))),
            Text(about),
            Text(result, "green" if result == "done" else "yellow"),
        )
    return table
