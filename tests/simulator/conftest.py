"""One simulator for most tests; each test has recipients of its own."""

from collections.abc import AsyncIterator

import pytest
from twilio.rest import Client

from tests.simulator.calling import Calls
from tests.simulator.harness import Api, Process, Receiver, browser, new_number, official

TEST_ACCOUNT = ("AC" + "7e" * 16, "token-of-the-test-credentials")
API_KEY = ("SK" + "c3" * 16, "secret-of-the-api-key")
SECONDARY_TOKEN = "second-token-during-a-rotation"


@pytest.fixture(scope="session")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    process = Process(tmp_path_factory.mktemp("simulator"))
    await process.start()
    yield process
    await process.stop()


@pytest.fixture(scope="session")
async def simulator(process: Process) -> AsyncIterator[Api]:
    """Quick by default: `sent` after 20 ms, the final status after 60."""
    api = Api(process.url)
    await api.http.put("/simulator/defaults", json={"sentAfter": 0.02, "finalAfter": 0.06})
    yield api
    await api.http.aclose()


@pytest.fixture(scope="session")
async def configured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """One with test credentials, an API key and two tokens."""
    process = Process(
        tmp_path_factory.mktemp("configured"),
        test_account=TEST_ACCOUNT,
        api_keys=dict([API_KEY]),
        auth_token_secondary=SECONDARY_TOKEN,
    )
    await process.start()
    async with browser(process.url) as client:
        await client.put("/simulator/defaults", json={"sentAfter": 0.02, "finalAfter": 0.06})
    yield process
    await process.stop()


@pytest.fixture(scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture
def number() -> str:
    """A recipient that no other test has."""
    return new_number()


@pytest.fixture(scope="session")
def library(process: Process) -> Client:
    """The official library."""
    return official(process.url)


@pytest.fixture(scope="session")
def calls(simulator: Api) -> Calls:
    """The calls of the simulator that most tests share."""
    return Calls(simulator)
