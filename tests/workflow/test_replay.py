"""Workflows that are under way during a redeploy carry on: today's code replays yesterday's histories.

One history per path of test_paths.py, and one per run of the paths of several steps. When a change is meant to alter
the order of commands, guard it with workflow.patched, keep the old histories and record the new ones beside them (see
conftest.py).
"""

import ast
import re
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from engine import data_converter
from privacy.encryption import KeyRing
from tests.workflow.conftest import HISTORIES, STEPS
from tests.world import settings_for
from workflows.notification import Notification


def replayer(tmp_path: Path) -> Replayer:
    return Replayer(
        workflows=[Notification], data_converter=data_converter(KeyRing(settings_for(tmp_path).encryption_keys))
    )


def read(name: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(name, (HISTORIES / f"{name}.json").read_text())


@pytest.mark.parametrize("history", sorted(HISTORIES.glob("*.json")), ids=lambda path: path.stem)
async def test_a_history_replays(history: Path, tmp_path: Path) -> None:
    await replayer(tmp_path).replay_workflow(read(history.stem))


def test_every_path_has_its_history() -> None:
    tree = ast.parse((Path(__file__).parent / "test_paths.py").read_text())
    paths = {node.name.removeprefix("test_") for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    recorded = {re.sub(r"-[^-]*$", "", path.stem) for path in HISTORIES.glob("*.json")}
    assert paths <= recorded


@pytest.mark.parametrize("path", sorted(STEPS))
def test_every_path_of_several_steps_has_the_histories_of_its_runs(path: str) -> None:
    assert list(HISTORIES.glob(f"{path.removeprefix('test_')}-*.json"))


async def test_a_changed_order_of_commands_is_noticed(tmp_path: Path) -> None:
    recorded = read("delivered")
    started = next(event for event in recorded.events if event.HasField("activity_task_scheduled_event_attributes"))
    started.activity_task_scheduled_event_attributes.activity_type.name = "another"
    with pytest.raises(workflow.NondeterminismError):
        await replayer(tmp_path).replay_workflow(recorded)
