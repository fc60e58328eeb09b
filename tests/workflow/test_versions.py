"""Workers with versions: which runs end on theirs, which go along, and what the doctor says of it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.common import WorkerDeploymentVersion
from temporalio.testing import TimeSkipper
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

import versions
from doctor import Finding, Verdict, examine
from engine import connect
from store.database import Database
from tests.receiver import SECRET, Receiver, receiving
from tests.workflow.test_reminders import appointment, ask, post
from tests.world import World, bootstrapped, free_port, serving, settings_for
from versions import Versions
from worker import collaborators, workers

SOON = timedelta(seconds=20)


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@asynccontextmanager
async def without_workers(world: World, data: Path, **overrides: Any) -> AsyncIterator[World]:
    """A world with a namespace and a database of its own, in which nobody works yet."""
    settings = settings_for(
        data,
        port=free_port(),
        temporal_address=world.settings.temporal_address,
        temporal_namespace=f"versions-{uuid.uuid4().hex[:8]}",
        simulator_port=world.settings.simulator_port,
        **overrides,
    )
    client = await connect(settings)
    await bootstrapped(settings, client)
    database = Database(settings.database)
    async with serving(settings):
        idle = World(settings, client, database, world.phones)
        yield idle
        await idle.http.aclose()
    await database.close()


@pytest.fixture(scope="module")
async def idle(world: World, shop: Receiver, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    told = {"events_webhook_url": shop.url, "events_webhook_secret": SECRET}
    async with without_workers(world, tmp_path_factory.mktemp("versions"), **told) as idle:
        yield idle


@asynccontextmanager
async def working(idle: World, build: str, *, current: bool = True) -> AsyncIterator[Versions]:
    """Workers of this version."""
    name = idle.settings.worker_deployment_name
    async with staffed(idle, WorkerDeploymentVersion(name, build)):
        deployment = Versions(idle.client, name)
        if current:
            await deployment.make_current(build, SOON)
        yield deployment


@asynccontextmanager
async def staffed(idle: World, version: WorkerDeploymentVersion | None = None) -> AsyncIterator[None]:
    """Workers, of this version or of none."""
    async with AsyncExitStack() as stack:
        parts = await stack.enter_async_context(collaborators(idle.settings, idle.database, idle.client))
        for worker in workers(idle.client, parts, runner=SandboxedWorkflowRunner(), version=version):
            await stack.enter_async_context(worker)
        yield


async def builds(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """The versions that a run's tasks were done by, in their order."""
    history = await handle.fetch_history()
    done = [one.workflow_task_completed_event_attributes for one in history.events]
    return list(dict.fromkeys(one.deployment_version.build_id for one in done if one.deployment_version.build_id))


async def sent(idle: World) -> dict[str, Any]:
    """An event whose text Twilio has, and whose handset says nothing."""
    event = idle.event()
    await idle.phones.behave(event["phone"], outcome="sent")
    await idle.post(event)
    await idle.until(event["eventId"], "sent")
    return event


async def delivered(idle: World, event: dict[str, Any]) -> None:
    """The handset has it, and its workflow has ended."""
    [text] = await idle.phones.texts(event["phone"])
    await idle.phones.move(text["sid"], "delivered")
    async with asyncio.timeout(20):
        await idle.workflow(event["eventId"]).result()
    assert await idle.phones.requests(event["phone"]) == 1


async def held(idle: World) -> dict[str, Any]:
    """A reminder of an appointment in three days."""
    event = appointment(idle, timedelta(days=3), "PT24H")
    await post(idle, event)
    await idle.until(event["eventId"], "held")
    return event


async def until_listed(deployment: Versions, build: str, runs: int) -> None:
    """Temporal's list of runs lags a little."""
    async with asyncio.timeout(10):
        while await deployment.runs(build) != runs:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def found(idle: World, what: str) -> list[Finding]:
    return [one async for one in examine(idle.settings) if one.what.startswith(what)]


async def test_without_a_current_version_all_wait_and_the_doctor_says_so(world: World, tmp_path: Path) -> None:
    async with without_workers(world, tmp_path) as idle, working(idle, "0.9", current=False) as deployment:
        waiting = await found(idle, "workers on")
        assert [(one.verdict, one.do) for one in waiting] == [
            (Verdict.BAD, "run `heliograph versions current 0.9`")
        ] * 3
        await deployment.make_current("0.9", SOON)
        working_now = await found(idle, "workers on")
        assert [one.verdict for one in working_now] == [Verdict.GOOD] * 3
        assert all("0.9 is current" in one.says for one in working_now)
        with pytest.raises(versions.NotSwitched, match="do not poll heliograph, heliograph-send"):
            await deployment.make_current("0.10", timedelta(0))
        assert await deployment.current() == "0.9"


async def test_a_run_that_starts_over_takes_the_current_version(idle: World) -> None:
    async with working(idle, "1.0"):
        event = await held(idle)
        first = idle.client.get_workflow_handle(
            event["eventId"], run_id=(await idle.workflow(event["eventId"]).describe()).run_id
        )
        async with working(idle, "1.1") as deployment:
            moved = appointment(idle, timedelta(days=9), "PT24H")["startsAt"]
            assert (await ask(idle, event, "reschedule", startsAt=moved)).status_code == 200
            await until_listed(deployment, "1.1", 1)
            assert await builds(first) == ["1.0"]
            assert await builds(idle.workflow(event["eventId"])) == ["1.1"]
            assert (await ask(idle, event, "cancel")).status_code == 200


async def test_what_is_held_is_handed_over_and_what_is_on_its_way_is_finished(
    idle: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as ended:
        await ended.enter_async_context(working(idle, "2.1", current=False))
        async with working(idle, "2.0") as deployment:
            waits, under_way = await held(idle), await sent(idle)
            await deployment.make_current("2.1", SOON)
            await until_listed(deployment, "2.0", 2)
            assert [(one.verdict, one.says) for one in await found(idle, "version 2.0")] == [
                (Verdict.GOOD, "finishes 2 runs, 1 of them held")
            ]
            assert await deployment.move("2.0", held_only=True) == 1
            await until_listed(deployment, "2.0", 1)
        assert (await ask(idle, waits, "cancel")).status_code == 200
        assert await builds(idle.workflow(waits["eventId"])) == ["2.0", "2.1"]

        monkeypatch.setattr(versions, "POLLED_WITHIN", timedelta(0))  # as it is some time later
        [left] = await found(idle, "version 2.0")
        assert (left.verdict, "versions move 2.0 --all" in left.do) == (Verdict.BAD, True)
        monkeypatch.undo()
        assert await deployment.move("2.0", held_only=False) == 1
        await delivered(idle, under_way)
        assert await deployment.drained("2.0", SOON) == 0
        assert await builds(idle.workflow(under_way["eventId"])) == ["2.0", "2.1"]


async def test_a_run_that_is_reset_takes_the_current_version_and_texts_nobody(idle: World) -> None:
    async with working(idle, "3.0"):
        event = idle.event()
        await idle.post(event)
        await idle.until(event["eventId"], "delivered")
    async with working(idle, "3.1"):
        await idle.reset(event)
        async with asyncio.timeout(20):
            await idle.workflow(event["eventId"]).result()
        assert (await builds(idle.workflow(event["eventId"])))[-1] == "3.1"
        assert await idle.phones.requests(event["phone"]) == 1


async def test_a_webhook_that_nobody_took_is_tried_on_by_the_current_version(idle: World, shop: Receiver) -> None:
    shop.status = 500
    async with AsyncExitStack() as ended:
        await ended.enter_async_context(working(idle, "4.1", current=False))
        async with working(idle, "4.0") as deployment:
            event = idle.event()
            await idle.post(event)
            webhook = idle.client.get_workflow_handle(f"webhook/{event['eventId']}/1/delivered")
            async with asyncio.timeout(20):
                while f"{event['eventId']}/1/delivered" not in shop.tries:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await deployment.make_current("4.1", SOON)
            assert await deployment.drained("4.0", SOON) == 0
        shop.status = 204
        async with asyncio.timeout(60):
            with suppress(Exception):
                await TimeSkipper(idle.client).fast_forward(webhook)
            await webhook.result()
        assert len(shop.told(event["eventId"])) == 1
        assert await builds(webhook) == ["4.0", "4.1"]


async def test_versions_are_taken_up_and_given_up_amid_notifications(idle: World) -> None:
    async with AsyncExitStack() as ended:
        deployment = await ended.enter_async_context(working(idle, "5.0", current=False))
        await deployment.make_current(None, SOON)
        async with staffed(idle):
            before = await sent(idle)
            await deployment.make_current("5.0", SOON)
        await delivered(idle, before)
        assert await builds(idle.workflow(before["eventId"])) == ["5.0"]
        async with staffed(idle):
            await deployment.make_current(None, SOON)
            after = await sent(idle)
            await delivered(idle, after)
        assert await builds(idle.workflow(after["eventId"])) == []
