"""The API answers as its OpenAPI document says, whatever it is asked. `make fuzz` asks for longer."""

import re
from pathlib import Path

import httpx
import pytest

from tests.hostile.conformance import attack
from tests.world import KEY, World, free_port, serving, settings_for

ALL = "examples,coverage,fuzzing,stateful"


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("key", "phases"), [(KEY, ALL), (None, "examples")])
async def test_every_answer_stands_in_the_document_and_none_is_a_server_error(
    world: World, key: str | None, phases: str
) -> None:
    url = f"http://127.0.0.1:{world.settings.port}"
    code, says = await attack(url, key=key, examples=5, seed=None, phases=phases)
    assert code == 0, says


@pytest.mark.timeout(400)
async def test_neither_is_one_to_any_callback_that_gets_past_the_signature(world: World, tmp_path: Path) -> None:
    settings = settings_for(
        tmp_path,
        port=free_port(),
        temporal_address=world.settings.temporal_address,
        database_url=world.settings.database,
        require_twilio_signature=False,
    )
    async with serving(settings):
        url = f"http://127.0.0.1:{settings.port}"
        code, says = await attack(url, key=None, examples=20, seed=None, phases="coverage,fuzzing", unsigned=True)
    assert code == 0, says


async def test_every_route_but_twilios_and_the_operators_asks_for_a_key(world: World) -> None:
    paths = (await world.http.get("/openapi.json")).json()["paths"]
    open_to_all = {path for path in paths if not path.startswith(("/api/", "/twilio/"))}
    assert open_to_all == {"/healthz", "/readyz", "/metrics"}
    async with httpx.AsyncClient(base_url=world.http.base_url) as nobody:
        for path, operations in paths.items():
            for method in operations if path.startswith("/api/") else ():
                answer = await nobody.request(method, re.sub("{[a-z_]+}", "+15558675310", path), json={})
                assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized"), (method, path)
