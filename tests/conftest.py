"""The parts that tests share, each started once."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from devstack.stack import TEMPORAL_FLAGS, Ports, Stack
from engine import connect
from store.database import Database
from store.migrate import migrate
from store.schema import metadata
from tests.postgres import start
from tests.world import (
    Phones,
    World,
    bootstrapped,
    living,
    settings_for,
)

# Lets a test make one workflow's clock leap; its name changed between versions of the server.
LEAPING = (
    "--dynamic-config-value frontend.WorkflowTimeSkippingEnabled=true",
    "--dynamic-config-value system.workflowTimeSkippingEnabled=true",
    '--dynamic-config-value history.transferProcessorUpdateAckInterval="1s"',  # deletes what has closed after it
)

# The same examples every time: a run that finds something new is worth having, but not in the middle of another change.
# EXPLORE=1 make test looks further, make fuzz much further.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.register_profile("far", deadline=None, max_examples=3_000)
hypothesis.settings.load_profile({"": "same", "far": "far"}.get(os.environ.get("EXPLORE", ""), "default"))

for _name in [
    name
    for name in os.environ
    if name.startswith(("TWILIO_", "TEMPORAL_", "OPERATIONS_", "EVENTS_", "OTEL_", "METRICS_"))
]:
    del os.environ[_name]  # a developer's own settings must not get into the tests


# Files with few tests that take long go first: the last one to begin decides when all have ended.
_LONG = (
    "tests/stack/test_backlog",
    "tests/leaks/",
    "tests/stack/",
    "tests/chaos/",
    "tests/monitoring/",
    "tests/hostile/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((number for number, name in enumerate(_LONG) if item.nodeid.startswith(name)), len(_LONG))

    items.sort(key=place)


@pytest.fixture(scope="session")
def data() -> Iterator[Path]:
    """A short path: PostgreSQL's socket lies in it, whose name may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="hg", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(data: Path) -> Iterator[str]:
    """A real PostgreSQL of our own."""
    server = start(data / "pg")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, data: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty, migrated database of each sort."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'test.db'}")
        await migrate(database)
    else:
        database = Database(request.getfixturevalue("postgres"))
        await migrate(database)
        async with database.write() as connection:
            for table in reversed(metadata.sorted_tables):
                await connection.execute(table.delete())
    yield database
    await database.close()


@pytest.fixture(scope="session")
def stack(data: Path) -> Iterator[Stack]:
    """Temporal's dev server and the simulator as processes; API and worker run inside the tests."""
    stack = Stack(Ports.free(), data / "stack", {}, temporal_flags=(*TEMPORAL_FLAGS, *LEAPING))
    stack.data.mkdir()
    try:
        stack.start_temporal()
        stack.start_simulator()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
async def phones(stack: Stack) -> AsyncIterator[Phones]:
    phones = Phones(stack.simulator_url)
    yield phones
    await phones.close()


@pytest.fixture(scope="session")
async def world(stack: Stack, phones: Phones, data: Path) -> AsyncIterator[World]:
    """API and worker inside the tests; everything else as processes of its own."""
    settings = settings_for(
        data / "world",
        port=stack.ports.api,  # where the simulator hands on what phones write
        temporal_address=f"127.0.0.1:{stack.ports.temporal}",
        temporal_ui_url=stack.ui_url,
        simulator_port=stack.ports.simulator,
        operations_webhook_url=f"{stack.simulator_url}/operators/webhook",
    )
    client = await connect(settings)
    await bootstrapped(settings, client)
    async with living(settings, client, phones) as world:
        yield world
