"""The long form of test_openapi.py, on PostgreSQL; not collected, `make fuzz` names it."""

import os
from pathlib import Path

from devstack.stack import Stack
from engine import connect
from tests.hostile.conformance import attack
from tests.world import KEY, Phones, bootstrapped, free_port, living, settings_for


async def test_every_answer_stands_in_the_document_on_postgresql_too(
    stack: Stack, phones: Phones, postgres: str, data: Path
) -> None:
    settings = settings_for(
        data / "fuzz",
        port=free_port(),
        temporal_address=f"127.0.0.1:{stack.ports.temporal}",
        simulator_port=stack.ports.simulator,
        database_url=postgres,
        operations_webhook_url=f"{stack.simulator_url}/operators/webhook",
    )
    client = await connect(settings)
    await bootstrapped(settings, client)
    async with living(settings, client, phones):
        code, says = await attack(
            f"http://127.0.0.1:{settings.port}",
            key=KEY,
            examples=int(os.environ["FUZZ_EXAMPLES"]),
            seed=int(os.environ["FUZZ_SEED"]),
            phases="examples,coverage,fuzzing,stateful",
        )
    assert code == 0, says
