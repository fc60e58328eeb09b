"""The API answers as its OpenAPI document says, whatever it is asked. `make fuzz` asks for longer."""

import pytest

from tests.hostile.conformance import attack
from tests.world import KEY, World


@pytest.mark.parametrize(
    ("key", "phases", "examples"), [(KEY, "examples,coverage,fuzzing,stateful", 5), (None, "examples", 1)]
)
async def test_every_answer_stands_in_the_document_and_none_is_a_server_error(
    world: World, key: str | None, phases: str, examples: int
) -> None:
    url = f"http://127.0.0.1:{world.settings.port}"
    code, says = await attack(url, key=key, examples=examples, seed=None, phases=phases)
    assert code == 0, says
