"""`make screenshots`: takes the pictures of docs/operators.md, on a stack of its own."""

import asyncio
import sys
import tempfile
import urllib.parse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Page

from devstack.stack import Ports, Stack
from tests.browser import chromium
from tests.views import views
from tests.world import KEY, stack_environment

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
ENDS = 40  # seconds


class Day:
    """What happens on one."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.api = httpx.AsyncClient(base_url=stack.api_url, headers={"Authorization": f"Bearer {KEY}"})
        self.phones = httpx.AsyncClient(base_url=stack.simulator_url)

    async def post(self, kind: str, event_id: str, status: str, **fields: Any) -> None:
        event = {"eventId": event_id, "consentAt": datetime.now(UTC).isoformat(), **fields}
        (await self.api.post(f"/api/{kind}-sms", json=event)).raise_for_status()
        async with asyncio.timeout(ENDS):
            while (await self.api.get(f"/api/notifications/{event_id}")).json().get("status") != status:  # noqa: ASYNC110
                await asyncio.sleep(0.2)

    async def behave(self, phone: str, **scenario: Any) -> None:
        (await self.phones.put(f"/simulator/numbers/{phone}", json=scenario)).raise_for_status()

    async def happens(self) -> None:
        for number in range(3):
            await self.post(
                "order-shipped", f"order-shipped:4815{number}", "delivered",
                phone=f"+1555867530{number}", orderId=f"4815{number}",
            )  # fmt: skip
        for number, code in ((4, 30003), (5, 30007)):
            phone = f"+1555867530{number}"
            await self.behave(phone, outcome="undelivered", errorCode=code)
            await self.post(
                "order-shipped", f"order-shipped:4815{number}", "undelivered", phone=phone, orderId=f"4815{number}"
            )
        await self.behave("+15558675306", outcome="refused", errorCode=21211)
        await self.post("support-ack", "support:T-20417", "failed", phone="+15558675306", ticketId="T-20417")
        await self.post(
            "appointment-reminder", "appointment:A-1207", "held", phone="+15558675307", appointmentId="A-1207",
            startsAt="2030-12-02T09:30:00-06:00", timeZone="America/Chicago", remindBefore=["PT24H", "PT2H"],
        )  # fmt: skip


async def shot(page: Page, url: str, name: str, tab: str | None = None) -> None:
    await page.goto(url)
    if tab is not None:
        await page.get_by_test_id(tab).click(timeout=20_000)
    await page.wait_for_timeout(2_500)
    await page.screenshot(path=PICTURES / f"{name}.png")


async def take(stack: Stack) -> None:
    await Day(stack).happens()
    listed = f"{stack.ui_url}/namespaces/default/workflows"
    query = "NotificationKind IS NOT NULL AND Escalated = true"
    async with chromium() as browser:
        page = await (await browser.new_context(viewport={"width": 1500, "height": 760})).new_page()
        await shot(page, f"{listed}?query={urllib.parse.quote(query)}", "escalated")
        await shot(page, f"{listed}/order-shipped:48155", "details", "user-metadata-tab")
        await page.set_viewport_size({"width": 1500, "height": 1220})  # below what went in and came out
        await shot(page, f"{listed}/order-shipped:48155", "timeline", "timeline-tab")


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    assert views()
    with tempfile.TemporaryDirectory(prefix="hg", ignore_cleanup_errors=True) as folder:
        stack = Stack(Ports.free(), Path(folder), {})
        stack.environment = stack_environment(stack)
        try:
            stack.start()
            asyncio.run(take(stack))
        finally:
            stack.stop()


if __name__ == "__main__":
    sys.exit(main())
