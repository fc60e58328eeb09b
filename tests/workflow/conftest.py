"""Records a history per path when asked: RECORD_HISTORIES=1 pytest tests/workflow/test_paths.py"""

import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.world import World

HISTORIES = Path(__file__).parent / "histories"


@pytest.fixture(autouse=True)
async def recorded(request: pytest.FixtureRequest, world: World) -> AsyncIterator[None]:
    yield
    if os.environ.get("RECORD_HISTORIES") and request.module.__name__.endswith("test_paths"):
        history = json.loads((await world.workflow(world.posted[-1]).fetch_history()).to_json())
        for event in history["events"]:
            for attributes in event.values():
                if isinstance(attributes, dict):
                    attributes.pop("identity", None)  # process and host name of who recorded it
        name = re.sub(r"^test_|\]$", "", request.node.name).replace("[", "-")
        HISTORIES.mkdir(exist_ok=True)
        (HISTORIES / f"{name}.json").write_text(json.dumps(history, indent=1, sort_keys=True) + "\n")
