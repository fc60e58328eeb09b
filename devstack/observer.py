"""What the demo does as a caller, an operator and a person with a phone, and how it shows what comes of it."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.live import Live

from devstack.stack import Stack
from terminal import story

KEY = "demonstration-key"


class WentWrong(Exception):
    """Something did not go as it should."""


class Observer:
    """The calls that a caller, an operator and the phone network make."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self.stack = stack
        self.console = console
        self.run_id = datetime.now(UTC).strftime("%H%M%S")

    def post(
        self, kind: str, name: str, fields: dict[str, Any], *, expected: int = 202, quietly: bool = False
    ) -> dict[str, Any]:
        """Posts an event under this run's ID of `name`; what was posted and answered. Raises WentWrong."""
        consent = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
        event = {"eventId": self._id(name), "consentAt": consent.isoformat()} | fields
        event = {field: value for field, value in event.items() if value is not None}
        answer = self.call(f"/api/{kind}-sms", event, expected, quietly=quietly)
        return event | {"answer": answer}

    def call(self, path: str, body: Any, expected: int, *, quietly: bool = False, hidden: bool = False) -> Any:
        """One POST to the API, shown with its answer; `hidden` leaves out what it sent. Raises WentWrong."""
        status, answer = ask("POST", f"{self.stack.api_url}{path}", body)
        if not quietly:
            self.console.print(f"  POST {path}  →  [bold]{status}[/] {json.dumps(answer)}", highlight=False)
        expect(status == expected, f"{path} answers {expected} (it answered {status})")
        return answer

    def follow(self, name: str, until: Callable[[Any], bool], seconds: float = 40) -> Any:
        """Prints the story as it happens. Raises WentWrong when it does not come to what it should."""
        event_id = self._id(name)
        end = time.monotonic() + seconds
        seen: Any = {"eventId": event_id, "status": "pending", "attempts": 0, "timeline": []}
        with Live(story(seen), console=self.console, refresh_per_second=10) as live:
            while not until(seen):
                if time.monotonic() > end:
                    raise WentWrong(f"{event_id} is {seen['status']} after {seconds:g} s")
                time.sleep(0.1)
                status, answer = ask("GET", f"{self.stack.api_url}/api/notifications/{event_id}")
                if status == 200:
                    seen = {"attempts": 0, "timeline": []} | answer
                    live.update(story(seen))
        return seen

    def texts(self, phone: str) -> list[str]:
        """What is on a phone."""
        _, messages = ask("GET", f"{self.stack.simulator_url}/simulator/messages?to=%2B{phone[1:]}")
        return [message["body"] for message in messages]

    def calls(self, phone: str) -> list[Any]:
        _, calls = ask("GET", f"{self.stack.simulator_url}/simulator/calls?to=%2B{phone[1:]}")
        found: list[Any] = calls
        return found

    def code(self, phone: str) -> str:
        """What the person reads who logs in."""
        _, verification = ask("GET", f"{self.stack.simulator_url}/simulator/verifications/%2B{phone[1:]}")
        return str(verification["code"])

    def notices(self, name: str) -> list[Any]:
        _, notices = ask("GET", f"{self.stack.simulator_url}/simulator/notices")
        return [notice for notice in notices if notice["data"]["eventId"] == self._id(name)]

    def behave(self, phone: str, **scenario: Any) -> None:
        """Sets what happens to texts and calls to a phone."""
        status, _ = ask("PUT", f"{self.stack.simulator_url}/simulator/numbers/%2B{phone[1:]}", scenario)
        expect(status in (200, 204), "the simulator takes a scenario")

    def _id(self, name: str) -> str:
        return f"demo-{self.run_id}-{name}"

    def title(self, number: int, text: str) -> None:
        self.console.print()
        self.console.rule(f"[bold]{number}. {text}", align="left")


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
