"""Temporal's own UI in a real browser: an operator who has logged in reads number and text, nobody else does."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from devstack.stack import Ports, Stack, temporal_binary
from tests.browser import chromium
from tests.world import KEY, stack_environment

OPERATOR_KEY = "a-key-of-ada-for-the-tests"
PHONE = "+15558675310"
ORDER = "canary-order-2207"


@dataclass
class Desk:
    """What an operator has before him."""

    stack: Stack
    event_id: str
    context: BrowserContext
    page: Page

    async def look(self, tab: str = "timeline-tab") -> None:
        """Opens the workflow."""
        await self.page.goto(f"{self.stack.ui_url}/namespaces/default/workflows/{self.event_id}")
        await self.page.get_by_test_id(tab).click(timeout=20_000)

    async def log_in(self, key: str = OPERATOR_KEY) -> None:
        await self.page.goto(self.stack.codec_url)
        await self.page.get_by_label("Operator key").fill(key)
        await self.page.get_by_role("button", name="Log in").click()

    async def reads(self) -> None:
        await self.look()
        await expect(self.page.get_by_text(PHONE).first).to_be_visible(timeout=20_000)
        await expect(self.page.get_by_text(ORDER).first).to_be_visible()

    async def does_not_read(self) -> None:
        for tab in ("timeline-tab", "history-tab", "user-metadata-tab"):
            await self.look(tab)
            await expect(self.page.get_by_test_id("data-encoder-status-error")).to_be_visible(timeout=20_000)
            shown = await self.page.content()
            assert PHONE not in shown
            assert ORDER not in shown


@pytest.fixture(scope="module")
async def stack(data: Path) -> AsyncIterator[Stack]:
    """All that `make up` starts."""
    stack = Stack(Ports.free(), data / "ui", {}, decoding=True)
    stack.environment = stack_environment(stack) | {"CODEC_KEYS": f"ada={OPERATOR_KEY}"}
    try:
        await asyncio.to_thread(stack.start)
        yield stack
    finally:
        await asyncio.to_thread(stack.stop)


async def posted(stack: Stack, event_id: str, status: str = "delivered") -> None:
    event = {"eventId": event_id, "phone": PHONE, "orderId": ORDER, "consentAt": "2026-01-01T00:00:00Z"}
    async with httpx.AsyncClient(base_url=stack.api_url, headers={"Authorization": f"Bearer {KEY}"}) as http:
        (await http.post("/api/order-shipped-sms", json=event)).raise_for_status()
        async with asyncio.timeout(20):
            while (await http.get(f"/api/notifications/{event_id}")).json().get("status") != status:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


@pytest.fixture
async def desk(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    async with chromium() as browser:
        event_id = f"order-shipped:{request.node.name}"
        await posted(stack, event_id)
        context = await browser.new_context(viewport={"width": 1400, "height": 1200})
        yield Desk(stack, event_id, context, await context.new_page())


@pytest.fixture
async def set_up_desk(desk: Desk) -> Desk:
    """The UI as docker-compose.yml sets it up, which the development server has no flag for: it sends log-ins along."""

    async def settings(route: Route) -> None:
        answer = await route.fetch()
        found: dict[str, Any] = await answer.json()
        found["Codec"]["IncludeCredentials"] = True
        await route.fulfill(response=answer, body=json.dumps(found))

    await desk.context.route("**/api/v1/settings*", settings)
    return desk


async def test_an_operator_reads_while_he_is_logged_in(set_up_desk: Desk) -> None:
    desk = set_up_desk
    await desk.does_not_read()
    await desk.log_in("not-a-key-of-anyone")
    await expect(desk.page.get_by_text("This is no operator's key.")).to_be_visible()
    await desk.does_not_read()
    await desk.log_in()
    await expect(desk.page.get_by_text("Logged in as ada")).to_be_visible()
    await desk.reads()
    await desk.page.goto(desk.stack.codec_url)
    await desk.page.get_by_role("button", name="Log out").click()
    await expect(desk.page.get_by_label("Operator key")).to_be_visible()
    await desk.does_not_read()


async def test_with_make_up_the_ui_is_told_once_to_send_the_log_in_along(desk: Desk) -> None:
    page = desk.page
    await desk.log_in()
    await expect(page.get_by_text("Logged in as ada")).to_be_visible()
    await desk.does_not_read()
    await page.get_by_test_id("data-encoder-status-error").click()
    await page.get_by_text("Use my browser setting").click()
    await page.get_by_role("dialog").get_by_role("textbox").first.fill(desk.stack.codec_url)
    await page.get_by_text("Include cross-origin credentials").click()
    await page.get_by_role("button", name="Apply").click()
    await desk.reads()


async def test_the_temporal_command_reads_with_an_operators_key(stack: Stack) -> None:
    event_id = "order-shipped:on-the-command-line"
    await posted(stack, event_id)
    show = [
        temporal_binary(), "workflow", "show", "--detailed", "--workflow-id", event_id,
        "--address", f"127.0.0.1:{stack.ports.temporal}", "--codec-endpoint", stack.codec_url,
    ]  # fmt: skip
    for auth, reads in ((f"Bearer {OPERATOR_KEY}", True), ("Bearer not-a-key-of-anyone", False)):
        asked = [*show, "--codec-auth", auth]
        ended = await asyncio.to_thread(subprocess.run, asked, capture_output=True, text=True, timeout=30)
        assert (ended.returncode == 0) is reads
        assert (PHONE in ended.stdout) is reads


async def test_who_was_forgotten_is_forgotten_there_too(set_up_desk: Desk) -> None:
    """The last but one: the phone is that of all."""
    desk = set_up_desk
    async with httpx.AsyncClient() as http:  # a text on its way: the history of one that has ended goes at once
        await http.put(f"{desk.stack.simulator_url}/simulator/numbers/{PHONE}", json={"finalAfter": 600})
    desk.event_id = "order-shipped:on-its-way"
    await posted(desk.stack, desk.event_id, "sent")
    await desk.log_in()
    await desk.reads()
    async with httpx.AsyncClient(base_url=desk.stack.api_url, headers={"Authorization": f"Bearer {KEY}"}) as http:
        (await http.delete(f"/api/recipients/{PHONE}")).raise_for_status()
    await desk.look()
    await expect(desk.page.get_by_text("erased: the recipient was forgotten").first).to_be_visible(timeout=20_000)
    assert PHONE not in await desk.page.content()


def test_nothing_that_was_read_and_no_key_is_in_a_log(stack: Stack) -> None:
    written = {path.stem: path.read_text() for path in stack.logs.glob("*.log")}
    assert "operator=ada" in written["codec"]
    for secret in (PHONE[1:], ORDER, OPERATOR_KEY, "not-a-key-of-anyone"):
        assert not [name for name, text in written.items() if secret in text]
