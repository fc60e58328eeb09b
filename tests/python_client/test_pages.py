"""What the pages show works as it stands there."""

import asyncio
import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.python_client.test_package import ROOT
from tests.receiver import NEXT_SECRET, SECRET
from tests.world import KEY, World


def program(page: str, number: int) -> str:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)[number]


async def run(source: str, **environment: str) -> str:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT / "clients" / "python" / "src"), "PATH": os.defpath, **environment},
    )  # fmt: skip
    out, err = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0, err.decode()
    return out.decode()


async def test_the_readmes_ten_lines(world: World) -> None:
    source = program("README.md", 0)
    assert "any-key-in-development" in source
    source = source.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{world.settings.port}")
    said = await run(source.replace("any-key-in-development", KEY))
    assert "what='claimed'" in said
    assert "DELIVERED" in said
    assert "5558675310" not in said


async def test_the_clients_own_page_posts_and_follows(world: World) -> None:
    url = f"http://127.0.0.1:{world.settings.port}"
    said = await run(program("clients/python/README.md", 0), HELIOGRAPH_URL=url, HELIOGRAPH_API_KEY=KEY)
    assert re.search(r"^taken (sent|delivered) SM", said, re.MULTILINE)
    assert "your appointment A-1208 is on" in said
    assert said.endswith("\ndelivered\n")


async def test_the_clients_own_page_receives(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("HELIOGRAPH_WEBHOOK_SECRETS", f"{NEXT_SECRET} {SECRET}")
    page: dict[str, Any] = {}
    exec(compile(program("clients/python/README.md", 1), Path(ROOT, "README.md"), "exec"), page)
    error = {"says": "", "do": "call him", "acts": "", "url": ""}
    data = {"eventId": "order:1", "kind": "order-shipped", "leg": 1, "status": "undelivered", "error": error}
    told = {"type": "notification.undelivered", "timestamp": "2026-11-24T09:30:00Z", "data": data}
    body = json.dumps(told)
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "order:1/1/undelivered",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("order:1/1/undelivered", now, body),
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(page["app"]), base_url="http://shop") as shop:
        for _ in range(2):
            assert (await shop.post("/heliograph", content=body, headers=headers)).status_code == 204
        assert (await shop.post("/heliograph", content=body + " ", headers=headers)).status_code == 403
    assert capsys.readouterr().out == "order:1 undelivered call him\n"
