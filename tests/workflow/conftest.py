"""Records a history per path when asked: RECORD_HISTORIES=1 pytest -n 0 tests/workflow"""

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.world import World

HISTORIES = Path(__file__).parent / "histories"
# Paths of several runs, besides all of test_paths.py.
STEPS = {
    "test_each_reminder_is_a_text_of_its_own_under_one_event",
    "test_an_appointment_that_is_moved_is_reminded_of_at_its_new_time",
    "test_a_reminder_whose_quiet_hours_end_after_the_appointment_is_dropped_as_expired",
    "test_it_climbs_while_nobody_acknowledges_and_tells_operators_in_the_end",
    "test_recovery_stops_the_ladder_and_tells_those_who_were_alerted",
    "test_acknowledging_what_was_folded_acknowledges_its_incident",
}


@pytest.fixture(autouse=True)
async def recorded(request: pytest.FixtureRequest, world: World) -> AsyncIterator[None]:
    begin = len(world.posted)
    yield
    if not os.environ.get("RECORD_HISTORIES"):
        return
    name = re.sub(r"^test_|\]$", "", request.node.name).replace("[", "-")
    if request.module.__name__.endswith("test_paths"):
        await record(world, world.posted[-1], None, name)
    elif request.node.name in STEPS:
        runs = [
            (event_id, execution.run_id)
            for event_id in dict.fromkeys(world.posted[begin:])
            async for execution in world.client.list_workflows(f"WorkflowId = '{event_id}'")
        ]
        for number, (event_id, run_id) in enumerate(runs, 1):
            await record(world, event_id, run_id, f"{name}-{number}")


async def record(world: World, event_id: str, run_id: str | None, name: str) -> None:
    handle = world.client.get_workflow_handle(event_id, run_id=run_id)
    history = json.loads((await handle.fetch_history()).to_json())
    for event in history["events"]:
        for attributes in event.values():
            if isinstance(attributes, dict):
                attributes.pop("identity", None)  # process and host name of who recorded it
    HISTORIES.mkdir(exist_ok=True)
    text = re.sub(r"\d+@[\w.-]+", "worker", json.dumps(history, indent=1, sort_keys=True))  # sticky queues are named so
    (HISTORIES / f"{name}.json").write_text(text + "\n")
