"""What a web page does that is open in somebody's browser, and what a caller puts into texts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.world import World, free_port, serving, settings_for

REBOUND = ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example:{port}", "[::1", ""]


@asynccontextmanager
async def api(world: World, data: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Another API on the same parts."""
    chosen = settings_for(
        data,
        port=free_port(),
        temporal_address=world.settings.temporal_address,
        database_url=world.settings.database,
        **settings,
    )
    async with (
        serving(chosen),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{chosen.port}", headers=world.http.headers) as http,
    ):
        yield http


async def test_a_name_that_was_led_here_is_not_enough_where_no_key_is_asked_for(world: World, tmp_path: Path) -> None:
    """DNS rebinding: a page on evil.example, whose name has got this machine's address meanwhile."""
    async with api(world, tmp_path, api_keys="", public_base_url="https://tunnel.example") as http:
        port = str(http.base_url.port)
        for host in REBOUND:
            headers = {"Host": host.format(port=port)}
            answer = await http.post("/api/order-shipped-sms?dryRun=true", json=world.event(), headers=headers)
            assert answer.status_code in (400, 403), host
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", "tunnel.example"):
            answer = await http.post("/api/order-shipped-sms?dryRun=true", json=world.event(), headers={"Host": host})
            assert answer.status_code == 200, host


async def test_with_keys_any_name_will_do(world: World) -> None:
    answer = await world.http.get("/readyz", headers={"Host": "texts.internal"})
    assert answer.status_code == 200


@pytest.mark.parametrize("host", REBOUND[:4])
async def test_the_simulator_is_out_of_reach_for_web_pages(world: World, host: str) -> None:
    url = httpx.URL(world.phones.url)
    rebound = {"Host": host.format(port=url.port)}
    foreign = {"Host": f"127.0.0.1:{url.port}", "Origin": "https://evil.example"}
    own = {"Origin": f"http://127.0.0.1:{url.port}"}
    async with httpx.AsyncClient(base_url=url) as http:
        for headers in (rebound, foreign, {"Origin": "null"}):
            assert (await http.delete("/simulator/numbers/+15550001111", headers=headers)).status_code == 403
        assert (await http.get("/simulator/messages", headers=rebound)).status_code == 403
        assert (await http.delete("/simulator/numbers/+15550001111", headers=own)).status_code == 204


async def test_what_was_texted_is_never_markup_on_the_page_of_phones(world: World) -> None:
    page = (await httpx.AsyncClient().get(world.phones.url)).text
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "srcdoc", "DOMParser"):
        assert way not in page


@pytest.mark.parametrize(
    "order_id",
    ["7 https://evil.example/x", "http://evil.example", "evil.example", "www.evil.example", "7 EVIL.example/x"],
)
async def test_no_other_field_brings_in_a_link_that_may_not_be_sent(
    world: World, tmp_path: Path, order_id: str
) -> None:
    async with api(world, tmp_path, link_hosts="example.com") as http:
        url = "https://example.com/t/1"
        answers = [
            await http.post("/api/order-shipped-sms?dryRun=true", json=world.event(orderId=one, trackingUrl=url))
            for one in (order_id, "ORD-7.1/2026")
        ]
    assert [answer.status_code for answer in answers] == [400, 200]
    assert answers[0].json()["details"][0]["code"] == "link_host"
