"""A real browser for what people see: Debian's Chromium, without a window."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

# It asks nobody on the internet for anything, not even where somebody is.
FLAGS = [
    "--no-sandbox",  # CI is root
    "--disable-quic",
    "--disable-background-networking",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Skips the test where there is none, unless REQUIRE_BROWSER is set."""
    path = shutil.which("chromium")
    if path is None:
        says = "no chromium here: apt-get install chromium"
        pytest.fail(says) if os.environ.get("REQUIRE_BROWSER") else pytest.skip(says)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()
