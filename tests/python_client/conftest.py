"""The clients that the tests share."""

from collections.abc import AsyncIterator

import pytest

from tests.python_client.flavours import FLAVOURS, Client, Line, line_to
from tests.world import World


@pytest.fixture(params=FLAVOURS)
async def client(request: pytest.FixtureRequest, world: World) -> AsyncIterator[Client]:
    """A client of the world's API."""
    client = Client(request.param, f"http://127.0.0.1:{world.settings.port}")
    yield client
    await client.close()


@pytest.fixture
async def line(world: World) -> AsyncIterator[Line]:
    """A line to the API that tests can break."""
    async with line_to(world) as line:
        yield line


@pytest.fixture(params=FLAVOURS)
async def caller(request: pytest.FixtureRequest, line: Line) -> AsyncIterator[Client]:
    """A client at the end of that line."""
    caller = Client(request.param, line.url, timeout=1.0)
    yield caller
    await caller.close()
