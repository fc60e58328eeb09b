"""The world that the tests live in: real servers, real databases, real HTTP."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from api.server import server
from bootstrap import bootstrap
from devstack.processes import free_ports
from devstack.stack import Stack
from engine import connect
from notifications.notification import Outcome
from settings import SIMULATOR_WEBHOOK_SECRET, Settings, load_settings
from store.database import Database
from store.migrate import migrate
from worker import collaborators, workers
from workflows.dispatch import Dispatch, Run

KEY = "a-key-for-the-tests"
PAYLOAD_KEYS = "test:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
_numbers = itertools.count(1)


def settings_for(data: Path, **overrides: Any) -> Settings:
    """Settings that no environment and no `.env` of the developer's gets into."""
    values: dict[str, Any] = {
        "_env_file": None,
        "data_dir": data,
        "api_keys": f"shop={KEY},other=another-key-for-the-tests",
        "payload_keys": PAYLOAD_KEYS,
        "pii_hash_key": "a-hash-key-for-the-tests",
        "twilio_read_timeout_seconds": 1.0,
        "operations_webhook_secret": SIMULATOR_WEBHOOK_SECRET,
        "log_level": "WARNING",
    }
    return load_settings(**values | overrides)


class Phones:
    """The simulator, as tests set it up and read it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.AsyncClient(base_url=url, timeout=10)

    async def behave(self, phone: str, **scenario: Any) -> None:
        (await self._http.put(f"/simulator/numbers/{phone}", json=scenario)).raise_for_status()

    async def texts(self, phone: str) -> list[dict[str, Any]]:
        return (await self._http.get("/simulator/messages", params={"to": phone})).json()

    async def requests(self, phone: str) -> int:
        return (await self._http.get("/simulator/requests")).json().get(phone, 0)

    async def calls(self, phone: str) -> list[dict[str, Any]]:
        return (await self._http.get("/simulator/calls", params={"to": phone})).json()

    async def press(self, sid: str, digits: str) -> None:
        (await self._http.post(f"/simulator/calls/{sid}/press", json={"digits": digits})).raise_for_status()

    async def reply(self, phone: str, body: str) -> dict[str, Any]:
        """What a person writes back; how it was answered."""
        answer = await self._http.post(f"/simulator/phones/{phone}/reply", json={"body": body})
        return answer.raise_for_status().json()

    async def requested(self) -> dict[str, int]:
        """How many texts were asked for, by recipient."""
        return (await self._http.get("/simulator/requests")).json()

    async def move(self, sid: str, status: str, error_code: int | None = None) -> None:
        body = {"status": status, "errorCode": error_code}
        (await self._http.post(f"/simulator/messages/{sid}/callback", json=body)).raise_for_status()

    async def notices(self, event_id: str) -> list[dict[str, Any]]:
        notices = (await self._http.get("/simulator/notices")).json()
        return [notice for notice in notices if notice["data"]["eventId"] == event_id]

    async def close(self) -> None:
        await self._http.aclose()


class World:
    """One API and one worker of ours on a real Temporal server, a real database and the simulator."""

    def __init__(self, settings: Settings, client: Client, database: Database, phones: Phones) -> None:
        self.settings = settings
        self.client = client
        self.database = database
        self.phones = phones
        self.posted: list[str] = []
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{settings.port}", headers={"Authorization": f"Bearer {KEY}"}, timeout=30
        )

    def event(self, **fields: Any) -> dict[str, Any]:
        """An order-shipped event of its own, to a phone of its own."""
        number = next(_numbers)
        event = {
            "eventId": f"order-shipped:{number}:{datetime.now(UTC):%H%M%S%f}",
            "phone": f"+1555{2_000_000 + number}",
            "orderId": str(number),
            "consentAt": (datetime.now(UTC) - timedelta(days=1)).isoformat(),
        }
        return {name: value for name, value in (event | fields).items() if value is not None}

    async def post(self, event: dict[str, Any], **headers: str) -> httpx.Response:
        self.posted.append(event["eventId"])
        return await self.http.post("/api/order-shipped-sms", json=event, headers=headers)

    async def story(self, event_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/api/notifications/{event_id}")
        return answer.json() if answer.status_code == 200 else {"status": "nothing", "timeline": []}

    async def until(
        self, event_id: str, holds: Callable[[dict[str, Any]], bool] | str, seconds: float = 15
    ) -> dict[str, Any]:
        """The story, as soon as a condition holds or it has a status."""
        story: dict[str, Any] = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    story = await self.story(event_id)
                    if story["status"] == holds if isinstance(holds, str) else holds(story):
                        return story
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"after {seconds} s it is {story}") from None

    async def run(self, event_id: str) -> Run | None:
        """The latest run of an event's workflow."""
        return await Dispatch(self.client).run(event_id)

    async def attempts(self, event: dict[str, Any]) -> int:
        """How often Temporal ran the send, look-ups before a further POST included."""
        history = await self.workflow(event["eventId"]).fetch_history()
        started = [one.activity_task_started_event_attributes for one in history.events]
        return started[next(n for n, one in enumerate(started) if one.attempt)].attempt

    async def delete(self, event: dict[str, Any]) -> None:
        """Makes Temporal forget an event: as an operator may by hand, as retention and a restored backup do."""
        await self.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=self.client.namespace, workflow_execution=WorkflowExecution(workflow_id=event["eventId"])
            )
        )
        async with asyncio.timeout(10):
            while await self.run(event["eventId"]) is not None:  # noqa: ASYNC110  # the server has no word for it
                await asyncio.sleep(0.05)

    async def reset(self, event: dict[str, Any]) -> str:
        """Presses Reset in Temporal's UI: runs the event's workflow again from its start; the new run's ID."""
        execution = WorkflowExecution(
            workflow_id=event["eventId"], run_id=(await self.workflow(event["eventId"]).describe()).run_id
        )
        answer = await self.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=execution,
                reason="the test presses the button",
                workflow_task_finish_event_id=3,
                request_id=execution.run_id,
            )
        )
        return answer.run_id

    def workflow(self, event_id: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(event_id)

    async def outcome(self, event: dict[str, Any]) -> Outcome:
        """How the workflow ends, with its clock leaping over every wait from now on."""
        handle = self.client.get_workflow_handle(event["eventId"], result_type=Outcome)
        async with asyncio.timeout(60):
            with suppress(RPCError):  # it has ended already
                await TimeSkipper(self.client).fast_forward(handle)
            return await handle.result()

    async def leap(self, event: dict[str, Any]) -> None:
        """Lets the clock of the run that is open leap over every wait until it ends, or starts over."""
        run = await self.workflow(event["eventId"]).describe()
        handle = self.client.get_workflow_handle(event["eventId"], run_id=run.run_id)
        with suppress(RPCError):
            await TimeSkipper(self.client).fast_forward(handle)

    async def attribute(self, event_id: str, key: Any) -> Any:
        return (await self.workflow(event_id).describe()).typed_search_attributes.get(key)


@asynccontextmanager
async def living(settings: Settings, client: Client, phones: Phones) -> AsyncIterator[World]:
    """API and worker, started; bootstrap has run before."""
    async with AsyncExitStack() as stack:
        database = Database(settings.database)
        stack.push_async_callback(database.close)
        parts = await stack.enter_async_context(collaborators(settings, database, client))
        for worker in workers(client, parts, runner=SandboxedWorkflowRunner()):
            await stack.enter_async_context(worker)
        await stack.enter_async_context(serving(settings))
        world = World(settings, client, database, phones)
        try:
            yield world
        finally:
            await world.http.aclose()


@asynccontextmanager
async def another(world: World, data: Path, **overrides: Any) -> AsyncIterator[World]:
    """A world under other settings: on the same servers, with a namespace and a database of its own."""
    settings = settings_for(
        data,
        port=free_port(),
        temporal_address=world.settings.temporal_address,
        temporal_namespace=f"world-{uuid.uuid4().hex[:8]}",
        simulator_port=world.settings.simulator_port,
        **{"operations_webhook_url": world.settings.operations_webhook_url, **overrides},
    )
    client = await connect(settings)
    await bootstrapped(settings, client)
    async with living(settings, client, world.phones) as other:
        yield other


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[None]:
    """The API, listening on its port."""
    async with listening(server(settings)):
        yield


@asynccontextmanager
async def listening(http: uvicorn.Server) -> AsyncIterator[None]:
    task = asyncio.create_task(http._serve())
    for _ in range(500):
        if http.started:
            break
        await asyncio.sleep(0.02)
    else:
        raise AssertionError("the server did not start")
    try:
        yield
    finally:
        http.should_exit = True
        await task


async def bootstrapped(settings: Settings, client: Client) -> list[str]:
    database = Database(settings.database)
    try:
        return [line async for line in bootstrap(settings, client, database)]
    finally:
        await database.close()


async def migrated(url: str) -> None:
    database = Database(url)
    try:
        await migrate(database)
    finally:
        await database.close()


def free_port() -> int:
    return free_ports(1)[0]


def stack_environment(stack: Stack) -> dict[str, str]:
    """What the parts of a stack get in tests."""
    return {
        "API_KEYS": f"shop={KEY}",
        "OPERATIONS_WEBHOOK_URL": f"{stack.simulator_url}/operators/webhook",
        "OPERATIONS_WEBHOOK_SECRET": SIMULATOR_WEBHOOK_SECRET,
    }
