"""Alerts against a crowd: a storm of them is two texts. That they overtake a backlog is in test_account_rate.py."""

import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import func, select
from temporalio.client import Client

from devstack.stack import Ports, Stack
from engine import connect
from settings import Settings
from store.database import Database
from store.schema import alerts
from tests.world import Phones, bootstrapped, free_port, living, settings_for

pytestmark = pytest.mark.timeout(300)

ALERTS = int(os.environ.get("ALERTS", "300"))  # a thousand in the long form
WINDOW = 20 if ALERTS <= 300 else 45  # seconds
ON_CALL = "+15557770001"


@asynccontextmanager
async def parts(tmp_path: Path, **overrides: Any) -> AsyncIterator[tuple[Settings, Client, Phones]]:
    """A Temporal server and a simulator of our own, so that nobody else's tests wait behind the crowd."""
    stack = Stack(Ports.free(), tmp_path / "stack", {})
    stack.data.mkdir()
    try:
        stack.start_temporal()
        stack.start_simulator()
        settings = settings_for(
            tmp_path / "world",
            port=free_port(),
            temporal_address=f"127.0.0.1:{stack.ports.temporal}",
            simulator_port=stack.ports.simulator,
            **overrides,
        )
        client = await connect(settings)
        await bootstrapped(settings, client)
        phones = Phones(stack.simulator_url)
        yield settings, client, phones
        await phones.close()
    finally:
        stack.stop()


def alert(number: int, group: str) -> dict[str, Any]:
    return {
        "eventId": f"alert-{number}",
        "groupKey": group,
        "service": "checkout-api",
        "severity": "critical",
        "summary": "it is on fire",
        "contacts": [{"phone": ON_CALL}],
        "consentAt": "2026-01-01T00:00:00Z",
    }


def told_of(body: str) -> int:
    """How many alerts a text tells of."""
    several = re.fullmatch(r"CRITICAL checkout-api: and (\d+) more alerts\. Last: it is on fire", body)
    return int(several.group(1)) if several else 1


async def admitted(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(alerts))).scalar_one())


async def test_hundreds_of_alerts_at_once_are_two_texts_and_each_can_be_traced(tmp_path: Path) -> None:
    async with (
        parts(tmp_path, storm_window_seconds=WINDOW, recipient_caps="") as (settings, client, phones),
        living(settings, client, phones) as world,
    ):
        places = asyncio.Semaphore(50)

        async def post(number: int) -> None:
            async with places:
                assert (await world.insist(alert(number, "fire"), "incident-alert")).status_code == 202

        began = monotonic()
        await asyncio.gather(*(post(number) for number in range(ALERTS)))
        async with asyncio.timeout(180):
            while await admitted(world.database) < ALERTS:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            windows = 1 + int((monotonic() - began) / WINDOW)  # one, unless the machine is slow
            while sum(told_of(text["body"]) for text in await phones.texts(ON_CALL)) < ALERTS:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        first, *digests = (text["body"] for text in await phones.texts(ON_CALL))
        stories = [await world.story(f"alert-{number}") for number in range(ALERTS)]
        assert first.startswith("CRITICAL checkout-api: it is on fire")
        assert 1 <= len(digests) <= windows
        senders = [story["eventId"] for story in stories if story["status"] != "suppressed"]
        assert len(senders) == 1 + len(digests)
        into = Counter(
            story["timeline"][-1]["detail"].removeprefix("folded into ")
            for story in stories
            if story["status"] == "suppressed"
        )
        assert into.total() + len(senders) == ALERTS
        alone = [1] * (len(digests) - len(into))
        assert sorted(map(told_of, digests)) == sorted([count + 1 for count in into.values()] + alone)
        await world.http.post("/api/notifications/alert-0/acknowledge")
