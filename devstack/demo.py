"""`make demo`: the main job once, on real parts, as a person would watch it."""

import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.spinner import Spinner

from devstack.processes import ProcessFailed
from devstack.stack import Ports, Stack, running
from settings import SIMULATOR_WEBHOOK_SECRET
from terminal import story

KEY = "demonstration-key"
LOOK_FOR = 300  # seconds
DELIVERED, REFUSED, UNDELIVERED = "+15558675310", "+15558675311", "+15558675312"


class WentWrong(Exception):
    """Something did not go as it should."""


def run(console: Console) -> int:
    """0 when everything went as it should; leaves nothing running and nothing behind."""
    signal.signal(signal.SIGTERM, _interrupt)
    data = Path(tempfile.mkdtemp(prefix="demo-", dir=_var()))
    ports = Ports.free()
    environment = {
        "API_KEYS": f"demo={KEY}",
        "OPERATIONS_WEBHOOK_URL": f"http://127.0.0.1:{ports.simulator}/operators/webhook",
        "OPERATIONS_WEBHOOK_SECRET": SIMULATOR_WEBHOOK_SECRET,
    }
    stack = Stack(ports, data, environment)
    try:
        with _starting(console, stack):
            _show(Demo(stack, console))
            _let_look(console)
    except (ProcessFailed, WentWrong) as failure:
        console.print(Panel(str(failure), title="It did not go as it should", border_style="red"))
        console.print(f"The logs are in {stack.logs}")
        return 1
    except KeyboardInterrupt:
        shutil.rmtree(data, ignore_errors=True)
        console.print("[yellow]Interrupted.[/]")
        return 130
    shutil.rmtree(data, ignore_errors=True)
    console.print("[bold green]All as it should be.[/] [dim]`make up` keeps it running, for you to try.[/]")
    return 0


class Demo:
    """The calls that a caller, an operator and the phone network make."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self.stack = stack
        self.console = console
        self.run_id = datetime.now(UTC).strftime("%H%M%S")

    def post(self, event_id: str, phone: str) -> tuple[int, Any]:
        event = {
            "eventId": event_id,
            "phone": phone,
            "orderId": "48151623",
            "trackingUrl": "https://example.com/track/1Z999AA10123456784",
            "consentAt": (datetime.now(UTC) - timedelta(days=30))
            .replace(hour=9, minute=0, second=0, microsecond=0)
            .isoformat(),
        }
        status, answer = ask("POST", f"{self.stack.api_url}/api/order-shipped-sms", event)
        self.console.print(f"  POST /api/order-shipped-sms  →  [bold]{status}[/] {json.dumps(answer)}", highlight=False)
        return status, answer

    def follow(self, event_id: str, until: Callable[[Any], bool], seconds: float = 40) -> Any:
        """Prints the story as it happens. Raises WentWrong when it does not come to what it should."""
        end = time.monotonic() + seconds
        seen: Any = {"eventId": event_id, "status": "pending", "timeline": []}
        with Live(self._story(seen), console=self.console, refresh_per_second=10) as live:
            while not until(seen):
                if time.monotonic() > end:
                    raise WentWrong(f"{event_id} is {seen['status']} after {seconds:g} s")
                time.sleep(0.1)
                status, answer = ask("GET", f"{self.stack.api_url}/api/notifications/{event_id}")
                if status == 200:
                    seen = answer
                    live.update(self._story(seen))
        return seen

    def on_the_phone(self, phone: str) -> int:
        _, messages = ask("GET", f"{self.stack.simulator_url}/simulator/messages?to=%2B{phone[1:]}")
        return len(messages)

    def notices(self, event_id: str) -> list[Any]:
        _, notices = ask("GET", f"{self.stack.simulator_url}/simulator/notices")
        return [notice for notice in notices if notice["data"]["eventId"] == event_id]

    def scenario(self, phone: str, **scenario: Any) -> None:
        status, _ = ask("PUT", f"{self.stack.simulator_url}/simulator/numbers/%2B{phone[1:]}", scenario)
        expect(status in (200, 204), "the simulator takes a scenario")

    def title(self, number: int, text: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{number}. {text}", align="left")

    def _story(self, seen: Any) -> Any:
        return story(seen, ui=self.stack.ui_url)


def _show(demo: Demo) -> None:
    first, refused, lost = (f"demo-{demo.run_id}-{what}" for what in ("delivered", "refused", "undelivered"))

    demo.title(1, "An order has shipped: the event becomes a delivered text")
    status, _ = demo.post(first, DELIVERED)
    expect(status == 202, "a new event is answered 202")
    delivered = demo.follow(first, lambda seen: seen["status"] == "delivered")

    demo.title(2, "The same event again: nobody is texted twice")
    status, answer = demo.post(first, DELIVERED)
    expect(status == 200 and answer["duplicate"] is True, "the repeat is answered 200 duplicate")
    expect(answer["sid"] == delivered["sid"], "the repeat names the first one's Message SID")
    count = demo.on_the_phone(DELIVERED)
    expect(count == 1, f"one text is on the phone (there are {count})")
    demo.console.print(f"  Texts on that phone: [bold]{count}[/]")

    demo.title(3, "Twilio refuses one: final, with the reason and what to do")
    demo.scenario(REFUSED, outcome="refused", errorCode=21610)
    demo.post(refused, REFUSED)
    demo.follow(refused, lambda seen: seen["status"] == "failed" and "escalated" in seen)
    expect(demo.on_the_phone(REFUSED) == 0, "a refused text is on no phone")

    demo.title(4, "One comes back undelivered: operators are told")
    demo.scenario(UNDELIVERED, outcome="undelivered", errorCode=30005)
    demo.post(lost, UNDELIVERED)
    demo.follow(lost, lambda seen: seen["status"] == "undelivered" and "escalated" in seen)
    notices = demo.notices(lost)
    expect(len(notices) == 1, f"operators got one notice (got {len(notices)})")
    told = notices[0]["data"]
    demo.console.print(
        Panel(
            f"{told['what']} {told['error']['says']}\n[bold]To do:[/] {told['error']['do']}",
            title="Operators' webhook, signed",
            title_align="left",
            border_style="red",
        )
    )
    demo.console.print()


def _let_look(console: Console) -> None:
    """The links above work while it runs; a person may want to open them."""
    if sys.stdin.isatty() and console.is_terminal:
        console.print(
            f"The links above work until you press Enter, at most for {LOOK_FOR // 60} minutes.", style="bold"
        )
        select.select([sys.stdin], [], [], LOOK_FOR)


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise WentWrong(f"It should be so that {what}.")


def ask(method: str, url: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON answer of our own parts on this machine."""
    request = urllib.request.Request(
        url,
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


@contextmanager
def _starting(console: Console, stack: Stack) -> Iterator[None]:
    if not console.is_terminal:
        console.print("Starting Temporal, the Twilio simulator, worker and API …")
    with Live(Spinner("dots", "Starting"), console=console, transient=True) as live:

        def tell(part: str) -> None:
            live.update(Spinner("dots", f"Starting {part}"))

        with running(stack, tell):
            live.update("")
            live.stop()
            console.print(
                f"Running as separate processes: API [blue]{stack.api_url}[/], Temporal UI [blue]{stack.ui_url}[/], "
                f"phones [blue]{stack.simulator_url}[/]"
            )
            yield


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _var() -> Path:
    var = Path(os.environ.get("DATA_DIR") or "var")
    var.mkdir(parents=True, exist_ok=True)
    return var.absolute()


if __name__ == "__main__":
    sys.exit(run(Console()))
