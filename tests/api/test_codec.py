"""The codec server: clear text for operators, and for nobody else."""

import asyncio
import base64
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr
from structlog.testing import capture_logs
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.contrib.pydantic import pydantic_data_converter

from api.codec.app import MAX_BYTES
from api.codec.operators import SESSION, Operators
from api.codec.server import server
from devstack.stack import heliograph
from engine import data_converter
from privacy.encryption import KeyedHash, KeyRing
from settings import Settings
from tests.workflow.test_forgetting import forget, payloads_of
from tests.world import World, free_port, listening, settings_for

ADA, GRACE = "a-key-of-ada-for-the-tests", "a-key-of-grace-for-the-tests"
NOTE = 'calls himself "the badger"\n'


@asynccontextmanager
async def codec(settings: Settings, **overrides: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A codec server for the world's Temporal UI, and somebody who asks it."""
    keys = (("ada", SecretStr(ADA)), ("grace", SecretStr(GRACE)))
    changes = {"codec_port": free_port(), "codec_keys": keys} | overrides
    settings = settings.model_copy(update=changes)
    async with (
        listening(server(settings)),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.codec_port}") as http,
    ):
        yield http


@pytest.fixture(scope="module")
async def operator(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with codec(world.settings) as http:
        yield http


@pytest.fixture(scope="module")
async def event(world: World) -> dict[str, Any]:
    event = world.event(operatorNote=NOTE)
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    return event


async def sealed(world: World, event: dict[str, Any]) -> str:
    """What the UI sends: all payloads of an event, in Temporal's JSON."""
    events = (await world.workflow(event["eventId"]).fetch_history()).events
    return json_format.MessageToJson(Payloads(payloads=[one for event in events for one in payloads_of(event)]))


def clear(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    return [json.loads(payload.data) for payload in json_format.Parse(answer.text, Payloads()).payloads]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def log_in(http: httpx.AsyncClient, key: str = ADA, **headers: str) -> httpx.Response:
    return await http.post("/login", data={"key": key}, headers=headers)


async def test_an_operator_reads_number_text_and_note(world: World, operator: httpx.AsyncClient, event: Any) -> None:
    before = await sealed(world, event)
    assert event["phone"] not in before
    request = clear(await operator.post("/decode", content=before, headers=bearer(ADA)))[0]
    assert request["recipient"]["phone"] == event["phone"]
    assert request["operator_note"] == NOTE.strip()
    (text,) = await world.phones.texts(event["phone"])
    assert request["body"] == text["body"]


@pytest.mark.parametrize(
    "headers", [{}, bearer("wrong"), {"Authorization": "Bearer"}, {"Authorization": f"Basic {ADA}"}]
)
async def test_nobody_else_reads(world: World, operator: httpx.AsyncClient, event: Any, headers: Any) -> None:
    answer = await operator.post("/decode", content=await sealed(world, event), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")


async def test_the_log_in_is_a_cookie_that_no_script_and_no_other_site_gets(world: World, event: Any) -> None:
    async with codec(world.settings) as http:
        assert (await log_in(http, "wrong")).status_code == 401
        assert http.cookies == {}
        entered = await log_in(http)
        assert (entered.status_code, entered.headers["location"]) == (303, "login")
        cookie = entered.headers["set-cookie"]
        for part in ("HttpOnly", "SameSite=strict", "Max-Age=28800", "Path=/"):
            assert part in cookie
        assert "Logged in as <b>ada</b>" in (await http.get("/login")).text
        assert clear(await http.post("/decode", content=await sealed(world, event)))
        await http.post("/logout")
        assert (await http.post("/decode", content="{}")).status_code == 401


async def test_behind_https_the_cookie_is_bound_to_it(world: World) -> None:
    async with codec(world.settings, codec_url="https://codec.example.com") as http:
        cookie = (await log_in(http)).headers["set-cookie"]
        assert cookie.startswith("__Host-heliograph-codec=")
        assert "Secure" in cookie


class Clock:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_a_log_in_ends_after_eight_hours_and_with_its_key() -> None:
    clock, hashes = Clock(), KeyedHash(b"h" * 32)
    both = Operators([("ada", ADA), ("grace", GRACE)], hashes, clock)
    opened = both.open(ADA)
    assert opened is not None
    cookie, session = opened
    assert both.of_cookie(cookie) == session
    for other in ([("grace", GRACE)], [("ada", "a-new-key-of-ada-for-the-tests")], [("eve", ADA)]):
        assert Operators(other, hashes, clock).of_cookie(cookie) is None
    assert Operators([("ada", ADA)], KeyedHash(b"x" * 32), clock).of_cookie(cookie) is None
    clock.now += SESSION - timedelta(seconds=1)
    assert both.of_cookie(cookie) == session
    clock.now += timedelta(seconds=1)
    assert both.of_cookie(cookie) is None


@given(st.text() | st.tuples(st.just("ada"), st.text(), st.text()).map(":".join))
def test_no_cookie_but_ours_is_anybodys(cookie: str) -> None:
    assert Operators([("ada", ADA)], KeyedHash(b"h" * 32)).of_cookie(cookie) is None


def test_a_cookie_cannot_be_given_a_later_end_or_another_name() -> None:
    operators = Operators([("ada", ADA), ("grace", GRACE)], KeyedHash(b"h" * 32))
    opened = operators.open(ADA)
    assert opened is not None
    name, stamp, signature = opened[0].split(":")
    for forged in (f"{name}:{int(stamp) + 1}:{signature}", f"grace:{stamp}:{signature}", f"{name}:{stamp}:"):
        assert operators.of_cookie(forged) is None


async def test_only_the_ui_may_ask_from_a_browser(world: World, operator: httpx.AsyncClient, event: Any) -> None:
    ui = world.settings.temporal_ui_url
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}
    allowed = await operator.options("/decode", headers=preflight | {"Origin": ui})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ui
    assert allowed.headers["access-control-allow-credentials"] == "true"
    content = await sealed(world, event)
    answer = await operator.post("/decode", content=content, headers=bearer(ADA) | {"Origin": ui})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ui)
    for other in ("https://evil.example.com", "null", ui.replace("http", "https"), f"{ui}.evil.example.com"):
        refused = await operator.options("/decode", headers=preflight | {"Origin": other})
        assert refused.status_code == 400
        answer = await operator.post("/decode", content=content, headers=bearer(ADA) | {"Origin": other})
        assert answer.status_code == 403
        for headers in (refused.headers, answer.headers):
            assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("page", ["https://evil.example.com", "null"])
async def test_no_other_page_can_log_a_browser_in_or_out(world: World, page: str) -> None:
    async with codec(world.settings) as http:
        assert (await log_in(http, Origin=page)).status_code == 403
        await log_in(http, Origin=str(http.base_url).rstrip("/"))
        assert (await http.post("/logout", headers={"Origin": page})).status_code == 403
        assert "Logged in as" in (await http.get("/login")).text


async def test_who_was_forgotten_cannot_be_read_and_it_says_so(world: World, operator: httpx.AsyncClient) -> None:
    event = world.event()
    await world.post(event)
    await world.until(event["eventId"], "delivered")
    content = await sealed(world, event)
    await forget(world, event["phone"])
    request = clear(await operator.post("/decode", content=content, headers=bearer(ADA)))[0]
    for field in (request["recipient"]["phone"], request["body"]):
        assert field.startswith("erased: the recipient was forgotten (key ")


async def test_beside_what_no_key_opens_the_rest_is_read(operator: httpx.AsyncClient) -> None:
    [lost] = await data_converter(KeyRing({"gone": b"0" * 32})).encode(["lost"])
    [plain] = await pydantic_data_converter.encode(["plain"])
    odd = Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"\xff"}, data=b"x")
    raw = Payload(metadata={"encoding": b"binary/plain"}, data=b"\xff\xfe")
    content = json_format.MessageToJson(Payloads(payloads=[lost, plain, odd, raw]))
    answer = await operator.post("/decode", content=content, headers=bearer(ADA))
    first, second, third, fourth = json_format.Parse(answer.text, Payloads()).payloads
    assert json.loads(first.data) == "cannot be read: payload key 'gone' is not in PAYLOAD_KEYS"
    assert json.loads(second.data) == "plain"
    assert json.loads(third.data).startswith("cannot be read: ")
    assert fourth == raw


async def test_without_the_database_numbers_and_texts_stay_sealed(world: World, event: Any) -> None:
    async with codec(world.settings, database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none")) as http:
        request = clear(await http.post("/decode", content=await sealed(world, event), headers=bearer(ADA)))[0]
    assert request["event_id"] == event["eventId"]
    assert request["recipient"]["phone"].startswith("sealed:r/")


async def test_it_only_decodes(operator: httpx.AsyncClient) -> None:
    assert (await operator.post("/encode", content="{}")).status_code == 401
    answer = await operator.post("/encode", content="{}", headers=bearer(ADA))
    assert (answer.status_code, "Use the API" in answer.text) == (403, True)


async def test_nothing_is_kept_by_a_browser(world: World, operator: httpx.AsyncClient, event: Any) -> None:
    content = await sealed(world, event)
    for answer in (
        await operator.post("/decode", content=content, headers=bearer(ADA)),
        await operator.post("/decode", content=content),
        await operator.get("/login"),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_every_reading_is_logged_and_nothing_that_was_read(world: World, event: Any) -> None:
    content = await sealed(world, event)
    async with codec(world.settings) as http:
        with capture_logs() as logs:
            await http.post("/decode", content=content, headers=bearer(GRACE))
            await log_in(http, ADA)
            await log_in(http, "a-wrong-key")
    (read,) = [entry for entry in logs if entry["event"] == "decoded"]
    assert read["operator"] == "grace"
    assert read["payloads"] == content.count('"data"')
    assert [entry["operator"] for entry in logs if entry["event"] == "logged in"] == ["ada"]
    assert "wrong operator key" in [entry["event"] for entry in logs]
    for secret in (event["phone"], "badger", ADA, GRACE, "a-wrong-key"):
        assert secret not in str(logs)


async def test_a_body_has_a_limit(operator: httpx.AsyncClient) -> None:
    answer = await operator.post("/decode", content=b" " * (MAX_BYTES + 1), headers=bearer(ADA))
    assert answer.status_code == 413
    assert (await operator.post("/login", content=b"key=" + b"x" * 5000)).status_code == 413


async def test_a_body_that_does_not_come_is_not_waited_for(
    operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.codec.app.READ_WITHIN", 0.2)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(2)
        yield b"}"

    answer = await operator.post("/decode", content=slowly(), headers=bearer(ADA))
    assert (answer.status_code, answer.json()["error"]) == (408, "too_slow")


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.binary()
    | st.sampled_from([b"[" * 100_000, b'{"payloads":' * 200, b'{"payloads": [{"data": "%"}]}', b"null", b"\xff"])
    | st.recursive(
        st.none() | st.integers() | st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["payloads", "data", "metadata"]), inner),
    ).map(lambda body: json.dumps(body).encode())
)
async def test_no_body_breaks_it(operator: httpx.AsyncClient, body: bytes) -> None:
    answer = await operator.post("/decode", content=body, headers=bearer(ADA))
    assert answer.status_code in (200, 400)


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        heliograph("codec"),
        env={"PATH": os.environ["PATH"], **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )


PRODUCTION = {
    "ENVIRONMENT": "production",
    "API_KEYS": "shop=a-long-enough-api-key",
    "PUBLIC_BASE_URL": "https://sms.example.com",
    "TWILIO_ACCOUNT_SID": "AC" + "a" * 32,
    "TWILIO_AUTH_TOKEN": "t" * 32,
    "TWILIO_FROM_NUMBER": "+15005550006",
    "DATABASE_URL": "sqlite:///heliograph.db",
    "PAYLOAD_KEYS": "k1:" + base64.b64encode(b"k" * 32).decode(),
    "PII_HASH_KEY": "a-long-enough-hash-key",
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, "setting CODEC_KEYS: is needed in production"),
        ({"CODEC_KEYS": "ada=short"}, "setting CODEC_KEYS: the key of ada must have at least 16 characters"),
        ({"CODEC_KEYS": f"ada={ADA}", "CODEC_URL": "http://codec.example.com"}, "setting CODEC_URL: must be https"),
    ],
)
def test_production_refuses_to_hand_out_clear_text_without(tmp_path: Path, change: dict[str, str], says: str) -> None:
    ended = run(tmp_path, **PRODUCTION | change)
    assert ended.returncode == 2
    assert ended.stderr.startswith(says)


def test_away_from_this_machine_development_needs_keys_too(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, host="0.0.0.0")
    assert settings.codec_problems()[0].startswith("CODEC_KEYS: is needed when HOST is not a loopback address")
    assert settings_for(tmp_path, host="0.0.0.0", codec_keys=f"ada={ADA}").codec_problems() == []


def test_on_this_machine_development_makes_a_key_that_stays_the_same(tmp_path: Path) -> None:
    (made,) = settings_for(tmp_path).operator_keys
    assert made == settings_for(tmp_path).operator_keys[0]
    assert made != settings_for(tmp_path, pii_hash_key="another-hash-key").operator_keys[0]
    assert len(made[1]) == 32
