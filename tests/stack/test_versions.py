"""A rolling deploy on real parts: a version that could not replay the old one's runs goes live amid them."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

import workflows
from devstack.stack import Ports, Stack, heliograph
from engine import connect
from tests.stack.test_whole import Whole
from tests.world import settings_for, stack_environment
from versions import Versions

IN_FLIGHT = int(os.environ.get("IN_FLIGHT", "30"))  # make rollout: 500
pytestmark = pytest.mark.timeout(60 + IN_FLIGHT)


class Rollout(Whole):
    """A stack whose workers have versions."""

    def __init__(self, stack: Stack, client: Client) -> None:
        super().__init__(stack)
        self.client = client

    def versions(self, *arguments: str, code: int = 0) -> str:
        """What the command says."""
        ended = subprocess.run(
            heliograph("versions", *arguments),
            cwd=self.stack.data,
            env=self.stack._environment() | {"COLUMNS": "160"},
            capture_output=True,
            text=True,
            timeout=60 + IN_FLIGHT,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout

    async def begin(self, count: int) -> list[dict[str, str]]:
        """Events whose texts Twilio has, and whose handsets say nothing yet."""
        events = [self.event() for _ in range(count)]
        places = asyncio.Semaphore(20)

        async def begin(event: dict[str, str]) -> None:
            async with places:
                await self.phones.behave(event["phone"], outcome="sent")
                while (await self.post(event)).status_code == 503:  # noqa: ASYNC110  # it comes in a crowd
                    await asyncio.sleep(0.2)
                await self.until(event["eventId"], "sent", seconds=30)

        await asyncio.gather(*(begin(event) for event in events))
        return events

    async def end(self, events: list[dict[str, str]]) -> None:
        """The handsets have them now."""
        places = asyncio.Semaphore(20)

        async def end(event: dict[str, str]) -> None:
            async with places:
                [text] = await self.phones.texts(event["phone"])
                await self.phones.move(text["sid"], "delivered")
                story = await self.until(event["eventId"], "delivered", seconds=30)
                assert (story["sid"], "escalated" in story) == (text["sid"], False)
                assert await self.phones.requests(event["phone"]) == 1

        await asyncio.gather(*(end(event) for event in events))

    async def builds(self, event: dict[str, str]) -> set[str]:
        """The versions that took a part in an event's run, which must be without a failure."""
        history = await self.workflow(event["eventId"]).fetch_history()
        assert not [e for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED]
        return {
            one.workflow_task_completed_event_attributes.deployment_version.build_id
            for one in history.events
            if one.HasField("workflow_task_completed_event_attributes")
        }

    async def stop(self, name: str) -> None:
        os.kill(self.part(name).pid, signal.SIGTERM)
        await asyncio.to_thread(self.part(name).finish, 80)


@pytest.fixture(scope="module")
def next_workflows(data: Path) -> Path:
    """The code of a next version, under which no history of this one replays."""
    place = data / "next"
    shutil.copytree(Path(workflows.__file__).parent, place / "workflows")
    file = place / "workflows" / "notification.py"
    before = "        await self._settle_in()\n"
    assert file.read_text().count(before) == 1
    pause = "        await workflow.sleep(timedelta(milliseconds=10))\n"
    file.write_text(file.read_text().replace(before, pause + before))
    return place


@pytest.fixture(scope="module")
async def rollout(data: Path) -> AsyncIterator[Rollout]:
    stack = Stack(Ports.free(), data / "rollout", {})
    stack.environment = stack_environment(stack)
    try:
        await asyncio.to_thread(stack.start_servers)
        await asyncio.to_thread(stack.start_api)
        settings = settings_for(data / "rollout-client", temporal_address=f"127.0.0.1:{stack.ports.temporal}")
        rollout = Rollout(stack, await connect(settings))
        yield rollout
        await rollout.http.aclose()
        await rollout.phones.close()
    finally:
        await asyncio.to_thread(stack.stop)


async def test_a_new_version_goes_live_amid_notifications_and_none_fails(
    rollout: Rollout, next_workflows: Path
) -> None:
    stack = rollout.stack
    await asyncio.to_thread(stack.start_worker, "worker-old", WORKER_BUILD_ID="1.0")
    assert "1.0 is current" in await asyncio.to_thread(rollout.versions, "current", "1.0")
    old = await rollout.begin(IN_FLIGHT)

    await asyncio.to_thread(stack.start_worker, "worker-new", WORKER_BUILD_ID="2.0", PYTHONPATH=str(next_workflows))
    assert "before it 1.0" in await asyncio.to_thread(rollout.versions, "current", "2.0")
    new = await rollout.begin(IN_FLIGHT // 4)
    assert f"still has {IN_FLIGHT} open runs" in await asyncio.to_thread(rollout.versions, "drain", "1.0", code=1)

    await rollout.end(old)
    assert "1.0 has finished" in await asyncio.to_thread(rollout.versions, "drain", "1.0", "--wait", "20")
    await rollout.stop("worker-old")
    await rollout.end(new)
    assert [await rollout.builds(event) for event in old] == [{"1.0"}] * len(old)
    assert [await rollout.builds(event) for event in new] == [{"2.0"}] * len(new)


async def test_the_version_before_it_comes_back(rollout: Rollout) -> None:
    versions = Versions(rollout.client, "heliograph")
    new = await rollout.begin(3)
    await asyncio.to_thread(rollout.stack.start_worker, "worker-old", WORKER_BUILD_ID="1.0")
    await versions.make_current("1.0", timedelta(seconds=20))
    old = await rollout.begin(3)
    await rollout.end([*old, *new])
    assert [await rollout.builds(event) for event in (*old, *new)] == [{"1.0"}] * 3 + [{"2.0"}] * 3
    assert await versions.drained("2.0", timedelta(seconds=20)) == 0
    await rollout.stop("worker-new")
    assert [(one.build, one.current, one.runs) for one in await versions.all()] == [("2.0", False, 0), ("1.0", True, 0)]


async def test_an_api_that_is_told_to_stop_ends_without_a_failure(rollout: Rollout) -> None:
    await rollout.stop("api")
    assert rollout.part("api").code == 0
